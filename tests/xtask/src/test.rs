//! `cargo xtask test`: which steps, with which features.
//!
//! The fail points of the agent and the control plane are compiled into every test build, so that
//! the programs and the tests share one build of everything.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::steps::{Outcome, Steps, cargo, program};
use crate::{needs, rig};

/// The features of every test build.
const FEATURES: &str = "nimbus-agent/failpoints,nimbus-control-plane/failpoints";

/// The package whose integration tests need servers.
const SERVER_TESTS: &str = "nimbus-tests";

/// Written in the module text of an integration test of `nimbus-tests` that needs none.
const NO_SERVERS: &str = "Needs no server.";

/// Runs the steps; returns whether all passed.
pub fn run(repository: &Path, quick: bool) -> anyhow::Result<bool> {
    let mut steps = Steps::default();
    let needed = steps.run("what the machine must have", || judge(check_needs(repository, quick)));
    if !needed {
        return Ok(steps.summary());
    }
    steps.run("format", || program(&mut at(repository, &["fmt", "--all", "--check"])));
    let lints = ["clippy", "--workspace", "--all-targets", "--features", FEATURES, "--", "-D", "warnings"];
    steps.run("lints", || program(&mut at(repository, &lints)));
    steps.run("licences, bans and sources", || deny(repository));
    if quick {
        quick_tests(repository, &mut steps)?;
    } else {
        all_tests(repository, &mut steps);
    }
    Ok(steps.summary())
}

fn check_needs(repository: &Path, quick: bool) -> anyhow::Result<()> {
    needs::compiler()?;
    if !quick {
        needs::go(repository)?;
        needs::postgres()?;
    }
    Ok(())
}

fn all_tests(repository: &Path, steps: &mut Steps) {
    let rig = steps.run("the real cluster's programs", || judge(rig::ensure(repository).map(drop)));
    // Exactly what `cargo test` selects, so that nothing is compiled twice; but it also leaves the
    // programs that the tests start in the target directory.
    let everything = ["build", "--workspace", "--all-targets", "--features", FEATURES];
    let built = steps.run("build", || program(&mut at(repository, &everything)));
    if rig && built {
        let test = ["test", "--workspace", "--no-fail-fast", "--features", FEATURES];
        steps.run("every test", || program(&mut at(repository, &test)));
    } else {
        steps.skip("every test", "what they run could not be built");
    }
}

fn quick_tests(repository: &Path, steps: &mut Steps) -> anyhow::Result<()> {
    let names = tests_without_servers(repository)?;
    let mut test = vec!["test", "--workspace", "--no-fail-fast", "--features", FEATURES, "--lib", "--bins"];
    for name in &names {
        test.extend(["--test", name]);
    }
    steps.run("tests without servers", || program(&mut at(repository, &test)));
    let docs = ["test", "--workspace", "--no-fail-fast", "--features", FEATURES, "--doc"];
    steps.run("examples in the documentation", || program(&mut at(repository, &docs)));
    Ok(())
}

/// The names of all integration tests but those that need servers.
fn tests_without_servers(repository: &Path) -> anyhow::Result<Vec<String>> {
    let output = at(repository, &["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let mut names = Vec::new();
    for package in packages {
        for target in package["targets"].as_array().unwrap_or(&empty) {
            let is_test =
                target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"));
            let (Some(name), Some(source)) = (target["name"].as_str(), target["src_path"].as_str()) else {
                continue;
            };
            let serverless = package["name"] != SERVER_TESTS
                || std::fs::read_to_string(source).is_ok_and(|text| text.contains(NO_SERVERS));
            if is_test && serverless {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

fn deny(repository: &Path) -> Outcome {
    let found = at(repository, &["deny", "--version"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        program(&mut at(repository, &["deny", "check", "licenses", "bans", "sources"]))
    } else {
        Outcome::Skipped("cargo-deny is not installed: `cargo install --locked cargo-deny`".to_owned())
    }
}

fn judge(result: anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn at(repository: &Path, words: &[&str]) -> Command {
    let mut command = cargo();
    command.current_dir(repository).args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_run_leaves_out_what_needs_servers_and_nothing_else() {
        let names = tests_without_servers(&crate::repository().unwrap()).unwrap();
        assert!(!names.iter().any(|name| name == "rig"), "{names:?}");
        assert!(names.iter().any(|name| name == "golden"), "{names:?}");
    }
}
