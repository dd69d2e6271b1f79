//! Tests of what both charts say of the release itself, with the real helm: its name, the version that is installed already, and
//! the cluster that it is in. Nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_tests::helm::{
    AGENT, CONTROL_PLANE as PLANE, Chart, REFUSED_BY_POD_SECURITY, TAKEN_BY_POD_SECURITY, asked,
    in_namespace_that_enforces, installed, printed,
};
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

/// What a chart of the version `own` says where `installed` is installed.
fn judged(chart: Chart, installed: &str, own: &str) -> anyhow::Result<String> {
    let judge = format!("include \"{chart}.check.versions\" (list \"X\" .Values.installed .Values.own)");
    asked(chart, &judge, &["--set-string", &format!("installed={installed},own={own}")])
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

/// Helm would say that the release is deployed, and no pod would ever be made.
#[test]
fn files_of_the_nodes_are_refused_in_a_namespace_that_enforces_pod_security() {
    let judged = |labels: Value, files: &str| {
        let namespaces = json!({
            "kube-system": {"metadata": {"uid": "u"}},
            "ops": {"metadata": {"uid": "o", "labels": labels}},
        });
        let judge = "(dict \"root\" . \"named\" (dict \"ops\" \"hostAccess.files\") \"found\" .Values.found)";
        let judge = format!("include \"{AGENT}.check.found\" {judge}");
        let found = format!("found={namespaces}");
        let files = format!("hostAccess.files={files}");
        asked(AGENT, &judge, &["--set-json", &found, "--set-json", &files]).unwrap()
    };
    let (label, files) =
        ("pod-security.kubernetes.io/enforce", r#"[{"path": "/etc/hosts", "type": "File"}]"#);
    for enforced in ["baseline", "restricted"] {
        let said = judged(json!({label: enforced}), files);
        let words = ["  - hostAccess.files: expected", "\"ops\"", enforced, "kubectl create namespace NAME"];
        assert!(words.iter().all(|word| said.contains(word)), "{enforced}: {said}");
    }
    for (labels, files) in [
        (json!({label: "privileged"}), files),
        (json!({"pod-security.kubernetes.io/warn": "restricted"}), files),
        (json!({label: "restricted"}), "[]"),
    ] {
        let said = judged(labels.clone(), files);
        assert!(!said.contains("expected"), "{labels}: {said}");
    }
}

/// By the Pod Security Standards, values that a level refuses; what the charts themselves render is taken by both.
#[test]
fn every_value_that_pod_security_refuses_is_refused_where_its_level_is_enforced() {
    let of_both = REFUSED_BY_POD_SECURITY.iter().copied().chain([
        (
            r"podAnnotations.container\.apparmor\.security\.beta\.kubernetes\.io/x=unconfined",
            "podAnnotations",
            true,
        ),
        ("podSecurityContext.runAsUser=0", "podSecurityContext.runAsUser", false),
        ("podSecurityContext.sysctls={a}", "podSecurityContext.sysctls", true),
        ("securityContext.procMount=Unmasked", "securityContext.procMount", true),
        ("podSecurityContext.windowsOptions.hostProcess=true", "podSecurityContext.windowsOptions", true),
        ("securityContext.capabilities=x", "securityContext.capabilities.drop", false),
    ]);
    let of_one = [(AGENT, ("hostAccess.units=true", "hostAccess.units", true))];
    let of_each = [PLANE, AGENT].into_iter().flat_map(|chart| of_both.clone().map(move |case| (chart, case)));
    for (chart, (values, names, by_baseline)) in of_each.chain(of_one) {
        let judged = |enforced| in_namespace_that_enforces(chart, enforced, values).unwrap();
        let refusal = format!("{names}: expected nothing that Pod Security refuses");
        assert!(judged("restricted").contains(&refusal), "{chart}, {values}: {}", judged("restricted"));
        assert_eq!(judged("baseline").contains(&refusal), by_baseline, "{chart}, {values}");
        assert!(!judged("privileged").contains("expected"), "{chart}, {values}");
    }
    let of_both = [TAKEN_BY_POD_SECURITY, &["extraVolumes[0].name=a,extraVolumes[0].hostPath=null"]].concat();
    let of_each =
        [PLANE, AGENT].into_iter().flat_map(|chart| of_both.iter().map(move |values| (chart, *values)));
    for (chart, values) in of_each.chain([(AGENT, "acting.actions={}")]) {
        let said = in_namespace_that_enforces(chart, "restricted", values).unwrap();
        assert!(!said.contains("expected"), "{chart}, {values}: {said}");
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
    let files = "hostAccess.files[0].path=/etc/hosts,hostAccess.files[0].type=File";
    assert!(asks(files).contains("\"ops\":\"hostAccess.files\""));
    assert!(asks("hostAccess.units=true").contains("\"ops\":\"hostAccess.units\""));
    for values in ["acting.actions={}".to_owned(), format!("{acting},acting.checkCluster=false")] {
        let said = asks(&values);
        assert!(!said.contains("named"), "{values}: {said}");
    }
}

/// Named as somebody's own, an object that the chart made is no longer among what it makes, so that helm takes it away.
#[test]
fn what_helm_would_delete_is_not_taken_for_one_of_yours() {
    for chart in [PLANE, AGENT] {
        let said = |object: &Value| {
            let judge = "(dict \"root\" . \"at\" \"a.b\" \"kind\" \"ConfigMap\" \"object\" .Values.object)";
            let judge = format!("include \"{chart}.check.lets\" {judge}");
            asked(chart, &judge, &["--set-json", &format!("object={object}")]).unwrap()
        };
        let mut made = installed("c", "nimbus", chart.name(), "0.3.0");
        let deleted = said(&made);
        let words = ["  - a.b: expected", "kubectl -n ops annotate configmap c helm.sh/resource-policy=keep"];
        assert!(words.iter().all(|word| deleted.contains(word)), "{deleted}");
        made["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
        let elses = installed("c", "other", chart.name(), "0.3.0");
        for object in [made, elses, json!({"metadata": {"name": "c"}}), json!({})] {
            let said = said(&object);
            assert!(!said.contains("expected"), "{object}: {said}");
        }
    }
}

/// Only what the pods of this release use is looked up: whoever installs anew needs no right to see it.
#[test]
fn what_pods_use_is_known_by_its_kind_and_name() {
    let pod = json!({
        "serviceAccountName": "watch",
        "volumes": [{"name": "a", "configMap": {"name": "c"}}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c"}],
        "containers": [{"env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "j"}}}]}],
    });
    let set = json!({"spec": {"template": {"spec": pod}}});
    for chart in [PLANE, AGENT] {
        for (kind, name, is_used) in [
            ("ServiceAccount", "watch", true),
            ("ServiceAccount", "c", false),
            ("ConfigMap", "c", true),
            ("Secret", "s", true),
            ("Secret", "j", true),
            ("Secret", "c", false),
        ] {
            let judge = format!("(dict \"set\" .Values.set \"kind\" \"{kind}\" \"name\" \"{name}\")");
            let judge = format!("include \"{chart}.uses\" {judge} | printf \"\\n  %s\"");
            let said = asked(chart, &judge, &["--set-json", &format!("set={set}")]).unwrap();
            assert_eq!(said.contains("true"), is_used, "{kind} {name}: {said}");
        }
    }
}

/// The stop goes by the DaemonSet's name, and agents of another name would act again.
#[test]
fn a_new_name_lifts_no_stop() {
    let said = |stopped: &Value, new: bool, values: &str| {
        let judge = "(dict \"root\" . \"stopped\" .Values.stopped \"new\" .Values.new)";
        let judge = format!("include \"{AGENT}.check.stopped\" {judge}");
        asked(AGENT, &judge, &["--set-json", &format!("stopped={stopped},new={new}"), "--set", values])
            .unwrap()
    };
    for (values, words) in [
        (
            "fullnameOverride=y",
            ["  - fullnameOverride: expected", "create configmap y-stop --from-literal=why="],
        ),
        ("nameOverride=eyes", ["  - nameOverride: expected", "create configmap nimbus-eyes-stop"]),
    ] {
        let said = said(&json!(["nimbus-agent"]), false, values);
        assert!(words.iter().all(|word| said.contains(word)), "{values}: {said}");
        assert!(said.contains("the ConfigMap nimbus-agent-stop stops its agents"), "{said}");
    }
    for (stopped, new) in [(json!([]), false), (json!(["nimbus-agent"]), true)] {
        assert!(!said(&stopped, new, "fullnameOverride=y").contains("expected"), "{stopped}");
    }
}
