//! What to do about an incident: one remedy, or why to wait, or what to recommend to a person.
//!
//! Looks at the world alone. Whether the remedy may go out now (enabled, caps, back-off, storm) is `safety`'s.

use jiff::Timestamp;
use nimbus_protocol::ids::PlanId;

use super::{digest, files, restart, rollback};
use crate::model::{Action, Incident, IncidentKind, ObjectRef, Option_, Plan};
use crate::snapshot::{Scope, Snapshot};

/// The requester of every plan that no person asked for.
pub const NIMBUS: &str = "nimbus";

/// What the planner says of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// This can help.
    Act(Box<Remedy>),
    /// Nothing now; why.
    Wait(String),
    /// Nothing by Nimbus; what a person should look at.
    Recommend(String),
}

/// A remedy: a plan without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What will be done.
    pub action: Action,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// Does a person have to approve?
    pub needs_approval: bool,
    /// One line.
    pub summary: String,
    /// What will change.
    pub changes: Vec<String>,
    /// Why it may help.
    pub rationale: String,
    /// What was weighed.
    pub considered: Vec<Option_>,
}

impl Remedy {
    /// The plan that carries it out for `incident`.
    pub fn into_plan(self, id: PlanId, incident: &Incident, requested_by: &str, now: Timestamp) -> Plan {
        let mut plan = Plan {
            id,
            incident_id: incident.id.clone(),
            created_at: now,
            requested_by: requested_by.to_owned(),
            cluster_uid: incident.cluster_uid.clone(),
            agent_id: incident.agent_id.clone(),
            action: self.action,
            object: self.object,
            owner: self.owner,
            needs_approval: self.needs_approval,
            summary: self.summary,
            changes: self.changes,
            rationale: self.rationale,
            considered: self.considered,
            evidence: incident.evidence.clone(),
            digest: String::new(),
        };
        plan.digest = digest(&plan);
        plan
    }
}

/// What to do about `incident`, as the world is.
pub fn propose(incident: &Incident, snapshot: &Snapshot<'_>) -> Proposal {
    let inventory = match incident.scope() {
        Some(Scope::Cluster(uid)) => snapshot.world.clusters.get(&uid),
        _ => None,
    };
    match (incident.kind, inventory) {
        (IncidentKind::PodCrashLoop, Some(inventory)) => {
            restart::propose(incident, inventory, snapshot.settings)
        }
        (IncidentKind::RolloutStuck, Some(inventory)) => rollback::propose(incident, inventory),
        (IncidentKind::FileDrift, _) => files::propose(incident, snapshot.world),
        (IncidentKind::OutOfMemory, _) => Proposal::Recommend(
            "a container is killed for its memory limit: raise the limit or lower what it uses; Nimbus does not \
             restart it, a new pod would meet the same limit"
                .to_owned(),
        ),
        (IncidentKind::ImagePull, _) => Proposal::Recommend(
            "an image cannot be pulled: check its name and tag, the registry and the pull secret; Nimbus does not \
             restart the pod, a new one would need the same image"
                .to_owned(),
        ),
        (IncidentKind::NodeNotReady, _) => Proposal::Recommend(
            "a node is not ready: look at its kubelet, disk, memory and network; Nimbus leaves its pods alone, \
             they suffer from the node"
                .to_owned(),
        ),
        (IncidentKind::Storm, _) => Proposal::Wait(incident.reason.clone()),
        (IncidentKind::PodCrashLoop | IncidentKind::RolloutStuck, None) => {
            Proposal::Wait("unknown: nothing has been reported of this cluster".to_owned())
        }
    }
}

/// An alternative that was weighed.
pub(super) fn option(what: &str, chosen: bool, why: impl Into<String>) -> Option_ {
    Option_ { what: what.to_owned(), chosen, why: why.into() }
}
