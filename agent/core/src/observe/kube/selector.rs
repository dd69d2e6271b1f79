//! A label selector of an object's specification, told as far as its bounds go.

use std::collections::BTreeMap;

use nimbus_protocol::v1;
use serde::Deserialize;

use crate::observe::bounded;

/// A condition on labels.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Requirement {
    pub(super) key: String,
    pub(super) operator: String,
    pub(super) values: Option<Vec<String>>,
}

/// Most labels, terms, requirements, values of a requirement and claims that are told of a selector, a pod or a volume.
pub(super) const MOST: usize = 64;

/// A selector of objects by their labels.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlimSelector {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Requirement>>,
}

impl SlimSelector {
    /// What is told of it, and whether that is all of it.
    pub(super) fn observe(&self) -> (v1::LabelSelector, bool) {
        let mut complete = true;
        let mut told = |text: &String| {
            let kept = bounded(text);
            complete &= kept == *text;
            kept
        };
        let mut match_labels = Vec::new();
        for (key, value) in self.match_labels.iter().flatten().take(MOST) {
            match_labels.push(v1::Label { key: told(key), value: told(value) });
        }
        let mut match_expressions = Vec::new();
        for one in self.match_expressions.iter().flatten().take(MOST) {
            let values = one.values.iter().flatten().take(MOST).map(&mut told).collect();
            let (key, operator) = (told(&one.key), told(&one.operator));
            match_expressions.push(v1::NodeRequirement { key, operator, values });
        }
        let values = |one: &Requirement| one.values.as_ref().map_or(0, Vec::len);
        let expressions = self.match_expressions.as_deref().unwrap_or_default();
        let within = self.match_labels.as_ref().map_or(0, BTreeMap::len) <= MOST
            && expressions.len() <= MOST
            && expressions.iter().all(|one| values(one) <= MOST);
        (v1::LabelSelector { match_labels, match_expressions }, complete && within)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(selector: serde_json::Value) -> (v1::LabelSelector, bool) {
        serde_json::from_value::<SlimSelector>(selector).unwrap().observe()
    }

    #[test]
    fn labels_and_expressions_are_told_as_they_are_written() {
        let (selector, complete) = told(json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "edge"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        }));
        let expression = |key: &str, operator: &str, values: &[&str]| v1::NodeRequirement {
            key: key.into(),
            operator: operator.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let expected = v1::LabelSelector {
            match_labels: vec![v1::Label { key: "app".into(), value: "web".into() }],
            match_expressions: vec![
                expression("tier", "In", &["front", "edge"]),
                expression("canary", "DoesNotExist", &[]),
            ],
        };
        assert_eq!((selector, complete), (expected, true));
    }

    #[test]
    fn an_empty_one_is_all_of_itself() {
        for empty in [json!({}), json!({"matchLabels": null, "matchExpressions": null})] {
            assert_eq!(told(empty), (v1::LabelSelector::default(), true));
        }
    }

    #[test]
    fn of_more_than_is_told_it_says_that_it_is_not_all() {
        let values: Vec<String> = (0..=MOST).map(|n| format!("v{n}")).collect();
        let labels: BTreeMap<String, String> = values.iter().map(|v| (v.clone(), v.clone())).collect();
        let expressions: Vec<_> = values.iter().map(|v| json!({"key": v, "operator": "Exists"})).collect();
        let (selector, complete) = told(json!({"matchLabels": labels}));
        assert_eq!((selector.match_labels.len(), complete), (MOST, false));
        let (selector, complete) = told(json!({"matchExpressions": expressions}));
        assert_eq!((selector.match_expressions.len(), complete), (MOST, false));
        let one = json!({"key": "a", "operator": "In", "values": values});
        let (selector, complete) = told(json!({"matchExpressions": [one]}));
        assert_eq!((selector.match_expressions[0].values.len(), complete), (MOST, false));
        let long = "x".repeat(2_000);
        assert!(!told(json!({"matchLabels": {"a": long}})).1);
    }
}
