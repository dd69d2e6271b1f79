//! Tests of where pods may be, by affinity and by topology spread, with the real helm: what the API server would refuse of them,
//! after other objects are there, is refused by the name of its value, and what it takes is rendered. Nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, only};
use serde_json::{Value, json};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const SPREAD: &str = "topologySpreadConstraints";
/// A label that the pods of both charts have.
const OWN: &str = "app.kubernetes.io/instance";

/// This value is refused in a line that has all of the words.
fn assert_refused(chart: Chart, name: &str, value: &Value, words: &[&str]) {
    let given = format!("{name}={value}");
    let said = chart.refusal(&["--set-json", &given]).unwrap();
    let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{chart}: {given}: expected a line with {words:?} in {said:?}");
}

/// It is rendered as it is.
fn assert_rendered(chart: Chart, name: &str, value: &Value) {
    let given = format!("{name}={value}");
    let objects = chart.objects(&["--set-json", &given]).unwrap();
    let kind = if chart == PLANE { "StatefulSet" } else { "DaemonSet" };
    let pod = &only(&objects, kind, "").unwrap()["spec"]["template"]["spec"];
    assert_eq!(&pod[name], value, "{chart}: {given}");
}

/// An affinity to nodes of this term.
fn to_nodes(term: &Value) -> Value {
    json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}})
}

/// An affinity to these nodes that is a wish.
fn rather_to_nodes(weight: i32, preference: &Value) -> Value {
    json!({"nodeAffinity": {PREFERRED: [{"weight": weight, "preference": preference}]}})
}

/// An affinity away from the pods of this term.
fn from_pods(term: &Value) -> Value {
    json!({"podAntiAffinity": {REQUIRED: [term]}})
}

#[test]
fn an_expression_has_an_operator_and_the_values_that_it_needs() {
    let at = format!("  - affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]");
    let (keys, values) = (format!("{at}.key: expected"), format!("{at}.values: expected"));
    let (keys, values) = (keys.as_str(), values.as_str());
    for chart in [PLANE, AGENT] {
        for (expression, words) in [
            (json!({"key": "a", "operator": "Foo"}), ["/matchExpressions/0/operator'", "'DoesNotExist'"]),
            (json!({"key": "a"}), ["/matchExpressions/0'", "missing property 'operator'"]),
            (json!({"operator": "Exists"}), ["/matchExpressions/0'", "missing property 'key'"]),
            (json!({"key": "a", "operator": "Exists", "value": "b"}), ["'value'", "not allowed"]),
            (json!({"key": "a", "operator": "In", "values": [1]}), ["/values/0'", "got number"]),
            (json!({"key": "a", "operator": "In"}), [values, "found In without values"]),
            (json!({"key": "a", "operator": "NotIn", "values": []}), [values, "NotIn without values"]),
            (json!({"key": "a", "operator": "Exists", "values": ["b"]}), [values, "Exists with values"]),
            (json!({"key": "a", "operator": "DoesNotExist", "values": ["b"]}), [values, "with values"]),
            (json!({"key": "a", "operator": "Gt"}), [values, "one value beside the operator Gt, found 0"]),
            (json!({"key": "a", "operator": "Lt", "values": ["1", "2"]}), [values, "Lt, found 2"]),
            (json!({"key": "a b", "operator": "Exists"}), [keys, "found \"a b\""]),
            (json!({"key": "a", "operator": "In", "values": ["b", "c d"]}), [values, "(3 characters)"]),
        ] {
            let affinity = to_nodes(&json!({"matchExpressions": [expression]}));
            assert_refused(chart, "affinity", &affinity, &words);
        }
        assert_rendered(
            chart,
            "affinity",
            &to_nodes(&json!({"matchExpressions": [
                {"key": "example.com/a", "operator": "In", "values": ["b", "C_d", ""]},
                {"key": "a", "operator": "NotIn", "values": ["b"]},
                {"key": "a", "operator": "Exists"},
                {"key": "a", "operator": "DoesNotExist", "values": []},
                {"key": "a", "operator": "Gt", "values": ["1"]},
            ]})),
        );
    }
}

#[test]
fn an_affinity_to_nodes_is_one_of_kubernetes() {
    let field = |key: &str, operator: &str, values: &[&str]| {
        to_nodes(&json!({"matchFields": [{"key": key, "operator": operator, "values": values}]}))
    };
    let one = "expected the key metadata.name, the operator In or NotIn, and one value";
    for chart in [PLANE, AGENT] {
        for (affinity, words) in [
            (json!({"nodeAffinty": {}}), ["at '/affinity'", "'nodeAffinty' not allowed"]),
            (json!({"nodeAffinity": []}), ["at '/affinity/nodeAffinity'", "got array"]),
            (
                json!({"nodeAffinity": {"required": {}}}),
                ["'/affinity/nodeAffinity'", "'required' not allowed"],
            ),
            (json!({"nodeAffinity": {REQUIRED: {}}}), [REQUIRED, "missing property 'nodeSelectorTerms'"]),
            (
                json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}),
                ["nodeSelectorTerms'", "minItems"],
            ),
            (
                json!({"nodeAffinity": {PREFERRED: [{"preference": {}}]}}),
                [PREFERRED, "missing property 'weight'"],
            ),
            (
                to_nodes(&json!({"matchLabels": {"a": "b"}})),
                ["nodeSelectorTerms/0'", "'matchLabels' not allowed"],
            ),
            (rather_to_nodes(0, &json!({})), ["/0/weight'", "got 0, want 1"]),
            (rather_to_nodes(101, &json!({})), ["/0/weight'", "got 101, want 100"]),
            (
                field("metadata.namespace", "In", &["a"]),
                ["matchFields[0]: expected", "\"metadata.namespace\""],
            ),
            (field("metadata.name", "Exists", &[]), [one, "Exists and 0 values"]),
            (field("metadata.name", "In", &["a", "b"]), [one, "In and 2 values"]),
            (field("metadata.name", "In", &["A_1"]), ["matchFields[0].values: expected", "(3 characters)"]),
        ] {
            assert_refused(chart, "affinity", &affinity, &words);
        }
        for affinity in [
            json!({"nodeAffinity": {}}),
            to_nodes(&json!({})),
            field("metadata.name", "NotIn", &["node-1.example.com"]),
            rather_to_nodes(1, &json!({})),
            // A preference may ask for what no label can be.
            rather_to_nodes(
                100,
                &json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b c"]}]}),
            ),
        ] {
            assert_rendered(chart, "affinity", &affinity);
        }
    }
}

#[test]
fn an_affinity_to_pods_is_one_of_kubernetes() {
    let some = json!({"matchLabels": {"app": "x"}});
    let own = json!({"matchLabels": {OWN: "nimbus"}});
    let gt = json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]});
    let at = format!("  - affinity.podAntiAffinity.{REQUIRED}[0].");
    let at = at.as_str();
    for chart in [PLANE, AGENT] {
        for (term, words) in [
            (json!({"labelSelector": some}), ["/0'", "missing property 'topologyKey'"]),
            (json!({"topologyKey": ""}), ["/0/topologyKey'", "minLength"]),
            (json!({"topologyKey": "a b"}), [at, "topologyKey: expected keys"]),
            (json!({"topologyKey": "k", "selector": some}), ["/0'", "'selector' not allowed"]),
            (
                json!({"topologyKey": "k", "labelSelector": {"app": "x"}}),
                ["/labelSelector'", "'app' not allowed"],
            ),
            (json!({"topologyKey": "k", "labelSelector": gt}), [at, "operator: expected one of In, NotIn"]),
            (
                json!({"topologyKey": "k", "namespaceSelector": {"matchLabels": {"a": "b c"}}}),
                [at, "namespaceSelector.matchLabels.a: expected at most 63"],
            ),
            (json!({"topologyKey": "k", "namespaces": ["Shop"]}), ["/namespaces/0'", "'Shop'"]),
            (
                json!({"topologyKey": "k", "matchLabelKeys": ["a"]}),
                [at, "matchLabelKeys: expected a labelSelector"],
            ),
            (
                json!({"topologyKey": "k", "labelSelector": some, "mismatchLabelKeys": ["a b"]}),
                [at, "mismatchLabelKeys: expected keys"],
            ),
            (
                json!({
                    "topologyKey": "k",
                    "labelSelector": {},
                    "matchLabelKeys": ["a"],
                    "mismatchLabelKeys": ["a"],
                }),
                [at, "other keys than in mismatchLabelKeys, found \"a\""],
            ),
            (
                json!({"topologyKey": "k", "labelSelector": own, "matchLabelKeys": [OWN]}),
                [at, "other keys than in labelSelector, found"],
            ),
        ] {
            assert_refused(chart, "affinity", &from_pods(&term), &words);
        }
        for (term, words) in [
            (json!({"weight": 0, "podAffinityTerm": {"topologyKey": "k"}}), ["/0/weight'", "got 0, want 1"]),
            (json!({"weight": 101, "podAffinityTerm": {"topologyKey": "k"}}), ["/0/weight'", "want 100"]),
            (json!({"weight": 1}), ["/0'", "missing property 'podAffinityTerm'"]),
            (json!({"weight": 1, "topologyKey": "k"}), ["/0'", "'topologyKey' not allowed"]),
        ] {
            assert_refused(chart, "affinity", &json!({"podAffinity": {PREFERRED: [term]}}), &words);
        }
        let term = json!({
            "topologyKey": "topology.kubernetes.io/zone",
            "labelSelector": {
                "matchLabels": {"app": "x"},
                "matchExpressions": [{"key": "a", "operator": "Exists"}],
            },
            "namespaceSelector": {},
            "namespaces": ["shop", "web-1"],
            "matchLabelKeys": [OWN],
            "mismatchLabelKeys": ["app"],
        });
        let preferred = json!({PREFERRED: [{"weight": 100, "podAffinityTerm": term}], REQUIRED: [term]});
        assert_rendered(chart, "affinity", &json!({"podAffinity": preferred, "podAntiAffinity": {}}));
    }
}

#[test]
fn a_spread_is_one_of_kubernetes() {
    /// A constraint with these fields beside its own, or in their place.
    fn with(fields: &Value) -> Value {
        let mut constraint =
            json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"});
        let all = constraint.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        constraint
    }
    let some = json!({"matchLabels": {"app": "x"}});
    for (fields, words) in [
        (json!({"maxSkew": 0}), ["/0/maxSkew'", "got 0, want 1"]),
        (json!({"maxSkew": -1}), ["/0/maxSkew'", "got -1, want 1"]),
        (json!({"maxSkew": "1"}), ["/0/maxSkew'", "got string"]),
        (json!({"topologyKey": ""}), ["/0/topologyKey'", "minLength"]),
        (json!({"whenUnsatisfiable": "Foo"}), ["/0/whenUnsatisfiable'", "'ScheduleAnyway'"]),
        (json!({"minDomain": 1}), ["/0'", "'minDomain' not allowed"]),
        (json!({"minDomains": 0}), ["/0/minDomains'", "got 0, want 1"]),
        (
            json!({"minDomains": 2, "whenUnsatisfiable": "ScheduleAnyway"}),
            ["topologySpreadConstraints[0].minDomains: expected none", "DoNotSchedule, found 2"],
        ),
        (json!({"nodeAffinityPolicy": "honor"}), ["/0/nodeAffinityPolicy'", "'Honor'"]),
        (json!({"nodeTaintsPolicy": ""}), ["/0/nodeTaintsPolicy'", "'Ignore'"]),
        (json!({"labelSelector": {"app": "x"}}), ["/0/labelSelector'", "'app' not allowed"]),
        (
            json!({"labelSelector": {"matchLabels": {"a": "b c"}}}),
            ["[0].labelSelector.matchLabels.a", "63 letters"],
        ),
        (
            json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            ["[0].labelSelector.matchExpressions[0].values", "In without values"],
        ),
        (json!({"matchLabelKeys": ["a"]}), ["[0].matchLabelKeys: expected a labelSelector", "found none"]),
        (
            json!({"matchLabelKeys": ["a b"], "labelSelector": some}),
            ["[0].matchLabelKeys: expected keys", "\"a b\""],
        ),
        (
            json!({"matchLabelKeys": ["app"], "labelSelector": some}),
            ["[0].matchLabelKeys: expected other keys than in labelSelector", "\"app\""],
        ),
    ] {
        assert_refused(PLANE, SPREAD, &json!([with(&fields)]), &words);
    }
    for field in ["maxSkew", "topologyKey", "whenUnsatisfiable"] {
        let mut constraint = with(&json!({}));
        constraint.as_object_mut().unwrap().remove(field);
        let missing = format!("missing property '{field}'");
        assert_refused(PLANE, SPREAD, &json!([constraint]), &["/topologySpreadConstraints/0'", &missing]);
    }
    let twice = json!([with(&json!({})), with(&json!({"maxSkew": 2, "labelSelector": some}))]);
    let words = ["topologySpreadConstraints[1]: expected another topologyKey", "\"zone, DoNotSchedule\""];
    assert_refused(PLANE, SPREAD, &twice, &words);
    let all = json!({
        "minDomains": 2,
        "labelSelector": {"matchLabels": {"app": "x"}},
        "nodeAffinityPolicy": "Honor",
        "nodeTaintsPolicy": "Ignore",
        "matchLabelKeys": ["controller-revision-hash"],
    });
    let anyway = json!({"whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3});
    let host = json!({"topologyKey": "kubernetes.io/hostname"});
    assert_rendered(PLANE, SPREAD, &json!([with(&all), with(&anyway), with(&host)]));
}
