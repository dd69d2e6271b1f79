//! The integration tests of the workspace, grouped by what they need.
//!
//! Those of every crate but `nimbus-tests` need no server. A test of `nimbus-tests` does, unless its own text says that
//! it is of another kind, with the mark of [`Kind`].

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::steps::cargo;

/// The package whose integration tests need servers.
const SERVER_TESTS: &str = "nimbus-tests";

/// What an integration test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No server.
    Serverless,
    /// Helm and nothing else: the processor is what they take.
    Charts,
    /// A real node or host, for which they wait most of their time: they leave the processor to tests beside them.
    Waiting,
    /// A cluster, a database or the product's programs; minutes.
    Servers,
    /// The same, and kills and waits for long.
    Faults,
    /// More time than CI has.
    Long,
}

impl Kind {
    /// The kinds that a test's module text declares, and how.
    const MARKS: [(Self, &str); 5] = [
        (Self::Serverless, "Needs no server."),
        (Self::Charts, "Nothing is installed."),
        (Self::Waiting, "Waits most of its time."),
        (Self::Faults, "A long fault test."),
        (Self::Long, "Too long for CI."),
    ];

    fn of(package: &str, source: &str) -> Self {
        if package != SERVER_TESTS {
            return Self::Serverless;
        }
        let head: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let marked = Self::MARKS.into_iter().find(|(_, mark)| head.contains(mark));
        marked.map_or(Self::Servers, |(kind, _)| kind)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

/// The names of the integration tests of these kinds.
pub fn integration_tests(repository: &Path, kinds: &[Kind]) -> anyhow::Result<Vec<String>> {
    let mut cargo = cargo();
    cargo.current_dir(repository).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.output().context("cannot run cargo metadata")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "cargo metadata failed: {}", said.trim());
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    let mut names = Vec::new();
    for package in &metadata.packages {
        for target in package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test")) {
            let source = std::fs::read_to_string(&target.src_path)
                .with_context(|| format!("cannot read {}", target.src_path.display()))?;
            if kinds.contains(&Kind::of(&package.name, &source)) {
                names.push(target.name.clone());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_is_of_one_kind() {
        let of = |kind| integration_tests(&crate::repository().unwrap(), &[kind]).unwrap();
        let has = |kind, name: &str| of(kind).iter().any(|found| found == name);
        assert!(has(Kind::Serverless, "golden"));
        assert!(has(Kind::Servers, "rig") && !has(Kind::Serverless, "rig"));
        assert!(has(Kind::Faults, "crash_points") && !has(Kind::Servers, "crash_points"));
        assert!(has(Kind::Charts, "charts") && has(Kind::Waiting, "installed"));
        let all = [Kind::Serverless, Kind::Charts, Kind::Waiting, Kind::Servers, Kind::Faults, Kind::Long];
        let sum: usize = all.iter().map(|kind| of(*kind).len()).sum();
        assert_eq!(sum, integration_tests(&crate::repository().unwrap(), &all).unwrap().len());
    }

    #[test]
    fn a_mark_counts_in_the_module_text_alone() {
        assert_eq!(Kind::of("nimbus-tests", "//! Kills.\n//! A long fault test.\nuse x;"), Kind::Faults);
        assert_eq!(
            Kind::of("nimbus-tests", "//! Kills.\nconst A: &str = \"Too long for CI.\";"),
            Kind::Servers
        );
        assert_eq!(Kind::of("nimbus-store", "//! Anything."), Kind::Serverless);
    }
}
