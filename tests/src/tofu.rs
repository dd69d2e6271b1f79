//! The real OpenTofu, for the tests of Terraform that is written: with providers that know the schemas of `tests/terraform` and
//! stand in the place of the clouds' own. Nothing is made.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{build, repository};

/// Each provider that has a schema.
const PROVIDERS: [&str; 4] = ["aws", "azurerm", "google", "random"];

/// A directory with Terraform's files.
#[derive(Debug)]
pub struct Module {
    dir: TempDir,
    tofu: PathBuf,
}

/// What OpenTofu would do.
#[derive(Debug)]
pub struct Planned {
    /// Its errors, and its warnings but those of the providers' place.
    pub wrong: Vec<String>,
    /// The kinds of the resources that it would make.
    pub creates: BTreeSet<String>,
}

impl Module {
    /// Writes the files, each by its name.
    pub fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> anyhow::Result<Self> {
        let (tofu, provider) = build::ensure_tofu(&repository()?)?;
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("module"))?;
        std::fs::create_dir(dir.path().join("providers"))?;
        for (name, text) in files {
            std::fs::write(dir.path().join("module").join(name), text)?;
        }
        let place = dir.path().join("providers");
        for name in PROVIDERS {
            std::os::unix::fs::symlink(&provider, place.join(format!("terraform-provider-{name}")))?;
        }
        let overrides =
            PROVIDERS.map(|name| format!("    \"hashicorp/{name}\" = \"{}\"\n", place.display())).concat();
        let settings = format!("provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n}}\n");
        std::fs::write(dir.path().join("tofurc"), settings)?;
        Ok(Self { dir, tofu })
    }

    /// `tofu validate`: everything that is wrong, in its words.
    pub fn validate(&self) -> anyhow::Result<Vec<String>> {
        let output = self.tofu(&["validate", "-json"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).context(said)?;
        let diagnostics = report["diagnostics"].as_array().context("no diagnostics")?;
        let wrong: Vec<String> = diagnostics.iter().filter_map(told).collect();
        anyhow::ensure!(
            report["valid"] == wrong.is_empty(),
            "valid is {}, and wrong is {wrong:?}",
            report["valid"]
        );
        Ok(wrong)
    }

    /// `tofu plan`, of a module of which nothing is there yet.
    pub fn plan(&self) -> anyhow::Result<Planned> {
        let output = self.tofu(&["plan", "-json", "-input=false", "-lock=false"])?;
        let (mut wrong, mut creates) = (Vec::new(), BTreeSet::new());
        for line in String::from_utf8(output.stdout)?.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            match line["type"].as_str().unwrap_or_default() {
                "diagnostic" => wrong.extend(told(&line["diagnostic"])),
                "planned_change" => {
                    let change = &line["change"];
                    let kind = change["resource"]["resource_type"].as_str().context("a change of no kind")?;
                    anyhow::ensure!(
                        change["action"] == "create",
                        "expected that {kind} is made, found {change}"
                    );
                    creates.insert(kind.to_owned());
                }
                _ => {}
            }
        }
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(
            output.status.success() || !wrong.is_empty(),
            "tofu plan failed without a word: {said}"
        );
        Ok(Planned { wrong, creates })
    }

    fn tofu(&self, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.tofu);
        command.current_dir(self.dir.path().join("module")).env_clear().args(words);
        command.env("HOME", self.dir.path()).env("TF_CLI_CONFIG_FILE", self.dir.path().join("tofurc"));
        command.env("NIMBUS_SCHEMAS", schema_dir()?).env("CHECKPOINT_DISABLE", "1");
        command.output().with_context(|| format!("cannot run {}", self.tofu.display()))
    }
}

/// An error, or a warning that is not about the providers' place.
fn told(diagnostic: &Value) -> Option<String> {
    let text = |key: &str| diagnostic[key].as_str().unwrap_or_default().to_owned();
    let summary = text("summary");
    (summary != "Provider development overrides are in effect").then(|| {
        format!(
            "{}: {summary}: {}",
            text("severity"),
            text("detail").split_whitespace().collect::<Vec<_>>().join(" ")
        )
    })
}

fn schema_dir() -> anyhow::Result<PathBuf> {
    Ok(repository()?.join("tests/terraform"))
}

/// `resource KIND` or `data KIND` of everything that has a schema.
pub fn schemas() -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for name in PROVIDERS {
        let path = schema_dir()?.join(format!("{name}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let said = &file["provider_schemas"][format!("hashicorp/{name}")];
        for (key, word) in [("resource_schemas", "resource"), ("data_source_schemas", "data")] {
            let of = said[key].as_object().with_context(|| format!("no {key} of {name}"))?;
            all.extend(of.keys().map(|kind| format!("{word} {kind}")));
        }
    }
    Ok(all)
}
