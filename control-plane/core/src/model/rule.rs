//! The model of rules that people write: for what, under which condition and with whose word a remedy is begun.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ActionKind;
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
    /// The remedy; `None` for one that this build does not know.
    pub fn kind(&self) -> Option<ActionKind> {
        self.action.parse().ok()
    }
}

/// A rule that somebody set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// On the word of which rule a plan is begun, or a person is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// Its name.
    pub name: String,
    /// Its version; 0: built in.
    pub version: u32,
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            0 => f.write_str(&self.name),
            version => write!(f, "{}@{version}", self.name),
        }
    }
}
