//! What is somebody else's, and what cannot be made again, is left alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::exit::Exit;
use nimbus_deploy::drive::Stop;
use nimbus_deploy::plan::Plan;

use crate::site::{ALL, Site, begun, names, planned};

/// A cluster that does not answer has not said that nothing is there.
#[test]
fn an_error_is_not_taken_for_a_no() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.put("secret-nimbus-keys");
    let mut refused = 0;
    for call in 1..=site_calls_until_keys(&plan) {
        let site_there = site.there();
        site.fail_at(call);
        let stop = site.apply(&plan).unwrap_err();
        refused += usize::from(matches!(stop, Stop::Foreign { .. }));
        assert!(site.there().is_superset(&site_there));
        assert!(site.there().contains("secret-nimbus-keys"), "it is not ours");
    }
    site.fail_at(0);
    assert!(matches!(site.apply(&plan).unwrap_err(), Stop::Foreign { .. }));
    site.undo(true).unwrap();
    assert_eq!(site.there(), names(&["secret-nimbus-keys"]), "what was there before is left");
    assert!(refused < 14, "some of them failed before: {refused}");
}

fn site_calls_until_keys(plan: &Plan) -> usize {
    let site = Site::new();
    site.put("secret-nimbus-keys");
    assert!(site.apply(plan).is_err());
    site.calls()
}

/// The Secret is there, and the control plane would wait for a key that it lacks.
#[test]
fn a_secret_that_a_person_makes_has_to_have_its_keys() {
    let plan = planned(&[("database.kind", "secret"), ("database.secret", "db")]);
    let site = Site::new();
    let Stop::Failed { error, .. } = site.apply(&plan).unwrap_err() else { panic!("expected a failed step") };
    assert!(error.to_string().contains("the key url of the Secret db"), "{error}");
    assert!(!site.there().iter().any(|name| name.starts_with("release-")), "{:?}", site.there());
    std::fs::write(site.world.join("held"), "it has").unwrap();
    site.apply(&plan).unwrap();
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Directory::new(Path::new(dir.path())).unwrap().take().unwrap_err();
    assert!(error.to_string().contains("something else"), "{error}");
    assert!(!dir.path().join("lock").exists());
}

/// What the login program of a cloud says is not what the cluster says.
#[test]
fn a_program_that_says_not_found_and_fails_has_not_said_no() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.put("secret-nimbus-keys");
    let fake = site.around.nimbus.with_file_name("kubectl");
    let text = std::fs::read_to_string(&fake).unwrap();
    let broken = text.replace(
        "kubectl*\"get secret \"*) get",
        "kubectl*\"get secret \"*) echo 'getting credentials: exec: executable aws not found' >&2; exit 1; get",
    );
    assert_ne!(text, broken);
    std::fs::write(&fake, broken).unwrap();
    let stop = site.apply(&plan).unwrap_err();
    assert!(matches!(&stop, Stop::Failed { error, .. } if error.found.contains("aws")), "{stop:?}");
    std::fs::write(&fake, text).unwrap();
    let stop = site.apply(&plan).unwrap_err();
    assert!(matches!(stop, Stop::Foreign { .. }), "{stop:?}");
    assert_eq!(std::fs::read_to_string(site.world.join("there/secret-nimbus-keys")).unwrap(), "theirs");
}

#[test]
fn in_another_cluster_it_does_and_undoes_nothing() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    site.cluster("uid-2");
    for stop in [site.apply(&plan), site.undo(true), site.undo(false)] {
        assert!(matches!(stop.unwrap_err(), Stop::Cluster { .. }));
    }
    assert_eq!(site.there(), names(&ALL));
}

#[test]
fn what_was_begun_and_refused_does_not_take_what_somebody_else_made_since() {
    let plan = planned(&[]);
    // What is theirs keeps its namespace, which would take it with it, and no other one.
    let kept = ["namespace-nimbus"];
    for (id, theirs, with_it) in [
        ("namespace-nimbus", "namespace-nimbus", &[][..]),
        ("keys-secret", "secret-nimbus-keys", &kept),
        ("control-plane", "release-nimbus-control-plane", &kept),
    ] {
        let site = begun(&plan, id);
        site.put(theirs);
        // It is taken, or it stops the run; it is never removed.
        let _ = site.apply(&plan);
        site.undo(true).unwrap();
        assert_eq!(site.there(), names(&[&[theirs], with_it].concat()), "{id}");
    }
}

/// A tofu that says what it would do.
const TOFU: &str = r#"#!/bin/sh
echo "tofu $*" >> "WORLD/log"
case "$*" in
*" plan "*) stat -c %a "DIR/terraform/nimbus.tfplan" > "WORLD/mode"; : > "DIR/terraform/nimbus.tfplan" ;;
*" show "*) cat "WORLD/plan" ;;
*" apply "*) : > "WORLD/applied" ;;
esac
"#;

#[test]
fn a_plan_of_terraform_that_deletes_a_database_is_applied_only_where_that_was_said() {
    let mut site = Site::new();
    let text = TOFU.replace("WORLD", site.world.to_str().unwrap()).replace("DIR", site.out.to_str().unwrap());
    let path = site.around.nimbus.with_file_name("tofu");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let plan = planned(&[("cloud.kind", "aws"), ("cloud.region", "eu-central-1")]);
    let change = r#"{"format_version": "1.2", "resource_changes": [{"address": "aws_db_instance.database", "type": "aws_db_instance", "change": {"actions": ["delete", "create"]}}]}"#;
    std::fs::write(site.world.join("plan"), change).unwrap();
    let stop = site.apply(&plan).unwrap_err();
    let Stop::Failed { error, .. } = stop else { panic!("{stop:?}") };
    assert!(error.exit == Exit::Refused && error.found.contains("aws_db_instance.database"), "{error}");
    assert!(!site.world.join("applied").exists() && !site.out.join("terraform/nimbus.tfplan").exists());
    // A run that was killed between the plan and its end leaves it.
    std::fs::write(site.out.join("terraform/nimbus.tfplan"), "the password").unwrap();
    drop(Directory::new(&site.out).unwrap().take().unwrap());
    assert!(!site.out.join("terraform/nimbus.tfplan").exists(), "the next run takes it away at once");
    site.around.may_lose = true;
    site.apply(&plan).unwrap();
    assert_eq!(std::fs::read_to_string(site.world.join("mode")).unwrap(), "600\n");
    assert!(site.world.join("applied").exists() && !site.out.join("terraform/nimbus.tfplan").exists());
}
