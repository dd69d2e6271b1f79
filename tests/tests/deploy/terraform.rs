//! The Terraform that `nimbus enterprise deploy` writes, checked by the real OpenTofu against what the clouds' providers say
//! of their resources (`tests/terraform`): all modules that answers can lead to are valid, and can be planned.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use hcl::Block;
use nimbus_deploy::plan::{File, Plan};
use nimbus_tests::tofu::Module;

use super::answers::{CLOUDS, NETWORK, OUTSIDE, SQLITE, ZONE, of_cloud, planned, text};

/// Whether a file is Terraform's code; its values are none.
fn is_code(file: &File) -> bool {
    Path::new(&file.path).extension().is_some_and(|extension| extension == "tf")
}

/// Everything of a plan that Terraform reads, in a directory.
fn module(plan: &Plan) -> anyhow::Result<Module> {
    let files = plan
        .files
        .iter()
        .filter_map(|file| Some((file.path.strip_prefix("terraform/")?, file.text.as_str())));
    Module::new(files)
}

/// The blocks of a plan's code.
fn blocks(plan: &Plan) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for file in plan.files.iter().filter(|file| is_code(file)) {
        let body = hcl::parse(&file.text).with_context(|| file.path.clone())?;
        blocks.extend(body.blocks().cloned());
    }
    Ok(blocks)
}

/// `resource KIND` or `data KIND` of each of them.
fn kinds(plan: &Plan) -> anyhow::Result<BTreeSet<String>> {
    let blocks = blocks(plan)?;
    let made = blocks.iter().filter(|block| ["resource", "data"].contains(&block.identifier()));
    made.map(|block| {
        let kind = block.labels().first().context("a block without a kind")?;
        Ok(format!("{} {}", block.identifier(), kind.as_str()))
    })
    .collect()
}

#[test]
fn the_terraform_of_every_cloud_is_valid_and_can_be_planned_whatever_of_it_is_wanted() {
    let (mut seen, mut modules) = (BTreeSet::new(), 0);
    for cloud in CLOUDS {
        for database in [&NETWORK[..], &[SQLITE]] {
            for backups in ["yes", "no"] {
                for dns in [&[OUTSIDE.as_slice(), &[ZONE]].concat()[..], &[]] {
                    let backups = [("cloud.backups", backups)];
                    let database = of_cloud(database, cloud);
                    let (_, plan) = planned(&[&database, cloud, &backups, dns]).unwrap();
                    if !plan.files.iter().any(is_code) {
                        continue;
                    }
                    let of = format!("{cloud:?} {database:?} {backups:?} {dns:?}");
                    let (module, made) = (module(&plan).unwrap(), kinds(&plan).unwrap());
                    assert_eq!(module.validate().unwrap(), Vec::<String>::new(), "{of}");
                    let planned = module.plan().unwrap();
                    assert_eq!(planned.wrong, Vec::<String>::new(), "{of}");
                    // Records come with the addresses that the services get: with a first apply there are none.
                    let adds =
                        made.iter().filter(|kind| kind.starts_with("resource ") && !kind.contains("_record"));
                    let adds = adds.map(|kind| kind.replacen("resource ", "", 1)).collect();
                    let found: BTreeSet<String> =
                        planned.creates.into_iter().filter(|kind| !kind.contains("_record")).collect();
                    assert_eq!(found, adds, "{of}: what is planned");
                    seen.extend(made);
                    modules += 1;
                }
            }
        }
    }
    assert_eq!(modules, 21, "three of the 24 make nothing");
    assert_eq!(seen, nimbus_tests::tofu::schemas().unwrap(), "every schema that is kept is one that is used");
}

/// The providers of the tests are strict: what is wrong is found, and where.
#[test]
fn a_mistake_in_the_terraform_is_found() {
    let (_, plan) = planned(&[&NETWORK, CLOUDS[0]]).unwrap();
    for (good, bad, said) in [
        ("instance_class  ", "instance_klass  ", "An argument named \"instance_klass\" is not expected here"),
        (
            "instance_class            = \"db.t4g.medium\"\n",
            "",
            "The argument \"instance_class\" is required",
        ),
        (
            "aws_db_instance.database.endpoint",
            "aws_db_instance.database.end",
            "no argument, nested block, or exported",
        ),
        (
            "aws_db_instance.database.endpoint",
            "aws_db_instance.other.endpoint",
            "no managed resource \"aws_db_instance\" \"other\"",
        ),
        ("var.deletion_protection", "var.protection", "name \"protection\" has not been declared"),
        ("= var.deletion_protection", "= \"maybe\"", "a bool is required"),
        ("  sensitive   = true\n", "", "sensitive"),
    ] {
        let mut broken = plan.clone();
        let file = broken.files.iter_mut().find(|file| file.path == "terraform/database.tf").unwrap();
        assert!(file.text.contains(good), "{good}");
        file.text = file.text.replace(good, bad);
        let wrong = module(&broken).unwrap().validate().unwrap();
        assert!(wrong.iter().any(|one| one.contains(said)), "{said}: {wrong:?}");
    }
    let (_, mut plan) = planned(&[&NETWORK, CLOUDS[0]]).unwrap();
    let values = plan.files.iter_mut().find(|file| file.path.ends_with("terraform.tfvars.json")).unwrap();
    values.text = values.text.replacen("\"region\"", "\"religion\"", 1);
    let wrong = module(&plan).unwrap().plan().unwrap().wrong;
    assert!(wrong.iter().any(|one| one.contains("\"religion\"")), "a value without a variable: {wrong:?}");
    assert!(wrong.iter().any(|one| one.contains("\"region\"")), "a variable without a value: {wrong:?}");
}

/// A secret is never in a text: the database's password is made by Terraform itself.
#[test]
fn no_password_is_written_and_outputs_that_hold_one_are_sensitive() {
    for cloud in CLOUDS {
        let (_, plan) = planned(&[&of_cloud(&NETWORK, cloud), cloud]).unwrap();
        let blocks = blocks(&plan).unwrap();
        let url = blocks.iter().find(|block| {
            block.identifier() == "output"
                && block.labels().first().is_some_and(|label| label.as_str() == "database_url")
        });
        let url = url.expect("an output with the address").body();
        let sensitive = url.attributes().find(|attribute| attribute.key() == "sensitive").unwrap();
        assert_eq!(sensitive.expr(), &hcl::Expression::Bool(true));
        for file in plan.files.iter().filter(|file| is_code(file)) {
            for line in file.text.lines().filter(|line| line.trim_start().starts_with("password")) {
                assert!(line.contains("random_password"), "{line}");
            }
        }
    }
}

/// What was made by one life of an installation is not in the way of the end of it, nor of the next life.
#[test]
fn an_undo_with_data_can_come_to_an_end() {
    for cloud in [CLOUDS[0], CLOUDS[1]] {
        let (_, plan) = planned(&[&of_cloud(&NETWORK, cloud), cloud]).unwrap();
        let storage = text(&plan, "terraform/storage.tf").unwrap();
        assert!(
            storage
                .lines()
                .any(|line| line.contains("force_destroy") && line.contains("!var.deletion_protection"))
        );
        let database = text(&plan, "terraform/database.tf").unwrap();
        assert!(database.contains("-${random_id.database.hex}\""), "a name that was used is taken for long");
        // The bucket alone has the variable too, and the undo sets it before it destroys.
        let (_, bucket) = planned(&[&[SQLITE], cloud]).unwrap();
        assert!(text(&bucket, "terraform/variables.tf").unwrap().contains("\"deletion_protection\""));
        let step = bucket.steps.iter().find(|step| step.id == "infrastructure").unwrap();
        assert!(format!("{:?}", step.undo).contains("deletion_protection=false"));
    }
}
