//! Tests of conditions: what is taken, what is refused with its place, and what is unknown.

use super::built_in;
use super::text::validate;
use crate::model::ActionKind;
use crate::remedies::{self, Consent};
use crate::rulebook::facts::{ALL, sample};
use crate::rulebook::{Condition, MAX_CONDITION, RuleText, action_of};

fn holds(text: &str) -> Result<bool, String> {
    Condition::compile(text).unwrap_or_else(|why| panic!("{text}: {why}")).holds(&sample())
}

#[test]
fn conditions_are_as_cel_has_them() {
    for (text, expected) in [
        ("finding.kind == 'volume_near_full'", true),
        ("finding.kind in ['pod_crash_loop', 'volume_near_full'] && action.to_mib <= 12288", true),
        ("action.to_mib - action.from_mib > 4 * 1024", false),
        ("action.to_mib == 12 * 1024 && -history.attempts <= 0", true),
        ("object.labels.team == 'data' && object.labels['team'] != 'web' && 'team' in object.labels", true),
        ("has(object.labels.owner) || object.name.startsWith('data-')", true),
        ("!has(object.labels.team)", false),
        ("object.name.endsWith('-0') && object.name.contains('ata')", true),
        ("history.returns >= 2 ? object.namespace == 'shop' : false", true),
        ("size(object.name) == 6 && object.labels.size() == 1 && size([1, 2]) == 2", true),
        ("'b' > 'a' && true", true),
        // Decided by the side that is known.
        ("workload.kind == 'Deployment' || object.namespace == 'shop'", true),
        ("workload.kind == 'Deployment' && object.namespace == 'bank'", false),
        ("has(workload.kind)", false),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_known_or_cannot_be_worked_out_is_unknown_and_never_true() {
    for (text, why) in [
        ("workload.kind == 'Deployment'", "kind"),
        ("object.labels.owner == 'ann'", "owner"),
        ("object.labels['owner'] == 'ann'", ""),
        ("action.to_revision > 3", "to_revision"),
        ("!(workload.name == 'web')", "name"),
        ("9223372036854775807 + action.to_mib > 0", "cannot be worked out"),
    ] {
        let unknown = holds(text).unwrap_err();
        assert!(unknown.contains(why), "{text}: {unknown}");
    }
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    for (text, said) in [
        ("finding.kind ==", "line 1, column"),
        ("finding.kind = 'x'", "line 1, column"),
        ("true &&\n  finding.sort == 'x'", "line 2, column 10: expected a fact, found \"finding.sort\""),
        ("kind == 'x'", "line 1, column 1: expected a fact, such as finding.kind, found \"kind\""),
        ("action.to_mib > '100'", "line 1, column 17: expected a whole number, found a text"),
        ("action.to_mib", "expected a condition, which is true or false, found a whole number"),
        ("object.name.matches('^(a+)+$')", "found \"matches\""),
        ("object.labels.all(k, k != '')", "expected no loop"),
        ("[1, 2, 3].exists(x, x > 2)", "expected no loop"),
        ("{'a': 1}.a == 1", "expected no map"),
        ("1.5 < 2.0", "expected a text, a whole number, true or false"),
        ("null == null", "expected a text, a whole number"),
        ("history.attempts in ['a']", "expected a text, found a whole number"),
        ("[] == []", "expected a list of something"),
        ("[1, 'a'] == [1]", "expected a whole number, found a text"),
        ("object.labels == object.labels", "found labels"),
        ("object.name.team == 'x'", "expected labels before \"team\", found a text"),
        ("object.name + 'x' == 'y'", "expected a whole number, found a text"),
        ("now() > 1", "found \"now\""),
        // By these a condition could flip every minute.
        ("history.open_minutes % 2 == 0", "expected one of the operators"),
        ("history.open_minutes / 2 > 1", "expected one of the operators"),
        ("object", "found \"object\""),
        ("", ""),
    ] {
        let refused = Condition::compile(text).unwrap_err();
        assert!(refused.contains(said), "{text}: {refused}");
    }
    let long = format!("finding.kind == '{}'", "x".repeat(MAX_CONDITION));
    assert!(Condition::compile(&long).unwrap_err().contains("at most 1024 characters"));
}

#[test]
fn a_condition_of_any_depth_is_taken_or_refused_and_never_ends_the_program() {
    // On the smallest stack that a task of the control plane has.
    let deep = || {
        for text in [
            format!("1{} == 1", "+1".repeat(157)),
            format!("true{}", "==true".repeat(79)),
            format!("''{}", "in''".repeat(160)),
            format!("''{}", "in''".repeat(250)),
            format!("object{} == ''", ".x".repeat(155)),
            format!("{}true", "!".repeat(160)),
            format!("1{} == 1", "+1".repeat(509)),
            format!("{}true{}", "(".repeat(150), ")".repeat(150)),
            format!("{}true{}", "(".repeat(500), ")".repeat(500)),
            format!("{}true", "!".repeat(1_000)),
            "true && ".repeat(120) + "true",
            format!("{}1{} == 1", "-(".repeat(300), ")".repeat(300)),
            "[".repeat(1_000),
            "\u{202e}\0\u{7}\"'".repeat(100),
        ] {
            if let Ok(condition) = Condition::compile(&text) {
                let _ = condition.holds(&sample());
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn every_built_in_rule_can_be_set_as_it_is_shown() {
    for action in ActionKind::ALL {
        let text = built_in::of(*action);
        assert_eq!(text.is_none(), remedies::of(*action).consent() == Consent::Command, "{action}");
        let Some(text) = text else { continue };
        assert_eq!(validate(&text), Ok(()), "{action}");
        assert_eq!(text.auto_approve, remedies::of(*action).consent() == Consent::Rule, "{action}");
        assert_eq!(action_of(&text.name), Some(*action));
        assert_eq!(text.name.replace('-', "_"), action.as_str());
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<RuleText>(&json).unwrap(), text);
    }
}

#[test]
fn what_is_no_rule_is_refused_with_its_field() {
    type Change = fn(&mut RuleText);
    let changes: [(&str, Change); 15] = [
        ("name", |rule| rule.name = String::new()),
        ("name", |rule| rule.name = "Grow".into()),
        ("name", |rule| rule.name = "-grow".into()),
        ("name", |rule| rule.name = "g".repeat(64)),
        ("action", |rule| rule.action = "move_the_moon".into()),
        ("action", |rule| rule.action = "accept_baseline".into()),
        ("action", |rule| rule.name = "restart-pod".into()),
        ("clusters", |rule| rule.clusters = vec![String::new()]),
        ("clusters", |rule| rule.clusters = vec!["c".into(); 65]),
        ("namespaces", |rule| rule.namespaces = vec!["a\nb".into()]),
        ("labels", |rule| rule.labels = [(String::new(), "x".to_owned())].into()),
        ("labels", |rule| rule.labels = (0..17).map(|n| (n.to_string(), String::new())).collect()),
        ("condition", |rule| rule.condition = "finding".into()),
        ("windows", |rule| {
            rule.auto_approve = false;
            rule.windows = vec![window()];
        }),
        ("windows", |rule| rule.windows[0].clusters = vec!["prod".into()]),
    ];
    let rule = RuleText {
        name: "grow".into(),
        auto_approve: true,
        windows: vec![window()],
        ..built_in::of(ActionKind::ExpandVolume).unwrap()
    };
    assert_eq!(validate(&rule), Ok(()));
    for (field, change) in changes {
        let mut wrong = rule.clone();
        change(&mut wrong);
        assert_eq!(validate(&wrong).unwrap_err().field, field, "{wrong:?}");
    }
}

fn window() -> crate::settings::calendar::Period {
    serde_json::from_value(
        serde_json::json!({"name": "nights", "zone": "UTC", "from": "22:00", "to": "06:00"}),
    )
    .unwrap()
}

#[test]
fn the_documentation_has_every_fact() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (of, name, _, says) in ALL {
        let row = format!("| `{of}.{name}` | {says} |");
        assert!(page.lines().any(|line| line == row), "{row}");
    }
}
