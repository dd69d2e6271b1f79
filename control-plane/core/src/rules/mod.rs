//! The rules: which incident has which remedy, and who decides on it.
//!
//! The built-in ones are derived from the lists of causes and remedies: nothing is said here a second time. Those that people set
//! are a [`crate::rulebook::Book`]; what they say of a case is a [`crate::verdict::Verdict`]. Here is what can be set, and what it would do.

pub mod built_in;
#[cfg(test)]
mod proposal_tests;
mod proposals;
#[cfg(test)]
mod tests;
mod text;
mod trial;

pub use proposals::{Answered, Evidence, LEAST_ANSWERS, MEMORY, Proposed, RuleProposal, proposals};
pub use text::{MAX_LABELS, MAX_PLACES, MAX_RULES, MAX_WINDOWS, WrongRule, narrower, validate};
pub use trial::{MOST_TRIED, Outcome, Tried, tried};

use crate::causes;
use crate::model::{ActionKind, IncidentKind};
use crate::remedies::{self, Consent, Place};
use crate::settings::Settings;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The incident it is for.
    pub incident: IncidentKind,
    /// Its remedy; `None`: recommend only, never act.
    pub action: Option<ActionKind>,
    /// Does a person approve each plan?
    pub needs_approval: bool,
    /// Has a cluster to be enabled for it?
    pub per_cluster: bool,
    /// What it does, one sentence.
    pub what: &'static str,
}

/// The remedy that is for a kind of incident first of all, if there is one.
fn remedy_for(kind: IncidentKind) -> Option<ActionKind> {
    let first = |action: &ActionKind| remedies::of(*action).answers().first() == Some(&kind);
    let planned = |action: &ActionKind| match remedies::of(*action).consent() {
        Consent::Rule | Consent::Approval => true,
        Consent::Command => false,
    };
    remedies::for_incident(kind).find(|action| first(action) && planned(action))
}

/// The rule for a kind of incident; `None` for a storm, which only holds others back.
pub fn of(kind: IncidentKind) -> Option<Rule> {
    if kind == IncidentKind::Storm {
        return None;
    }
    let Some(action) = remedy_for(kind) else {
        let what = causes::of(kind).sentence();
        return Some(Rule { incident: kind, action: None, needs_approval: false, per_cluster: false, what });
    };
    let remedy = remedies::of(action);
    Some(Rule {
        incident: kind,
        action: Some(action),
        needs_approval: remedy.consent() == Consent::Approval,
        per_cluster: remedy.place() == Place::Cluster,
        what: remedy.sentence(),
    })
}

/// Every rule there is.
pub fn all() -> Vec<Rule> {
    IncidentKind::ALL.iter().filter_map(|kind| of(*kind)).collect()
}

/// How long the result of a remedy must hold to count as helped, milliseconds.
pub fn verify_ms(action: ActionKind, settings: &Settings) -> u32 {
    remedies::of(action).verify_ms(settings)
}

/// Who has to agree before this remedy is carried out.
pub fn consent(action: ActionKind) -> Consent {
    remedies::of(action).consent()
}

/// Where this remedy acts.
pub fn place(action: ActionKind) -> Place {
    remedies::of(action).place()
}

/// The remedies that a cluster can be enabled for.
pub fn of_clusters() -> impl Iterator<Item = ActionKind> {
    ActionKind::ALL
        .iter()
        .copied()
        .filter(|action| place(*action) == Place::Cluster && consent(*action) != Consent::Command)
}

#[cfg(test)]
mod list_tests {
    use super::*;

    #[test]
    fn a_rule_says_who_decides_as_its_remedy_does_and_no_rule_plans_what_a_person_commands() {
        for rule in all() {
            let (needs_approval, per_cluster) =
                match rule.action.map(|action| (consent(action), place(action))) {
                    None => (false, false),
                    Some((Consent::Rule, place)) => (false, place == Place::Cluster),
                    Some((Consent::Approval, place)) => (true, place == Place::Cluster),
                    Some((Consent::Command, _)) => panic!("{:?} is planned without its command", rule.action),
                };
            assert_eq!((rule.needs_approval, rule.per_cluster), (needs_approval, per_cluster), "{rule:?}");
        }
        let planned: Vec<ActionKind> = all().iter().filter_map(|rule| rule.action).collect();
        for action in ActionKind::ALL {
            assert_eq!(planned.contains(action), consent(*action) != Consent::Command, "{action}");
        }
    }
}
