//! Tests of what both charts say of the release itself, with the real helm: its name, the version that is installed already, and
//! where that has its keys. Nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, files, printed};
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
/// a chart of the same name and of the version 0.3.0 that has the same values and makes nothing else.
fn asked(chart: Chart, template: &str, values: &[&str]) -> anyhow::Result<String> {
    let asks = tempfile::tempdir()?;
    let templates = asks.path().join("templates");
    std::fs::create_dir(&templates)?;
    for path in files(&format!("{}/templates", chart.folder))? {
        if let Some(name) = path.file_name().filter(|name| name.to_string_lossy().starts_with('_')) {
            std::fs::copy(&path, templates.join(name))?;
        }
    }
    std::fs::copy(repository()?.join(chart.folder).join("values.yaml"), asks.path().join("values.yaml"))?;
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

/// Kubernetes refuses another selector, after the Services have theirs and lead to no pod any more.
#[test]
fn another_name_override_for_the_same_name_of_all_objects_is_refused() {
    for (chart, component) in [(PLANE, "control-plane"), (AGENT, "agent")] {
        let said = |object: &Value, values: &str| {
            let judge = "(dict \"root\" . \"kind\" \"Kind\" \"objects\" .Values.objects)";
            let judge = format!("include \"{chart}.check.selects\" {judge}");
            asked(chart, &judge, &["--set-json", &format!("objects=[{object}]"), "--set", values]).unwrap()
        };
        let own = |name: &str, selected: &str| {
            let mut object = installed(name, "nimbus", chart.name(), "0.3.0");
            object["spec"]["selector"]["matchLabels"] = json!({
                "app.kubernetes.io/name": selected,
                "app.kubernetes.io/instance": "nimbus",
                "app.kubernetes.io/component": component,
            });
            object
        };
        for (name, selected, values, found) in [
            (chart.name(), chart.name(), format!("nameOverride=other,fullnameOverride={chart}"), "other"),
            ("x", "other", "fullnameOverride=x".to_owned(), chart.name()),
        ] {
            let said = said(&own(name, selected), &values);
            let words = format!(
                "  - nameOverride: expected the name of before, \"{selected}\": by it the Kind ops/{name} selects"
            );
            assert!(
                said.contains(&words) && said.contains(&format!("found \"{found}\";")),
                "{values}: {said}"
            );
        }
        let elses = installed(chart.name(), "other", chart.name(), "0.3.0");
        for (object, values) in [
            (own(chart.name(), chart.name()), "nameOverride="),
            (own("x", "other"), "nameOverride=other,fullnameOverride=x"),
            // Another object is made, and this one goes.
            (own(chart.name(), chart.name()), "nameOverride=other"),
            (elses, "nameOverride="),
            (installed(chart.name(), "nimbus", chart.name(), "0.3.0"), "nameOverride="),
        ] {
            let said = said(&object, values);
            assert!(!said.contains("expected"), "{object}, {values}: {said}");
        }
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

/// A StatefulSet of the control plane's release: what its pod has keys and database in; empty for what there is not.
fn stateful_set(name: &str, claim: &str, secret: &str, postgres: bool) -> Value {
    let mut set = installed(name, "nimbus", PLANE.name(), "0.3.0");
    let data = if claim.is_empty() {
        json!({"name": "data", "emptyDir": {}})
    } else {
        json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    };
    let mut volumes = vec![data, json!({"name": "tmp", "emptyDir": {}})];
    if !secret.is_empty() {
        volumes.push(json!({"name": "keys", "secret": {"secretName": secret}}));
    }
    let variable = if postgres { "NIMBUS_DATABASE_URL" } else { "RUST_LOG" };
    let containers = json!([{"name": "control-plane", "env": [{"name": variable, "value": "x"}]}]);
    set["spec"]["template"]["spec"] = json!({"volumes": volumes, "containers": containers});
    set
}

/// What the control plane's chart says of these values where these StatefulSets are, and this claim of `persistence.existingClaim`.
fn keeps(sets: &Value, claim: &Value, values: &str) -> String {
    keeps_beside(&json!({}), sets, claim, values)
}

/// The same where these Secrets and claims of the StatefulSets were found.
fn keeps_beside(there: &Value, sets: &Value, claim: &Value, values: &str) -> String {
    let judge = "\"objects\" .Values.objects \"claim\" .Values.made \"there\" .Values.there";
    let judge = format!("include \"{PLANE}.check.keeps\" (dict \"root\" . {judge})");
    let given = format!("objects={sets},made={claim},there={there}");
    asked(PLANE, &judge, &["--set-json", &given, "--set", values]).unwrap()
}

/// A new claim, another Secret or another database begins anew, and no agent would know the control plane any more.
#[test]
fn an_upgrade_that_would_begin_with_other_keys_or_another_database_is_refused() {
    let own = "nimbus-control-plane";
    let sqlite = || stateful_set(own, "nimbus-control-plane-data", "", false);
    let postgres = || stateful_set(own, "nimbus-control-plane-data", "", true);
    let stands_by = || stateful_set(own, "", "k", true);
    let elses = || installed("x", "other", PLANE.name(), "0.3.0");
    for (set, values, words) in [
        (sqlite(), "fullnameOverride=y", &["fullnameOverride:", "keys and database:", "found \"y\";"][..]),
        (sqlite(), "nameOverride=y", &["nameOverride as before", "nimbus-control-plane-data"]),
        (postgres(), "database.existingSecret=d,fullnameOverride=y", &["fullnameOverride:", "has keys:"]),
        (stateful_set(own, "c", "", false), "replicas=1", &["persistence.existingClaim:", "\"c\"", "none;"]),
        (sqlite(), "keys.existingSecret=k", &["keys.existingSecret: expected none", "keys.moved"]),
        (stands_by(), "keys.existingSecret=l,database.existingSecret=d", &["\"k\"", "found \"l\";"]),
        (stands_by(), "database.existingSecret=d", &["keys.existingSecret:", "found none;", "reuse-values"]),
        (stands_by(), "keys.existingSecret=k", &["database.existingSecret:", "a new SQLite"]),
        (sqlite(), "database.existingSecret=d", &["database: expected none", "docs/backup.md"]),
        // A claim takes the place of no Secret.
        (
            stands_by(),
            "persistence.existingClaim=restored",
            &["keys.existingSecret:", "\"k\"", "found none;"],
        ),
        (stands_by(), "persistence.existingClaim=restored", &["database.existingSecret:", "a new SQLite"]),
    ] {
        let said = keeps(&json!([elses(), set]), &json!({}), values);
        let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{set}, {values}: expected a line with {words:?} in {said}");
    }
    let lost = stateful_set(own, "", "", false);
    for (sets, values) in [
        (json!(null), "fullnameOverride=y,keys.existingSecret=k"),
        (json!([elses()]), "fullnameOverride=y"),
        (json!([sqlite()]), "fullnameOverride="),
        (json!([sqlite()]), "fullnameOverride=y,persistence.existingClaim=nimbus-control-plane-data"),
        (json!([sqlite()]), "persistence.existingClaim=restored"),
        (json!([sqlite()]), "keys.existingSecret=k,keys.moved=true"),
        (json!([sqlite()]), "persistence.enabled=false,persistence.acceptLossOfKeys=true"),
        (json!([postgres()]), "database.url=postgres://n@db/n"),
        (json!([stands_by()]), "keys.existingSecret=k,database.existingSecret=d,fullnameOverride=y"),
        (json!([stands_by()]), "persistence.existingClaim=restored,keys.moved=true"),
        (json!([lost]), "fullnameOverride=y,keys.existingSecret=k"),
        // What an upgrade that failed left beside it.
        (json!([stateful_set("y", "y-data", "", false), sqlite()]), "fullnameOverride="),
    ] {
        let said = keeps(&sets, &json!({}), values);
        assert!(!said.contains("expected"), "{sets}, {values}: {said}");
    }
}

/// No pod could start with what was named at first, so that nothing is lost where it is corrected.
#[test]
fn a_first_install_with_a_wrong_secret_or_a_claim_without_a_volume_is_corrected() {
    let own = "nimbus-control-plane";
    let claim = "nimbus-control-plane-data";
    let state = |phase: &str| json!({"metadata": {"name": claim}, "status": {"phase": phase}});
    let secret = json!({"metadata": {"name": "k"}, "data": {"ca.pem": "eA==", "ca.key": "eA=="}});
    let elses = || json!({"metadata": {"name": "k"}, "data": {"tls.crt": "eA==", "tls.key": "eA=="}});
    let stands_by = || stateful_set(own, "", "k", true);
    let sqlite = || stateful_set(own, claim, "", false);
    let both = || stateful_set(own, claim, "k", false);
    for (there, set, values) in [
        (json!({"secret/k": {}}), stands_by(), "keys.existingSecret=l,database.existingSecret=d"),
        (json!({"secret/k": elses()}), stands_by(), "keys.existingSecret=l,database.existingSecret=d"),
        (json!({"secret/k": {"metadata": {"name": "k"}, "data": null}}), stands_by(), "replicas=1"),
        (json!({"secret/k": {}}), stands_by(), "database.existingSecret=d"),
        (json!({"secret/k": {}}), stands_by(), "replicas=1"),
        (json!({"secret/k": {}, "claim/nimbus-control-plane-data": state("Bound")}), both(), "replicas=1"),
        (json!({"secret/k": {}}), both(), "keys.existingSecret=l"),
        (json!({"claim/nimbus-control-plane-data": state("Pending")}), sqlite(), "database.existingSecret=d"),
        (json!({"claim/nimbus-control-plane-data": {}}), sqlite(), "fullnameOverride=y"),
        (json!({"claim/nimbus-control-plane-data": state("Pending")}), sqlite(), "keys.existingSecret=k"),
    ] {
        let said = keeps_beside(&there, &json!([set]), &json!({}), values);
        assert!(!said.contains("expected"), "{there}, {set}, {values}: {said}");
    }
    // What is there is kept, also beside what is not.
    let bound = || json!({"claim/nimbus-control-plane-data": state("Bound")});
    for (there, sets, values, words) in [
        (json!({"secret/k": secret}), json!([stands_by()]), "database.existingSecret=d", "found none;"),
        (bound(), json!([sqlite()]), "database.existingSecret=d", "database: expected none"),
        (bound(), json!([sqlite()]), "fullnameOverride=y", "has keys and database:"),
        (json!({"secret/k": {}}), json!([both()]), "fullnameOverride=y", "has database:"),
        (json!({"secret/k": {}}), json!([both()]), "database.existingSecret=d", "database: expected none"),
        (
            json!({"secret/k": {}}),
            json!([stands_by(), stateful_set("y", "", "m", true)]),
            "keys.existingSecret=l,database.existingSecret=d",
            "expected \"m\"",
        ),
    ] {
        let said = keeps_beside(&there, &sets, &json!({}), values);
        assert!(said.contains(words), "{there}, {sets}, {values}: expected {words:?} in {said}");
    }
}

/// A pod that runs keeps its copy of a Secret that was deleted, and a claim whose volume is gone had one.
#[test]
fn what_a_pod_runs_on_is_kept_though_it_was_deleted_beside_it() {
    let own = "nimbus-control-plane";
    let claim = "nimbus-control-plane-data";
    let runs = |mut set: Value| {
        set["status"] = json!({"readyReplicas": 1});
        set
    };
    let sqlite = || stateful_set(own, claim, "", false);
    for (there, set, values) in [
        (json!({"secret/k": {}}), runs(stateful_set(own, "", "k", true)), "replicas=1"),
        (
            json!({"secret/k": {"data": {"tls.key": "eA=="}}}),
            runs(stateful_set(own, "", "k", true)),
            "replicas=1",
        ),
        (json!({"secret/k": {}}), runs(stateful_set(own, claim, "k", false)), "keys.existingSecret=l"),
        (json!({"claim/nimbus-control-plane-data": {}}), runs(sqlite()), "database.existingSecret=d"),
        (
            json!({"claim/nimbus-control-plane-data": {"status": {"phase": "Lost"}}}),
            sqlite(),
            "fullnameOverride=y",
        ),
    ] {
        let said = keeps_beside(&there, &json!([set]), &json!({}), values);
        assert!(said.contains("expected"), "{there}, {set}, {values}: {said}");
    }
}

/// Kubernetes refuses another class with words of its own, after the release is marked as failed.
#[test]
fn a_claim_of_another_class_is_refused_with_how_it_is_corrected() {
    let said = |claim: &Value, class: &str| {
        let judge = "include \"nimbus-control-plane.check.class\" (dict \"root\" . \"claim\" .Values.found)";
        let given = format!("found={claim}");
        let class = format!("persistence.storageClass={class}");
        asked(PLANE, judge, &["--set-json", &given, "--set-string", &class]).unwrap()
    };
    let claim = |class: &str, phase: &str| json!({"metadata": {"name": "c"}, "spec": {"storageClassName": class}, "status": {"phase": phase}});
    let pending = said(&claim("wrong", "Pending"), "right");
    let words =
        ["persistence.storageClass: expected \"wrong\"", "found \"right\"", "kubectl -n ops delete pvc c"];
    assert!(words.iter().all(|word| pending.contains(word)), "{pending}");
    let bound = said(&claim("wrong", "Bound"), "right");
    assert!(bound.contains("docs/backup.md") && !bound.contains("delete pvc"), "{bound}");
    for (claim, class) in [
        (claim("right", "Pending"), "right"),
        (claim("", "Pending"), "-"),
        (json!({}), "right"),
        (json!(null), "right"),
    ] {
        let said = said(&claim, class);
        assert!(!said.contains("expected"), "{claim}, {class}: {said}");
    }
}

/// Named as one of the user's own, a claim that the chart made is no longer among what it makes, so that helm takes it away.
#[test]
fn a_claim_that_helm_would_delete_is_not_taken_for_one_of_yours() {
    let said = |made: &Value| keeps(&json!([]), made, "persistence.existingClaim=c");
    let mut made = installed("c", "nimbus", PLANE.name(), "0.3.0");
    let deleted = said(&made);
    let words =
        ["persistence.existingClaim: expected", "kubectl -n ops annotate pvc c helm.sh/resource-policy=keep"];
    assert!(words.iter().all(|word| deleted.contains(word)), "{deleted}");
    made["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    for claim in [made, json!({"metadata": {"name": "c"}}), json!({})] {
        let said = said(&claim);
        assert!(!said.contains("expected"), "{claim}: {said}");
    }
}

/// No longer made, it goes with the upgrade, where nothing says that it is kept.
#[test]
fn a_claim_that_an_upgrade_would_delete_is_refused_until_it_is_kept() {
    let mut made = installed("nimbus-control-plane-data", "nimbus", PLANE.name(), "0.3.0");
    made["status"] = json!({"phase": "Bound"});
    let said = |made: &Value, values: &str| keeps(&json!([]), made, values);
    for (values, name) in [
        ("persistence.existingClaim=mine", "persistence.existingClaim: expected"),
        (
            "keys.existingSecret=k,database.existingSecret=d,persistence.enabled=false",
            "persistence: expected",
        ),
    ] {
        let deleted = said(&made, values);
        let words = [name, "annotate pvc nimbus-control-plane-data helm.sh/resource-policy=keep"];
        assert!(words.iter().all(|word| deleted.contains(word)), "{values}: {deleted}");
    }
    let mut kept = made.clone();
    kept["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    let mut empty = made.clone();
    empty["status"] = json!({"phase": "Pending"});
    for (made, values) in [
        (&kept, "persistence.existingClaim=mine"),
        (&empty, "persistence.existingClaim=mine"),
        (&made, "keys.existingSecret=k,database.existingSecret=d,keys.moved=true"),
        (&made, "persistence.enabled=false,persistence.acceptLossOfKeys=true"),
    ] {
        let said = said(made, values);
        assert!(!said.contains("expected"), "{made}, {values}: {said}");
    }
}

#[test]
fn a_claim_in_the_place_of_another_is_there() {
    let said = |claim: &Value| {
        let judge =
            "include \"nimbus-control-plane.check.elsewhere\" (dict \"root\" . \"claim\" .Values.found)";
        let given = format!("found={claim}");
        asked(PLANE, judge, &["--set-json", &given, "--set", "persistence.existingClaim=typo"]).unwrap()
    };
    let missing = said(&json!({}));
    assert!(
        missing.contains("persistence.existingClaim: expected") && missing.contains("no \"typo\" in ops"),
        "{missing}"
    );
    assert!(!said(&json!({"metadata": {"name": "typo"}})).contains("expected"));
}

/// What the agents' chart says where these namespaces were found; those that its values name are `named`.
fn found(namespaces: &Value, named: &Value, uid: &str) -> String {
    let judge = "(dict \"root\" . \"found\" .Values.found \"named\" .Values.named)";
    let judge = format!("include \"{AGENT}.check.found\" {judge}");
    let there = format!("found={namespaces},named={named}");
    asked(AGENT, &judge, &["--set-json", &there, "--set", &format!("acting.clusterUid={uid}")]).unwrap()
}

/// Helm would go as far as the first object in it, and the same command would be refused from then on.
#[test]
fn a_namespace_that_is_not_there_and_the_uid_of_another_cluster_are_refused_before_anything_is_made() {
    let (own, other) = ("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "00000000-0000-4000-8000-000000000000");
    let namespaces = json!({
        "kube-system": {"metadata": {"uid": own}},
        "shop": {"metadata": {"uid": other}},
        "gone": {"metadata": {"uid": other, "deletionTimestamp": "2026-11-28T20:00:00Z"}},
        "missing": {},
    });
    for (named, uid, words) in [
        (json!({"missing": "acting.namespaces"}), own, &["  - acting.namespaces:", "found no \"missing\""]),
        (
            json!({"missing": "lease.namespace"}),
            "",
            &["  - lease.namespace:", "kubectl create namespace missing"],
        ),
        (json!({"gone": "acting.namespaces"}), own, &["\"gone\"", "being deleted"]),
        (json!({"shop": "acting.namespaces"}), other, &[own, other]),
    ] {
        let said = found(&namespaces, &named, uid);
        let line = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(line, "{named}, {uid}: expected a line with {words:?} in {said}");
        assert_eq!(said.matches("expected").count(), 1, "{said}");
    }
    // The release's own namespace, ops, may be made by helm; what is no UID is refused elsewhere.
    for (named, uid) in [
        (json!({"shop": "acting.namespaces", "kube-system": "acting.namespaces"}), own),
        (json!({"ops": "acting.namespaces"}), ""),
        (json!({}), "u"),
    ] {
        let said = found(&namespaces, &named, uid);
        assert!(!said.contains("expected"), "{named}, {uid}: {said}");
    }
}

/// Helm ends where a look is forbidden, and whoever may give rights need not have the right to get namespaces.
#[test]
fn the_cluster_is_asked_for_the_namespaces_that_are_named_unless_that_is_switched_off() {
    let asks = |values: &str| {
        let named = format!("printf \"\\n  %s\" (include \"{AGENT}.asks\" .)");
        asked(AGENT, &named, &["--set", values]).unwrap()
    };
    let acting = "acting.namespaces={shop},acting.clusterUid=u,lease.namespace=nimbus-system";
    for values in [acting.to_owned(), format!("{acting},acting.checkCluster=null")] {
        let said = asks(&values);
        for words in ["\"shop\":\"acting.namespaces\"", "\"nimbus-system\":\"lease.namespace\""] {
            assert!(said.contains(words), "{values}: expected {words:?} in {said}");
        }
    }
    assert!(asks("acting.clusterUid=u").contains("\"named\":{}"));
    for values in ["acting.actions={}".to_owned(), format!("{acting},acting.checkCluster=false")] {
        let said = asks(&values);
        assert!(!said.contains("named"), "{values}: {said}");
    }
}
