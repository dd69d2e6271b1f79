//! The model of what a plan stands on: whose word a remedy needs by itself, and the rule on whose word a plan is begun.

use nimbus_protocol::action::Body;
use serde::{Deserialize, Serialize};

use super::{ObjectRef, Workload};

/// What would be done about an incident. Its object need not be the incident's: of several pods that crash one is replaced.
#[derive(Debug, Clone, Copy)]
pub struct Intended<'a> {
    /// What.
    pub action: &'a Body,
    /// On which object.
    pub object: &'a ObjectRef,
    /// Of which workload, if any.
    pub workload: Option<&'a Workload>,
}

/// Who has to agree before a remedy is carried out, unless a rule that somebody set says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody: the rule that a cluster is enabled for is enough.
    Rule,
    /// A person approves each plan.
    Approval,
    /// Nimbus never plans it: a person's own command is the decision.
    Command,
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
