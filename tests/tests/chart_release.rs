//! Tests of what both charts say of the release itself, with the real helm: its name, and the version that is installed already.
//! Nothing is installed.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, printed};
use nimbus_tests::rig::repository;

/// What is made from the release's name is said of that name, unless an override is the reason.
#[test]
fn a_name_that_no_service_may_have_is_said_of_what_it_comes_from() {
    let refused = |release: &str, chart: Chart, set: &str, words: &[&str]| {
        let named = [&["template", release, chart.folder][..], &chart.due, &["--set-string", set]].concat();
        let said = printed(&named).unwrap_err().to_string();
        let line = said.lines().find(|line| line.starts_with("  - ")).unwrap_or_default();
        assert!(words.iter().all(|word| line.contains(word)), "{release}, {set}: {words:?} in {said}");
    };
    let other = "choose another release name, or set fullnameOverride";
    for (chart, made) in [(PLANE, "12e3-nimbus-control-plane"), (AGENT, "12e3-nimbus-agent")] {
        refused("12e3", chart, "fullnameOverride=", &["the release's name, \"12e3\":", made, other]);
        refused("a.b", chart, "fullnameOverride=", &["the release's name, \"a.b\":", other]);
        refused("nimbus", chart, "fullnameOverride=1st", &["  - fullnameOverride:", "(3 characters)"]);
        refused(
            "nimbus",
            chart,
            "nameOverride=A_b",
            &["  - nameOverride:", "(3 characters)", "fullnameOverride"],
        );
        for release in ["y", "on", "no", "true"] {
            let rendered = printed(&[&["template", release, chart.folder][..], &chart.due].concat());
            assert!(rendered.is_ok(), "{release}: {rendered:?}");
        }
    }
}

/// What a chart of the version `own` says where `installed` is installed. Only a cluster knows what is, so what judges the two
/// is asked by itself, by a chart that has nothing else in it.
fn judged(chart: Chart, installed: &str, own: &str) -> anyhow::Result<String> {
    let asks = tempfile::tempdir()?;
    let templates = asks.path().join("templates");
    std::fs::create_dir(&templates)?;
    for file in ["_check.tpl", "_check_release.tpl"] {
        std::fs::copy(repository()?.join(chart.folder).join("templates").join(file), templates.join(file))?;
    }
    std::fs::write(asks.path().join("Chart.yaml"), "apiVersion: v2\nname: asks\nversion: 0.0.0\n")?;
    let judge =
        format!("{{{{ include \"{chart}.check.versions\" (list \"X\" .Values.installed .Values.own) }}}}");
    std::fs::write(templates.join("judged.yaml"), format!("said: |{judge}\n"))?;
    let versions = format!("installed={installed},own={own}");
    printed(&["template", "asks", &asks.path().display().to_string(), "--set-string", &versions])
}

#[test]
fn a_release_goes_from_one_minor_version_to_the_next() {
    for chart in [PLANE, AGENT] {
        for (installed, own) in [
            ("0.1.0", "0.3.0"),
            ("0.3.0", "0.1.9"),
            ("0.9.0", "0.11.0"),
            ("1.0.0", "2.0.0"),
            ("2.0.0", "1.0.0"),
            ("v0.1.0", "0.3.0-rc.1"),
        ] {
            let said = judged(chart, installed, own).unwrap();
            for words in
                ["the version of the X: expected", own, &format!("found {installed};"), "docs/upgrade.md"]
            {
                assert!(said.contains(words), "{installed}, {own}: expected {words:?} in {said}");
            }
        }
        for (installed, own) in [
            ("0.1.0", "0.1.0"),
            ("0.1.0", "0.1.7"),
            ("0.1.9", "0.2.0"),
            ("0.2.0", "0.1.9"),
            ("0.9.0", "0.10.0"),
            ("0.1.0_build.7", "0.2.0+build.9"),
            // Somebody's own label.
            ("latest", "0.3.0"),
            ("", "0.3.0"),
        ] {
            let said = judged(chart, installed, own).unwrap();
            assert!(!said.contains("expected"), "{installed}, {own}: {said}");
        }
    }
}
