//! Tests of labels, annotations, tolerations and users in both charts, with the real helm: what the API server would refuse of one
//! object, after others are there, is refused by the name of its value, and what it takes is rendered. Nothing is installed.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, assert_accepted, assert_refused};

/// Values that are labels or name some, of a part that has to be switched on with others.
const LABELS: [(Chart, &str, &str); 12] = [
    (PLANE, "commonLabels", ""),
    (PLANE, "podLabels", ""),
    (PLANE, "nodeSelector", ""),
    (PLANE, "services.operators.labels", ""),
    (PLANE, "services.agents.labels", ""),
    (PLANE, "metrics.dashboard.labels", "metrics.dashboard.enabled=true"),
    (PLANE, "metrics.prometheusRule.labels", "metrics.prometheusRule.enabled=true"),
    (AGENT, "commonLabels", ""),
    (AGENT, "podLabels", ""),
    (AGENT, "nodeSelector", ""),
    (AGENT, "metrics.podMonitor.labels", "metrics.podMonitor.enabled=true"),
    (AGENT, "networkPolicy.serverTo[0].podSelector.matchLabels", "networkPolicy.enabled=true"),
];

/// Values that are annotations.
const ANNOTATIONS: [(Chart, &str); 9] = [
    (PLANE, "annotations"),
    (PLANE, "podAnnotations"),
    (PLANE, "services.operators.annotations"),
    (PLANE, "services.agents.annotations"),
    (PLANE, "serviceAccount.annotations"),
    (PLANE, "persistence.annotations"),
    (AGENT, "annotations"),
    (AGENT, "podAnnotations"),
    (AGENT, "serviceAccount.annotations"),
];

/// Keys that nothing may have, as `--set` takes them.
const WRONG_KEYS: [&str; 8] = ["a b", "-a", "a-", "a/", "/a", "a/b/c", "a_b/c", "a\\.\\.b/c"];

/// The name of a value as a refusal has it.
fn place(name: &str) -> String {
    name.replace("[0].", ".")
}

#[test]
fn a_label_has_a_value_that_kubernetes_takes_and_a_wrong_one_is_not_shown() {
    let longest = "a".repeat(63);
    for (chart, name, with) in LABELS {
        let at = format!("  - {}.team: expected", place(name));
        for value in ["b c", "-b", "b-", "a/b", "é", "a@b"] {
            let found = format!("found something else ({} characters)", value.len());
            assert_refused(chart, &format!("{name}.team={value},{with}"), &[&at, "63 letters", &found]);
        }
        for value in ["b", "b.c_d-E", "", &longest] {
            assert_accepted(chart, &format!("{name}.team={value},{with}"));
        }
    }
    for chart in [PLANE, AGENT] {
        let words = ["nodeSelector.team: expected", "(64 characters)"];
        assert_refused(chart, &format!("nodeSelector.team={longest}a"), &words);
    }
}

#[test]
fn a_label_and_an_annotation_have_keys_that_kubernetes_takes() {
    let longest = "a".repeat(63);
    let long = format!("{longest}a");
    let keys: Vec<&str> = WRONG_KEYS.into_iter().chain([long.as_str()]).collect();
    for (chart, name, with) in LABELS {
        for key in &keys {
            let found = format!("found \"{}\"", key.replace('\\', ""));
            let at = format!("  - {}: expected keys", place(name));
            assert_refused(chart, &format!("{name}.{key}=x,{with}"), &[&at, &found]);
        }
        let at = format!("  - {}: expected keys", place(name));
        assert_refused(chart, &format!("{name}.Example\\.com/a=x,{with}"), &[&at]);
        for key in ["a", "A_b\\.c", "example\\.com/Team", &longest] {
            assert_accepted(chart, &format!("{name}.{key}=x,{with}"));
        }
    }
    for (chart, name) in ANNOTATIONS {
        for key in &keys {
            let found = format!("found \"{}\"", key.replace('\\', ""));
            assert_refused(
                chart,
                &format!("{name}.{key}=x"),
                &[&format!("  - {name}: expected keys"), &found],
            );
        }
        // Kubernetes reads these keys as if they were in small letters, and the value may be any text.
        for key in ["a", "A_b\\.c", "Example\\.com/Team", &longest] {
            assert_accepted(chart, &format!("{name}.{key}=any text: ü/@"));
        }
    }
}

#[test]
fn an_expression_of_a_selector_names_labels() {
    for (chart, field) in [(PLANE, "agentsFrom"), (AGENT, "metricsFrom")] {
        let selector = format!("networkPolicy.{field}[0].namespaceSelector");
        let name = format!("  - networkPolicy.{field}.namespaceSelector.matchExpressions: expected");
        let with = |key: &str, value: &str| {
            let expression = format!("{selector}.matchExpressions[0]");
            let rest = format!("{expression}.operator=In,{expression}.values={{{value}}}");
            format!("networkPolicy.enabled=true,{expression}.key={key},{rest}")
        };
        assert_refused(chart, &with("a b", "c"), &[&name, "keys", "found \"a b\""]);
        assert_refused(chart, &with("a", "b,c d"), &[&name, "63 letters", "(3 characters)"]);
        assert_accepted(chart, &with("example.com/a", "b,C_d"));
    }
}

/// Nobody reads the labels of what is switched off.
#[test]
fn labels_of_what_is_switched_off_are_left_alone() {
    assert_accepted(PLANE, "metrics.serviceMonitor.labels.a=b c,metrics.dashboard.annotations.a b=c");
    assert_accepted(PLANE, "persistence.existingClaim=x,persistence.annotations.a b=c");
    assert_accepted(AGENT, "metrics.podMonitor.labels.a=b c,metrics.prometheusRule.labels.a=b c");
}

#[test]
fn a_toleration_is_one_of_kubernetes() {
    for chart in [PLANE, AGENT] {
        let with = |fields: &[&str]| {
            let all: Vec<String> = fields.iter().map(|field| format!("tolerations[0].{field}")).collect();
            all.join(",")
        };
        let exists = "operator=Exists";
        let wrong: [(&[&str], [&str; 2]); 14] = [
            (&["key=a", "operator=Foo"], ["at '/tolerations/0/operator'", "'Exists'"]),
            (&["key=a", "operator=exists"], ["at '/tolerations/0/operator'", "'Exists'"]),
            (&[exists, "effect=Foo"], ["at '/tolerations/0/effect'", "'NoExecute'"]),
            (&["key=a", "operator=Gt"], ["tolerations[0].operator: expected Equal or Exists", "\"Gt\""]),
            (&["key=a", "operator=Lt", "effect=NoSchedule"], ["feature gate", "found \"Lt\""]),
            (&["key=a", "vale=b"], ["at '/tolerations/0'", "'vale' not allowed"]),
            (&["key=a", "value=1"], ["at '/tolerations/0/value'", "want"]),
            (&["operator=Equal"], ["tolerations[0]: expected a key", "found neither"]),
            (&["value=b"], ["tolerations[0]: expected a key", "found neither"]),
            (&["key=a b", exists], ["tolerations[0].key: expected keys", "found \"a b\""]),
            (&["key=a", "value=b c"], ["tolerations[0].value: expected at most 63", "(3 characters)"]),
            (&["key=a", "value=b", exists], ["tolerations[0].value: expected none", "operator Exists"]),
            (&[exists, "tolerationSeconds=3"], ["tolerations[0].tolerationSeconds", "NoExecute, found 3"]),
            (
                &[exists, "tolerationSeconds=0", "effect=NoSchedule"],
                ["tolerations[0].tolerationSeconds", "NoExecute, found 0"],
            ),
        ];
        for (fields, words) in wrong {
            assert_refused(chart, &with(fields), &words);
        }
        let right: [&[&str]; 6] = [
            &[exists],
            &["key=a"],
            &["key=example\\.com/a", "value=b", "effect=PreferNoSchedule"],
            &["key=a", "operator=Equal", "value=", "effect="],
            &["key=a", "operator=null", "effect=null"],
            &["key=a", exists, "effect=NoExecute", "tolerationSeconds=300"],
        ];
        for fields in right {
            assert_accepted(chart, &with(fields));
        }
    }
}

#[test]
fn a_user_and_a_group_have_numbers() {
    for chart in [PLANE, AGENT] {
        for field in [
            "podSecurityContext.runAsUser",
            "podSecurityContext.runAsGroup",
            "podSecurityContext.fsGroup",
            "podSecurityContext.supplementalGroups[0]",
            "securityContext.runAsUser",
            "securityContext.runAsGroup",
        ] {
            let at = format!("at '/{}'", field.replace('.', "/").replace("[0]", "/0"));
            for (number, words) in
                [("-5", "minimum"), ("2147483648", "maximum"), ("1.5", "integer"), ("nobody", "integer")]
            {
                assert_refused(chart, &format!("{field}={number}"), &[&at, words]);
            }
            for number in ["1", "2147483647", "null"] {
                assert_accepted(chart, &format!("{field}={number}"));
            }
        }
        assert_accepted(chart, "podSecurityContext.fsGroup=0,podSecurityContext.runAsGroup=0");
    }
}
