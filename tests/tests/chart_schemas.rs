//! Tests of both charts by the schemas of every release of Kubernetes that they are for: what they render for each file of values in
//! `tests/charts` is known there, with every field. Nothing is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::Context as _;
use nimbus_tests::helm::{AGENT, CONTROL_PLANE, files};
use nimbus_tests::rig::{repository, schemas};

/// The first and the last release of Kubernetes, 1.N.
const RELEASES: std::ops::RangeInclusive<u32> = 25..=37;

/// Kinds of other projects, whose schemas are not Kubernetes'.
const OF_OTHERS: [&str; 4] = ["Certificate", "PodMonitor", "PrometheusRule", "ServiceMonitor"];

/// What both charts render for all files of values on a cluster of the release 1.`minor`, as one text.
fn rendered(minor: u32) -> anyhow::Result<String> {
    let mut text = String::new();
    for chart in [CONTROL_PLANE, AGENT] {
        for file in files(chart.variants)? {
            let (file, release) = (file.display().to_string(), format!("1.{minor}.0"));
            text += &chart.template(&["--values", &file, "--kube-version", &release])?;
        }
    }
    Ok(text)
}

/// What the schemas of the release 1.`minor` say of the objects in a file; properties that they do not know are errors.
fn checked(minor: u32, file: &Path) -> anyhow::Result<Output> {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", schemas::ensure(&repository()?)?).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "kubernetes_validate", "--strict", "-k", &format!("1.{minor}")]).arg(file);
    command.output().context("cannot run python3")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_release_of_kubernetes_knows_what_the_charts_render() {
    let text = rendered(*RELEASES.start()).unwrap();
    // So one text stands for all releases: templates ask for the release to refuse values, and render the same for each.
    assert!(text == rendered(*RELEASES.end()).unwrap(), "what the charts render differs by the release");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let of_kind = |kind: &str| text.lines().filter(|line| *line == format!("kind: {kind}")).count();
    let all = text.lines().filter(|line| line.starts_with("kind: ")).count();
    let of_others: usize = OF_OTHERS.iter().map(|kind| of_kind(kind)).sum();
    assert!(OF_OTHERS.iter().all(|kind| of_kind(kind) > 0), "each of them is rendered by some file");
    let one = |minor| {
        let output = checked(minor, file.path()).unwrap();
        let said = said(&output);
        assert!(output.status.success(), "1.{minor}: {said}");
        let passed = said.lines().filter(|line| line.contains(" passed for resource ")).count();
        let unknown: BTreeSet<&str> = said
            .lines()
            .filter_map(|line| line.split("schema for kind ").nth(1)?.split(' ').next())
            .collect();
        assert_eq!(unknown, BTreeSet::from(OF_OTHERS), "1.{minor}");
        (minor, (passed, all - of_others))
    };
    let (first, second): (Vec<u32>, Vec<u32>) = RELEASES.partition(|minor| minor % 2 == 0);
    let checks: BTreeMap<u32, (usize, usize)> = std::thread::scope(|scope| {
        let other = scope.spawn(|| second.into_iter().map(one).collect::<Vec<_>>());
        let mut checks: BTreeMap<_, _> = first.into_iter().map(one).collect();
        checks.extend(other.join().expect("the other half was checked too"));
        checks
    });
    assert_eq!(checks.len(), 13);
    assert!(checks.values().all(|(passed, due)| passed == due && *due > 200), "{checks:?}");
}

#[test]
fn what_a_release_does_not_know_is_found() {
    let text = rendered(*RELEASES.start()).unwrap();
    for (right, wrong) in [
        ("  replicas: 1\n", "  replicaz: 1\n"),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: 7"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(text.contains(right), "{right}");
        std::fs::write(file.path(), text.replacen(right, wrong, 1)).unwrap();
        let output = checked(25, file.path()).unwrap();
        assert!(!output.status.success(), "{wrong}: {}", said(&output));
    }
}
