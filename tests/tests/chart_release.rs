//! Tests of what both charts say of the release itself, with the real helm: its name, and the version that is installed already.
//! Nothing is installed.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, printed};
use nimbus_tests::rig::repository;
use serde_json::{Value, json};

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

/// What a template of a chart says of what is installed. Only a cluster knows what is, so what judges it is asked by itself, by
/// a chart of the same name and of the version 0.3.0 that has nothing else in it.
fn asked(chart: Chart, template: &str, values: &[&str]) -> anyhow::Result<String> {
    let asks = tempfile::tempdir()?;
    let templates = asks.path().join("templates");
    std::fs::create_dir(&templates)?;
    for file in ["_check.tpl", "_check_release.tpl"] {
        std::fs::copy(repository()?.join(chart.folder).join("templates").join(file), templates.join(file))?;
    }
    let about = format!("apiVersion: v2\nname: {chart}\nversion: 0.0.0\nappVersion: 0.3.0\n");
    std::fs::write(asks.path().join("Chart.yaml"), about)?;
    std::fs::write(templates.join("judged.yaml"), format!("said: |{{{{ {template} }}}}\n"))?;
    let folder = asks.path().display().to_string();
    printed(&[&["template", "nimbus", &folder, "--namespace", "ops"][..], values].concat())
}

/// What a chart of the version `own` says where `installed` is installed.
fn judged(chart: Chart, installed: &str, own: &str) -> anyhow::Result<String> {
    let judge = format!("include \"{chart}.check.versions\" (list \"X\" .Values.installed .Values.own)");
    asked(chart, &judge, &["--set-string", &format!("installed={installed},own={own}")])
}

/// An object of the chart of this name, of a release and a version.
fn installed(name: &str, release: &str, chart: &str, version: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/version": version,
        "helm.sh/chart": format!("{chart}-{version}"),
    });
    json!({"metadata": {"name": name, "labels": labels}})
}

/// Another fullnameOverride or nameOverride is another name, and no way round the versions between.
#[test]
fn what_is_installed_is_known_by_its_release_and_not_by_its_name() {
    for chart in [PLANE, AGENT] {
        let said = |objects: &Value| {
            let judge = "(dict \"root\" . \"kind\" \"Kind\" \"objects\" .Values.objects)";
            let judge = format!("include \"{chart}.check.installed\" {judge}");
            asked(chart, &judge, &["--set-json", &format!("objects={objects}")]).unwrap()
        };
        let own = |name: &str, version: &str| installed(name, "nimbus", chart.name(), version);
        let elses = installed("x", "other", chart.name(), "0.1.0");
        let of_another_chart = installed("x", "nimbus", "database", "0.1.0");
        let alike = installed("x", "nimbus", &format!("{chart}-more"), "0.1.0");
        for objects in [
            json!([own("anything", "0.1.0")]),
            json!([elses, own("anything", "0.1.0")]),
            json!([own("older", "0.0.9"), own("anything", "0.1.0"), own("none", "latest")]),
            json!([own("anything", "0.1.0"), own("older", "0.0.9")]),
        ] {
            let said = said(&objects);
            let words = ["the version of the Kind ops/anything: expected", "chart, 0.3.0", "found 0.1.0;"];
            assert!(words.iter().all(|word| said.contains(word)), "{objects}: {said}");
        }
        for objects in [
            json!([]),
            json!(null),
            json!([elses, of_another_chart, alike]),
            json!([own("anything", "0.2.0")]),
            // What an upgrade that failed left beside it.
            json!([own("older", "0.1.0"), own("anything", "0.2.0"), own("old", "0.1.9")]),
            json!([{"metadata": {"name": "without labels"}}]),
            json!([own("none", "latest")]),
        ] {
            let said = said(&objects);
            assert!(!said.contains("expected"), "{objects}: {said}");
        }
        // Of 0.9 and 0.10 the second one is newer.
        let said = said(&json!([own("older", "0.9.0"), own("anything", "0.10.0"), own("old", "0.2.0")]));
        assert!(said.contains("ops/anything: expected") && said.contains("found 0.10.0;"), "{said}");
    }
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
