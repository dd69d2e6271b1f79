//! Where things are does not change, what Terraform would delete is known, and what a step uses is looked at.

use super::world::{World, run};
use super::{LARGE, SMALL, charts, draft, planned};
use crate::drive::Stop;
use crate::files::{is_own_terraform, used_text, used_tree};
use crate::plan::{Plan, plan};
use crate::read::read;
use crate::step::Used;
use crate::terraform::losses;

#[test]
fn what_terraform_made_is_not_moved_to_another_place() {
    let mut world = World::default();
    run(&mut world, &planned(LARGE)).unwrap();
    let azure = [("cloud.kind", "azure"), ("cloud.resource_group", "ops")];
    for (over, answer) in [
        (&[("cloud.region", "us-east-1")][..], "cloud.region"),
        (&[("cloud.cidr", "10.99.0.0/26")], "cloud.cidr"),
        (&[("cloud.network", "vpc-other")], "cloud.network"),
        (&azure, "cloud.kind"),
    ] {
        let stop = run(&mut world, &planned(&[LARGE, over].concat())).unwrap_err();
        assert!(matches!(&stop, Stop::Moved { answer: at, .. } if at == answer), "{answer}: {stop:?}");
        assert_eq!(world.said, [], "nothing was done");
    }
    // A first try that was refused because of such an answer is tried again with another one.
    let cut = (0..).find_map(|cut| {
        let mut world = World { left: Some(cut), ..World::default() };
        run(&mut world, &planned(LARGE)).unwrap_err();
        let is_begun = world.kept.as_ref().is_some_and(|journal| journal.entry("infrastructure").is_some());
        is_begun.then_some(world)
    });
    let mut world = World { left: None, ..cut.unwrap() };
    run(&mut world, &planned(&[LARGE, &[("cloud.region", "us-east-1")]].concat())).unwrap();
    // A bucket is made before its database, and a size is nobody's place.
    let bucket = [SMALL, &[("cloud.kind", "aws"), ("cloud.region", "eu-central-1")]].concat();
    let mut world = World::default();
    run(&mut world, &planned(&bucket)).unwrap();
    let database = [
        ("database.kind", "terraform"),
        ("cloud.network", "vpc"),
        ("cloud.cidr", "10.0.0.0/24"),
        ("cloud.clients", "10.1.0.0/16"),
    ];
    run(&mut world, &planned(&[&bucket[..], &database].concat())).unwrap();
}

#[test]
fn what_a_plan_of_terraform_deletes_or_replaces_is_named() {
    let change = |address: &str, kind: &str, actions: &str| {
        format!(
            r#"{{"address": "{address}", "type": "{kind}", "mode": "managed", "change": {{"actions": {actions}}}}}"#
        )
    };
    let document = format!(
        r#"{{"format_version": "1.2", "resource_changes": [{}]}}"#,
        [
            change("aws_db_instance.database", "aws_db_instance", r#"["delete", "create"]"#),
            change("aws_s3_bucket.backups", "aws_s3_bucket", r#"["create", "delete"]"#),
            change("aws_subnet.database[0]", "aws_subnet", r#"["delete"]"#),
            change("aws_subnet.database[1]", "aws_subnet", r#"["update"]"#),
            change("random_id.database", "random_id", r#"["create"]"#),
            change("aws_route53_record.agents[0]", "aws_route53_record", r#"["delete"]"#),
        ]
        .join(",")
    );
    let expected = ["aws_db_instance.database", "aws_s3_bucket.backups", "aws_subnet.database[0]"];
    assert_eq!(losses(document.as_bytes()).unwrap(), expected);
    assert_eq!(losses(br#"{"format_version": "1.2"}"#).unwrap(), [""; 0]);
    for bad in ["", "{}", r#"{"format_version": "1", "resource_changes": {}}"#] {
        losses(bad.as_bytes()).unwrap_err();
    }
    losses(br#"{"format_version": "1", "resource_changes": [{"address": "a"}]}"#).unwrap_err();
}

/// The plan with these files from outside.
fn with(answers: &[(&str, &str)], outside: &[Used]) -> Plan {
    let draft = draft(answers);
    plan(&read(&draft).unwrap(), &charts(), &draft.file(), outside).unwrap()
}

#[test]
fn other_contents_of_files_of_ones_own_are_another_step() {
    let answers = [LARGE, &[("extra.agent_values", "/etc/mine.yaml")]].concat();
    let agent = charts().agent;
    let files = |text: &str, chart: &str, own: &str| {
        vec![
            used_text("/etc/mine.yaml", text.as_bytes()),
            used_tree(&agent, &[("Chart.yaml".to_owned(), chart.into())].into()),
            used_text("terraform/mine_override.tf", own.as_bytes()),
        ]
    };
    let before = files("a", "a", "a");
    let mut world = World::default();
    run(&mut world, &with(&answers, &before)).unwrap();
    for (now, expected) in [
        (files("a", "a", "a"), None),
        (files("b", "a", "a"), Some("agents")),
        (files("b", "b", "a"), Some("agents")),
        (files("b", "b", "b"), Some("infrastructure")),
    ] {
        run(&mut world, &with(&answers, &now)).unwrap();
        let changed =
            world.said.iter().find(|(event, _)| event.as_str() == "changed").map(|(_, id)| id.as_str());
        assert_eq!(changed, expected);
    }
}

#[test]
fn a_tree_has_another_digest_with_other_names_or_contents() {
    let tree = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        used_tree("x", &files).sha256
    };
    let all = [
        tree(&[]),
        tree(&[("a", "b")]),
        tree(&[("ab", "")]),
        tree(&[("a", "c")]),
        tree(&[("a", "b"), ("c", "")]),
    ];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn a_persons_own_terraform_is_told_from_its_state_and_from_what_is_written() {
    for own in ["backend.tf", "mine_override.tf", "x.auto.tfvars", "terraform.tfvars", "main.tf.json"] {
        assert!(is_own_terraform(own), "{own}");
    }
    for other in [
        "terraform.tfstate",
        "terraform.tfstate.backup",
        ".terraform.lock.hcl",
        "terraform.tfvars.json",
        "operators.auto.tfvars.json",
        "nimbus.tfplan",
        "README.md",
    ] {
        assert!(!is_own_terraform(other), "{other}");
    }
}
