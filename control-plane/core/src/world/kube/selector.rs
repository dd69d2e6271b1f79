//! A label selector, and which labels it selects, exactly as the API reads it.

use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::requirement::{self, Requirement};
use crate::world::bounds::{ITEMS, TEXT, cut};

/// Selects objects by their labels: all of it has to hold, and an empty one selects every object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selector {
    /// Labels that the object has to have.
    pub labels: Vec<(String, String)>,
    /// Conditions on its labels, all of which have to hold.
    pub expressions: Vec<Requirement>,
}

impl From<v1::LabelSelector> for Selector {
    fn from(selector: v1::LabelSelector) -> Self {
        Self {
            labels: selector.match_labels.into_iter().map(|l| (l.key, l.value)).collect(),
            expressions: selector.match_expressions.into_iter().map(Requirement::from).collect(),
        }
    }
}

/// Cuts what is too long; false where something was dropped or cut: what is left may select others.
pub(super) fn bound(selector: &mut v1::LabelSelector) -> bool {
    let whole = selector.clone();
    selector.match_labels.truncate(ITEMS);
    for label in &mut selector.match_labels {
        cut(&mut label.key, TEXT);
        cut(&mut label.value, TEXT);
    }
    selector.match_expressions.truncate(ITEMS);
    selector.match_expressions.iter_mut().for_each(requirement::bound);
    *selector == whole
}

impl Selector {
    /// Does it select an object with these labels?
    pub fn selects(&self, labels: &[(String, String)]) -> bool {
        let value = |key: &str| labels.iter().find(|(of, _)| of == key).map(|(_, value)| value.as_str());
        // A condition that this version does not know is not taken for one that holds.
        let holds = |one: &Requirement| one.of_label(value(&one.key)).unwrap_or(false);
        self.labels.iter().all(|(key, of)| value(key) == Some(of.as_str()))
            && self.expressions.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Requirement {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Requirement { key: key.into(), operator: operator.into(), values }
    }

    #[test]
    fn expressions_are_read_as_the_api_reads_them() {
        let pod = labels(&[("app", "web"), ("tier", "")]);
        for (key, operator, values, selects) in [
            ("app", "In", vec!["web", "api"], true),
            ("app", "In", vec!["api"], false),
            ("app", "In", vec![], false),
            ("rack", "In", vec!["web"], false),
            ("tier", "In", vec![""], true),
            ("app", "NotIn", vec!["web"], false),
            ("app", "NotIn", vec!["api"], true),
            ("rack", "NotIn", vec!["web"], true),
            ("tier", "Exists", vec![], true),
            ("rack", "Exists", vec![], false),
            ("tier", "DoesNotExist", vec![], false),
            ("rack", "DoesNotExist", vec![], true),
            // What the API does not know for labels selects nothing.
            ("app", "Gt", vec!["1"], false),
            ("metadata.name", "Exists", vec![], false),
            ("app", "", vec!["web"], false),
        ] {
            let expressions = vec![expression(key, operator, &values)];
            let selector = Selector { expressions, ..Selector::default() };
            assert_eq!(selector.selects(&pod), selects, "{key} {operator} {values:?}");
        }
    }

    #[test]
    fn all_of_it_has_to_hold_and_an_empty_one_selects_everything() {
        let pod = labels(&[("app", "web"), ("tier", "front")]);
        assert!(Selector::default().selects(&pod) && Selector::default().selects(&[]));
        let web = Selector { labels: labels(&[("app", "web")]), ..Selector::default() };
        assert!(web.selects(&pod) && !web.selects(&labels(&[("app", "api")])) && !web.selects(&[]));
        let both = Selector { labels: labels(&[("app", "web"), ("tier", "back")]), ..Selector::default() };
        assert!(!both.selects(&pod));
        let back = Selector { expressions: vec![expression("tier", "In", &["back"])], ..web };
        assert!(!back.selects(&pod));
    }

    #[test]
    fn one_that_is_cut_says_that_it_is_not_all() {
        let label = |n: usize| v1::Label { key: format!("k{n}"), value: "v".into() };
        for (count, whole) in [(ITEMS, true), (ITEMS + 1, false)] {
            let mut selector = v1::LabelSelector {
                match_labels: (0..count).map(label).collect(),
                ..v1::LabelSelector::default()
            };
            assert_eq!(bound(&mut selector), whole, "{count}");
            assert_eq!(Selector::from(selector).labels.len(), ITEMS);
        }
    }
}
