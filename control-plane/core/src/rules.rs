//! The rules that an operator sees: which incident has which remedy, and who decides on it.
//!
//! Derived from the lists of causes and remedies: nothing is said here a second time.

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

/// Is it carried out by a person's command alone, and never planned by Nimbus?
pub fn is_command(action: ActionKind) -> bool {
    remedies::of(action).consent() == Consent::Command
}

/// The remedies that a cluster can be enabled for.
pub fn of_clusters() -> impl Iterator<Item = ActionKind> {
    let in_cluster = |action: &ActionKind| remedies::of(*action).place() == Place::Cluster;
    ActionKind::ALL.iter().copied().filter(move |action| in_cluster(action) && !is_command(*action))
}
