//! What is planned for several answers.

use super::{LARGE, SMALL, planned};
use crate::plan::Plan;

fn file<'a>(plan: &'a Plan, path: &str) -> &'a str {
    plan.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.files.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn the_smallest_installation() {
    let plan = planned(SMALL);
    insta::assert_snapshot!("small_guide", file(&plan, "GUIDE.md"));
    insta::assert_snapshot!(
        "small_values",
        [file(&plan, "values-control-plane.yaml"), file(&plan, "values-agent.yaml")].join("\n")
    );
    insta::assert_snapshot!("small_answers", file(&plan, "answers.toml"));
    assert!(!paths(&plan).iter().any(|path| path.starts_with("terraform")), "no cloud, no Terraform");
}

#[test]
fn one_with_a_cloud_around_it() {
    let plan = planned(LARGE);
    insta::assert_snapshot!("large_guide", file(&plan, "GUIDE.md"));
    insta::assert_snapshot!(
        "large_values",
        [
            file(&plan, "values-control-plane.yaml"),
            file(&plan, "values-agent.yaml"),
            file(&plan, "terraform/terraform.tfvars.json")
        ]
        .join("\n")
    );
    let terraform = ["main", "variables", "network", "database", "storage", "dns"]
        .map(|name| format!("terraform/{name}.tf"));
    assert!(terraform.iter().all(|path| paths(&plan).contains(&path.as_str())), "{:?}", paths(&plan));
}

#[test]
fn a_record_that_nobody_makes_is_said() {
    let outside = [("operators.service", "load-balancer"), ("operators.name", "nimbus.example.com")];
    let guide = planned(&[SMALL, &outside].concat());
    assert!(file(&guide, "GUIDE.md").contains("The DNS record nimbus.example.com is yours to make"));
    assert!(!file(&planned(LARGE), "GUIDE.md").contains("is yours to make"));
}

#[test]
fn only_what_is_wanted_is_written_for_a_cloud() {
    let mut answers = SMALL.to_vec();
    answers.extend([("cloud.kind", "gcp"), ("cloud.region", "europe-west3"), ("cloud.project", "ops")]);
    let with_bucket = planned(&answers);
    assert!(paths(&with_bucket).contains(&"terraform/storage.tf"));
    assert!(!paths(&with_bucket).contains(&"terraform/database.tf"));
    answers.push(("cloud.backups", "no"));
    let with_nothing = planned(&answers);
    assert!(!paths(&with_nothing).iter().any(|path| path.starts_with("terraform")));
    assert!(!with_nothing.steps.iter().any(|step| step.id == "infrastructure"));
}

/// The token and the keys go through files that their owner alone may read, never through a command line or a plan.
#[test]
fn the_same_answers_make_the_same_plan_and_no_secret_is_in_it() {
    for answers in [SMALL, LARGE] {
        assert_eq!(planned(answers), planned(answers));
        for file in &planned(answers).files {
            assert!(!file.text.contains("--from-literal"), "{}", file.path);
        }
    }
}

#[test]
fn the_document_has_every_answer_with_what_is_asked_for_it_and_what_holds_without() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/on-premise.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4).collect();
    for key in crate::draft::keys::KEYS {
        let without = match key.without {
            crate::draft::keys::Without::Needed => "needed".to_owned(),
            crate::draft::keys::Without::This("") => "nothing".to_owned(),
            crate::draft::keys::Without::This(text) => format!("`{text}`"),
        };
        let choice = match key.form {
            crate::draft::keys::Form::Word(words) => format!(": `{}`", words.join("`, `")),
            crate::draft::keys::Form::Text
            | crate::draft::keys::Form::Number
            | crate::draft::keys::Form::Switch
            | crate::draft::keys::Form::List => String::new(),
        };
        let row = format!("| `{}` | {}{choice} | {without} |", key.path, key.question);
        assert!(rows.contains(&row.as_str()), "{row}");
    }
}

#[test]
fn the_answers_that_are_written_make_the_same_plan_again() {
    for answers in [SMALL, LARGE] {
        let plan = planned(answers);
        let draft = crate::draft::Draft::parse(file(&plan, "answers.toml")).unwrap();
        let again =
            crate::plan::plan(&crate::read::read(&draft).unwrap(), &super::charts(), &draft.file(), &[])
                .unwrap();
        assert_eq!(again, plan);
    }
}

#[test]
fn agents_elsewhere_are_told_the_name_that_was_given_for_them() {
    assert!(
        file(&planned(LARGE), "values-control-plane.yaml").contains("advertise: agents.ops.example.com:7071")
    );
    assert!(!file(&planned(SMALL), "values-control-plane.yaml").contains("advertise"));
}

#[test]
fn the_guide_names_the_backup_the_ways_and_no_password_on_a_command_line() {
    let secret = [("database.kind", "secret"), ("database.secret", "company")];
    for answers in [SMALL.to_vec(), LARGE.to_vec(), [SMALL, &secret].concat()] {
        let plan = planned(&answers);
        let guide = file(&plan, "GUIDE.md");
        assert!(
            guide.contains("nimbus backup create") && guide.contains("images/nimbus docker://"),
            "{guide}"
        );
        assert!(guide.contains("(UDP, else TCP)") && !guide.contains("(UDP)"), "{guide}");
        assert!(!guide.contains("--from-literal"), "{guide}");
    }
}

#[test]
fn the_databases_certificate_is_verified_or_the_guide_says_what_is_missing() {
    for (cloud, own, mode, said) in [
        ("aws", ("cloud.region", "eu-central-1"), "sslmode=require", "sslmode=verify-full&sslrootcert="),
        ("gcp", ("cloud.project", "shop"), "sslmode=require", "sslmode=verify-ca&sslrootcert="),
        ("azure", ("cloud.resource_group", "shop"), "sslmode=verify-full", "It is verified"),
    ] {
        let matters = |key: &str| !(cloud == "gcp" && key == "cloud.clients");
        let mut answers: Vec<_> = LARGE.iter().copied().filter(|(key, _)| matters(key)).collect();
        answers.extend([("cloud.kind", cloud), ("cloud.cidr", "10.20.0.0/24"), own]);
        let plan = planned(&answers);
        let database = file(&plan, "terraform/database.tf");
        assert!(database.contains(&format!("default     = \"{mode}\"")), "{database}");
        assert!(database.contains("?${var.database_tls}\""), "{database}");
        assert!(file(&plan, "GUIDE.md").contains(said), "{cloud}: {said}");
    }
}

#[test]
fn each_file_says_in_its_first_lines_who_writes_it() {
    for file in planned(LARGE).files {
        let head: String = file.text.lines().take(3).collect();
        let is_said = head.contains(crate::plan::WRITER);
        assert!(is_said || file.path == "terraform/terraform.tfvars.json", "{}", file.path);
    }
}
