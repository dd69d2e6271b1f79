//! Tests of both charts with peers and rules of a NetworkPolicy, with the real helm: what the API server would refuse halfway
//! through an installation is refused by the name of its value, and every rule of Kubernetes' own is taken. Nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, only};
use serde_json::{Value, json};

/// The fields with rules, and the field in them with the peers.
const RULES: [(&str, &str); 2] = [("extraIngress", "from"), ("extraEgress", "to")];

/// Both fields of both charts.
fn fields() -> impl Iterator<Item = (Chart, (&'static str, &'static str))> {
    [PLANE, AGENT].into_iter().flat_map(|chart| RULES.map(|rules| (chart, rules)))
}

/// The arguments for one entry of a field.
fn with(field: &str, entry: &Value) -> [String; 2] {
    let values = json!({"enabled": true, field: [entry]});
    ["--set-json".to_owned(), format!("networkPolicy={values}")]
}

/// This entry is refused in a line that has all of the words.
fn assert_refused(chart: Chart, field: &str, entry: &Value, words: &[&str]) {
    let [set, given] = with(field, entry);
    let said = chart.refusal(&[&set, &given]).unwrap();
    let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{chart}: {given}: expected a line with {words:?} in {said:?}");
}

/// It is rendered as it is, as the last rule.
fn assert_rendered(chart: Chart, (field, side): (&str, &str), rule: &Value) {
    let [set, given] = with(field, rule);
    let objects = chart.objects(&[&set, &given]).unwrap();
    let policy = &only(&objects, "NetworkPolicy", "").unwrap()["spec"];
    let rules = policy[if side == "from" { "ingress" } else { "egress" }].as_array().unwrap();
    assert_eq!(rules.last(), Some(rule), "{chart}: {given}");
}

/// A peer with one expression of a selector.
fn expression(selector: &str, operator: &str, values: &[&str]) -> Value {
    json!({selector: {"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]}})
}

#[test]
fn what_is_no_rule_is_refused_by_its_place() {
    for (chart, (field, side)) in fields() {
        let at = format!("at '/networkPolicy/{field}/0");
        let (peers, peer) = (format!("/{side}'"), format!("/{side}/0'"));
        let selector = format!("/{side}/0/podSelector'");
        let other = if side == "from" { "to" } else { "from" };
        for (rule, below, words) in [
            (json!("everything"), "'", "got string, want object"),
            (json!({"prots": []}), "'", "'prots' not allowed"),
            (json!({other: []}), "'", other),
            // Nothing after `to:` would be everybody.
            (json!({side: null}), peers.as_str(), "got null, want array"),
            (json!({side: [{"podselector": {}}]}), peer.as_str(), "'podselector' not allowed"),
            (json!({side: [{"podSelector": {"app": "x"}}]}), selector.as_str(), "'app' not allowed"),
            (json!({"ports": [443]}), "/ports/0'", "got number, want object"),
            (json!({"ports": [{"port": 65_536}]}), "/ports/0/port'", "want 65,535"),
            (json!({"ports": [{"port": 0}]}), "/ports/0/port'", "want 1"),
            (json!({"ports": [{"port": true}]}), "/ports/0/port'", "got boolean"),
            (json!({"ports": [{"protocol": "tcp"}]}), "/ports/0/protocol'", "'TCP', 'UDP', 'SCTP'"),
        ] {
            assert_refused(chart, field, &rule, &[&format!("{at}{below}"), words]);
        }
    }
}

#[test]
fn ports_and_networks_of_a_rule_are_refused_with_what_to_do() {
    for (chart, (field, side)) in fields() {
        let name = format!("networkPolicy.{field}[0].ports: expected");
        for (port, words) in [
            (json!({"port": "443"}), ["without quotes", "found \"443\""]),
            (json!({"port": "Https"}), ["small letters", "found \"Https\""]),
            (json!({"port": "a--b"}), ["single hyphens", "found \"a--b\""]),
            (json!({"port": "sixteen-letters-"}), ["at most 15", "found \"sixteen-letters-\""]),
            (json!({"endPort": 9}), ["a number in port", "found none"]),
            (json!({"port": "http", "endPort": 9}), ["a number in port", "found \"http\""]),
            (json!({"port": 10, "endPort": 9}), ["an endPort of at least port, 10", "found 9"]),
        ] {
            assert_refused(chart, field, &json!({"ports": [port]}), &[&name, words[0], words[1]]);
        }
        let name = format!("networkPolicy.{field}[0].{side}: expected");
        for (peer, words) in [
            (json!({}), ["a podSelector or a namespaceSelector", "found none"]),
            (
                json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}),
                ["an ipBlock alone", "two peers"],
            ),
            (json!({"ipBlock": {"cidr": "10.0.0.0"}}), ["CIDRs", "found \"10.0.0.0\""]),
            (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}), ["CIDRs", "found \"x\""]),
            (json!({"ipBlock": {}}), ["CIDRs", "found \"\""]),
            (
                expression("podSelector", "NotIn", &[]),
                ["matchExpressions of podSelector", "found NotIn without values"],
            ),
            (
                expression("namespaceSelector", "Exists", &["a"]),
                ["matchExpressions of namespaceSelector", "found Exists with values"],
            ),
        ] {
            assert_refused(chart, field, &json!({side: [peer]}), &[&name, words[0], words[1]]);
        }
    }
}

/// Peers have one form wherever they are.
#[test]
fn what_is_no_peer_is_refused_by_its_place() {
    for (chart, fields) in [
        (PLANE, &["operatorsFrom", "agentsFrom"][..]),
        (AGENT, &["serverTo", "apiServerTo", "kubeletTo", "metricsFrom"][..]),
    ] {
        for field in fields {
            let at = format!("at '/networkPolicy/{field}/0");
            assert_refused(chart, field, &json!("10.0.0.0/8"), &[&at, "got string, want object"]);
            assert_refused(chart, field, &json!({"cidr": "10.0.0.0/8"}), &[&at, "'cidr' not allowed"]);
            let name = format!("networkPolicy.{field}: expected");
            assert_refused(chart, field, &json!({}), &[&name, "in each peer", "found none"]);
        }
    }
}

#[test]
fn every_rule_of_kubernetes_is_taken() {
    let expression = json!({"key": "tier", "operator": "In", "values": ["a", "b"]});
    let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": "proxy"}});
    let peers = json!([
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        {"ipBlock": {"cidr": "2001:db8::/32"}},
        {"podSelector": {}, "namespaceSelector": namespace},
        {"podSelector": {"matchExpressions": [expression, {"key": "old", "operator": "DoesNotExist"}]}},
    ]);
    let ports = json!([
        {"port": 8000, "endPort": 8000, "protocol": "TCP"},
        {"port": "dns-tcp"},
        {"port": 65_535, "protocol": "SCTP"},
        {"protocol": "UDP"},
    ]);
    for (chart, rules) in fields() {
        let side = rules.1;
        for rule in
            [json!({}), json!({side: peers, "ports": ports}), json!({"ports": [{}]}), json!({side: []})]
        {
            assert_rendered(chart, rules, &rule);
        }
    }
}
