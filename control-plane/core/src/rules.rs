//! The rules as an operator sees them: which incident has which remedy, and who decides.

use crate::model::{ActionKind, IncidentKind};

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

/// Every rule there is.
pub const RULES: &[Rule] = &[
    Rule {
        incident: IncidentKind::PodCrashLoop,
        action: Some(ActionKind::RestartPod),
        needs_approval: false,
        per_cluster: true,
        what: "evicts a crash-looping pod so that its ReplicaSet makes a new one, on another node if one is open",
    },
    Rule {
        incident: IncidentKind::RolloutStuck,
        action: Some(ActionKind::RollbackDeployment),
        needs_approval: true,
        per_cluster: true,
        what: "takes a Deployment past its progress deadline back to the last revision that was seen available",
    },
    Rule {
        incident: IncidentKind::FileDrift,
        action: Some(ActionKind::RestoreFile),
        needs_approval: true,
        per_cluster: false,
        what: "puts a watched file back to its baseline: content, mode and owner",
    },
    Rule {
        incident: IncidentKind::OutOfMemory,
        action: None,
        needs_approval: false,
        per_cluster: false,
        what: "recommends: the memory limit or the memory use has to change, a restart cannot help",
    },
    Rule {
        incident: IncidentKind::ImagePull,
        action: None,
        needs_approval: false,
        per_cluster: false,
        what: "recommends: the image reference or the registry has to change, a restart cannot help",
    },
    Rule {
        incident: IncidentKind::NodeNotReady,
        action: None,
        needs_approval: false,
        per_cluster: false,
        what: "recommends: a person looks at the node; its pods are not touched",
    },
];

/// The rule for a kind of incident.
pub fn of(kind: IncidentKind) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.incident == kind)
}

/// The remedies that a cluster can be enabled for.
pub fn of_clusters() -> impl Iterator<Item = ActionKind> {
    RULES.iter().filter(|rule| rule.per_cluster).filter_map(|rule| rule.action)
}
