//! The model of rules that people write: for what, under which condition and with whose word a remedy is begun.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{ActionKind, Columns, Document};
use crate::settings::calendar::Period;

/// A rule as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// What people call it. One that is called as a built-in rule takes its place.
    pub name: String,
    /// The word of the remedy that it is for. A word, as a later version may know more of them.
    pub action: String,
    /// One that is not enabled says nothing; a built-in rule whose place it takes is off.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// In the clusters and on the hosts of these names or ids; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// In these namespaces; empty: in all, and for what has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Where the object has all of these labels; empty: whatever it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// An expression of CEL that has to hold; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Is the remedy begun on the word of this rule? If not, a person is asked.
    #[serde(default)]
    pub auto_approve: bool,
    /// When the rule's word is enough; outside of them a person is asked. Empty: at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Period>,
}

const fn yes() -> bool {
    true
}

impl RuleText {
    /// What every build reads of a rule: its name, its remedy, and that it is off where it says so.
    fn of_later(text: &serde_json::Value) -> Self {
        let word = |field: &str| text[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: word("name"),
            action: word("action"),
            enabled: text["enabled"].as_bool().unwrap_or(true),
            clusters: Vec::new(),
            namespaces: Vec::new(),
            labels: BTreeMap::new(),
            condition: String::new(),
            auto_approve: false,
            windows: Vec::new(),
        }
    }

    /// The remedy; `None` for one that this build does not know.
    pub fn kind(&self) -> Option<ActionKind> {
        self.action.parse().ok()
    }
}

/// A rule that somebody set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Rule {
    /// What it says.
    pub text: RuleText,
    /// How often it was set: 1 at first.
    pub version: u32,
    /// When it was set first.
    pub created_at: Timestamp,
    /// Who set it last.
    pub set_by: String,
    /// When.
    pub set_at: Timestamp,
    /// What this build does not understand of a rule that a later one stored: whether it is for a case is not known then.
    #[serde(skip)]
    pub problem: Option<String>,
}

/// As a rule is stored, by whichever build.
#[derive(Deserialize)]
struct Stored {
    text: serde_json::Value,
    version: u32,
    created_at: Timestamp,
    set_by: String,
    set_at: Timestamp,
}

impl From<Stored> for Rule {
    fn from(stored: Stored) -> Self {
        let Stored { text, version, created_at, set_by, set_at } = stored;
        let (text, problem) = match RuleText::deserialize(&text) {
            Ok(text) => (text, None),
            Err(error) => (RuleText::of_later(&text), Some(error.to_string())),
        };
        Self { text, version, created_at, set_by, set_at, problem }
    }
}

impl Document for Rule {
    const TABLE: &'static str = "rules";

    fn id(&self) -> String {
        self.text.name.clone()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.set_at,
            state: if self.text.enabled { "enabled" } else { "disabled" },
            cluster: String::new(),
            key: self.text.action.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Book;
    use super::*;
    use crate::model::Versioned;

    #[test]
    fn a_rule_of_a_later_build_is_read_and_is_not_understood() {
        let stored = |text: serde_json::Value| {
            let at = "2026-11-30T12:00:00Z";
            let rule = json!({"text": text, "version": 2, "created_at": at, "set_by": "ann", "set_at": at});
            serde_json::from_value::<Rule>(rule).unwrap()
        };
        let known = stored(json!({"name": "grow", "action": "expand_volume", "auto_approve": true}));
        assert_eq!(
            (known.problem.as_deref(), known.text.enabled, known.text.auto_approve),
            (None, true, true)
        );
        let again: Rule = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
        assert_eq!(again, known);
        for text in [
            json!({"name": "grow", "action": "expand_volume", "auto_approve": true, "most_a_day": 1}),
            json!({"name": "grow", "action": "expand_volume", "windows": [{"name": "w", "zone": "UTC", "moon": "full"}]}),
        ] {
            let later = stored(text);
            assert_eq!((later.text.name.as_str(), later.text.auto_approve), ("grow", false));
            assert!(later.problem.is_some());
            let book = Book::of(vec![Versioned::new(later)]);
            assert!(book.entries()[0].condition.is_err(), "whether it is for a case is not known");
        }
        assert!(!stored(json!({"name": "x", "action": "y", "enabled": false, "z": 1})).text.enabled);
    }
}
