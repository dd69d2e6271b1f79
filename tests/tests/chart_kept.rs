//! Tests of what the control plane's chart says of an upgrade that would lose keys, volume or database, with the real
//! helm. Nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_tests::helm::{CONTROL_PLANE as PLANE, asked, installed};
use serde_json::{Value, json};

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
    let both = || stateful_set(own, "nimbus-control-plane-data", "k", false);
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
        (both(), "persistence.existingClaim=restored", &["keys.existingSecret:", "\"k\"", "found none;"]),
        (stateful_set(own, "mine", "k", false), "persistence.existingClaim=other", &["keys.existingSecret:"]),
        (postgres(), "persistence.existingClaim=restored", &["database.existingSecret:", "a new SQLite"]),
        (
            stateful_set(own, "mine", "", true),
            "persistence.existingClaim=other",
            &["database.existingSecret:"],
        ),
        // Where the keys are in a Secret, no agent has to join again.
        (both(), "keys.existingSecret=k,fullnameOverride=y", &["has database:", "the history would be gone"]),
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
        (json!([both()]), "persistence.existingClaim=restored,keys.existingSecret=k"),
        (json!([postgres()]), "persistence.existingClaim=restored,database.existingSecret=d"),
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
        // That the keys were moved does not say that the volume may go.
        ("keys.existingSecret=k,database.existingSecret=d,keys.moved=true", "persistence: expected"),
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
