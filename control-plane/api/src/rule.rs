//! The API's view of rules that people set: for what, under which condition and with whose word a remedy is begun.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// A rule as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// What people call it: small letters, digits and dashes. One that is called as a built-in rule takes its place.
    #[schema(example = "grow-data-volumes", max_length = 63)]
    pub name: String,
    /// The remedy.
    #[schema(value_type = words::Action)]
    pub action: String,
    /// One that is not enabled says nothing; a built-in rule whose place it takes is off.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// In the clusters and on the hosts of these names or ids, 64 at most; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// In these namespaces, 64 at most; empty: in all, and for what has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Where the object has all of these labels, 16 at most; empty: whatever it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// An expression of CEL that has to hold, 1,024 characters at most; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(example = "action.to_mib <= 102400")]
    pub condition: String,
    /// Is the remedy begun on the word of this rule? If not, a person is asked.
    #[serde(default)]
    pub auto_approve: bool,
    /// When the rule's word is enough, 16 at most; outside of them a person is asked. Empty: at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<RuleWindow>,
}

const fn yes() -> bool {
    true
}

/// A window of a rule, in the form of the settings' windows: each week, or once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleWindow {
    /// What people call it.
    pub name: String,
    /// Whose clocks count: a time zone of the IANA database.
    #[schema(example = "Europe/Berlin")]
    pub zone: String,
    /// The days on which it begins: `mon` to `sun`; empty with a time: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
    /// The time at which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "22:00")]
    pub from: Option<String>,
    /// The time at which it ends; of the next day, where it is not after the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "06:00")]
    pub to: Option<String>,
    /// Once: when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// Once: when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
}

/// Sets or tries a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// The rule.
    pub rule: RuleText,
    /// Check it, answer what it would be, write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A rule that can be set, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleDetail {
    /// Its name.
    pub id: String,
    /// When it was set first, or came into the product.
    pub created_at: Timestamp,
    /// How often it was set; 0: as it is built in.
    pub version: u32,
    /// What it says.
    pub rule: RuleText,
    /// Who set it last; `null`: it is built in.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<Timestamp>,
    /// What this version does not understand of it, so that a person is asked; `null`: nothing.
    pub problem: Option<String>,
    /// The agents whose own policy lets less go than the rule says.
    pub narrower: Vec<String>,
}

/// What a rule would do about the incidents that are open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleTrials {
    /// The newest 200 of them that its remedy is for.
    pub items: Vec<RuleTrial>,
    /// There is no further page.
    pub next: Option<String>,
    /// How many older ones it was not tried on.
    pub left_out: u32,
}

/// What a rule would do about an incident that is open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleTrial {
    /// The incident: `inc_…`
    pub id: String,
    /// When it was found.
    pub created_at: Timestamp,
    /// Name of the cluster or host.
    pub cluster: String,
    /// Which kind.
    #[schema(value_type = words::IncidentKind)]
    pub kind: String,
    /// The object.
    pub object: ObjectRef,
    /// One line.
    pub title: String,
    /// Is the rule for it?
    #[schema(value_type = words::RuleFit)]
    pub fits: String,
    /// Why not, or why that is not known; empty where it is.
    pub why: String,
    /// What becomes of it by the rules in force.
    #[schema(value_type = words::RuleOutcome)]
    pub now: String,
    /// What would, with this one.
    #[schema(value_type = words::RuleOutcome)]
    pub then: String,
    /// The remedy of `then`, or of `now` where that is none; `null`: neither does anything.
    #[schema(value_type = Option<words::Action>)]
    pub action: Option<String>,
    /// Why nothing is done then; empty where something is.
    pub reason: String,
}

/// A rule that people's answers speak for. It changes nothing until a person sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleProposal {
    /// The same while it is proposed for the same.
    pub id: String,
    /// When the newest of the answers was given.
    pub created_at: Timestamp,
    /// What the rule would do: begin it without asking, or leave it and ask nobody.
    #[schema(value_type = words::ProposedRule)]
    pub kind: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The rule, as it can be set.
    pub rule: RuleText,
    /// The answers that speak for it, the newest first, ten at most.
    pub evidence: Vec<RuleEvidence>,
}

/// An answer that speaks for a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleEvidence {
    /// The approval: `apr_…`
    pub approval_id: String,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the answer was about, and what became of it.
    pub text: String,
}
