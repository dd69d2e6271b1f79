//! When an incident is over, and what is closed with it.

use jiff::Timestamp;

use super::record::{Record, stand};
use crate::model::{Incident, IncidentKind, IncidentState, Versioned};
use crate::plan::attempts::Subject;
use crate::settings::later;
use crate::snapshot::{Scope, Snapshot};
use crate::world::{Health, Inventory, Pod};

/// How an incident ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its object is well: from now on attempts may be forgotten.
    Healthy,
    /// It goes on as another incident, the deeper cause: nothing is forgotten.
    Merged,
}

/// Closes an incident: its live approvals are void, the jobs on its owner are settled, the rows say why.
pub(super) fn close(
    s: &Snapshot<'_>,
    record: &mut Record,
    incident: &Versioned<Incident>,
    reason: &str,
    end: End,
    now: Timestamp,
) {
    let mut after = incident.doc.clone();
    finish(s, record, &mut after, reason, end, now);
    record.incident(incident, after);
}

/// The same for a copy that the caller writes.
pub(super) fn finish(
    s: &Snapshot<'_>,
    record: &mut Record,
    after: &mut Incident,
    reason: &str,
    end: End,
    now: Timestamp,
) {
    stand(after, IncidentState::Resolved, reason, now);
    after.resolved_at = Some(now);
    after.next_attempt_at = None;
    record.audit("incident.resolved", &after.id, &after.cluster, reason);
    for approval in s.approvals.iter().filter(|a| a.doc.incident_id == after.id) {
        record.void(approval, "superseded: the incident is over");
    }
    if end == End::Healthy {
        settle_jobs(s, record, after, now);
    }
}

/// From now on the owner is healthy: its final jobs begin to be forgotten, unless it has other trouble still.
fn settle_jobs(s: &Snapshot<'_>, record: &mut Record, incident: &Incident, now: Timestamp) {
    let subject = Subject::of_incident(incident);
    let in_trouble = s.incidents.iter().any(|other| {
        other.doc.id != incident.id && other.doc.is_open() && Subject::of_incident(&other.doc) == subject
    });
    if in_trouble {
        return;
    }
    let already: Vec<_> = record.changes.jobs.iter().map(|j| j.doc.id.clone()).collect();
    for job in &s.jobs {
        let counts = job.doc.state.is_final() && job.doc.settled_at.is_none();
        if counts && Subject::of_job(&job.doc) == subject && !already.contains(&job.doc.id) {
            let mut settled = job.doc.clone();
            settled.settled_at = Some(now);
            record.job(job, settled);
        }
    }
    // A job that this very decision brings to its end.
    for job in &mut record.changes.jobs {
        if job.doc.state.is_final() && job.doc.settled_at.is_none() && Subject::of_job(&job.doc) == subject {
            job.doc.settled_at = Some(now);
        }
    }
}

/// The owner is in trouble again: jobs that were settled only a moment ago count again.
pub(super) fn unsettle_jobs(s: &Snapshot<'_>, record: &mut Record, incident: &Incident, now: Timestamp) {
    let subject = Subject::of_incident(incident);
    let reset = crate::settings::millis(s.settings.reset_after_ms);
    for job in &s.jobs {
        let too_short = job.doc.settled_at.is_some_and(|at| now < later(at, reset));
        let seen = record.changes.jobs.iter().any(|j| j.doc.id == job.doc.id);
        if too_short && !seen && Subject::of_job(&job.doc) == subject {
            let mut counts = job.doc.clone();
            counts.settled_at = None;
            record.job(job, counts);
        }
    }
}

/// Why an incident without any finding is over, or `None` while that is not certain.
pub(super) fn evidence(s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
    match incident.scope()? {
        Scope::Host(agent) => {
            let path = &incident.object.name;
            let agrees = s.world.hosts.get(&agent)?.agrees(path);
            agrees.then(|| format!("{path} is what was accepted as true again"))
        }
        Scope::Cluster(uid) => {
            let inventory = s.world.clusters.get(&uid)?;
            match incident.kind {
                IncidentKind::NodeNotReady => node(s, inventory, incident, now),
                IncidentKind::Storm | IncidentKind::FileDrift => None,
                _ => workload(s, inventory, incident, now),
            }
        }
    }
}

fn node(s: &Snapshot<'_>, inventory: &Inventory, incident: &Incident, now: Timestamp) -> Option<String> {
    let Some(node) = inventory.nodes.get(&incident.object.uid) else {
        return Some(format!("{} is no more", incident.object));
    };
    let settled = later(node.ready_since?, s.settings.settle()) <= now;
    (node.is_ready() && settled)
        .then(|| format!("{} has been ready since {:.0}", incident.object, node.ready_since.unwrap_or(now)))
}

fn workload(s: &Snapshot<'_>, inventory: &Inventory, incident: &Incident, now: Timestamp) -> Option<String> {
    let settle = s.settings.settle();
    let Some(owner) = incident.owner.as_ref().filter(|owner| owner.kind == "Deployment") else {
        return single(inventory, incident, |pod| {
            pod.ready && pod.ready_since.is_some_and(|since| later(since, settle) <= now)
        });
    };
    match inventory.health_of(&owner.uid) {
        Health::Gone => Some(format!("{owner} is no more")),
        Health::Idle => Some(format!("{owner} was scaled to zero")),
        Health::ReadySince(since) if later(since, settle) <= now => {
            Some(format!("all pods of {owner} have been ready since {since:.0}"))
        }
        Health::ReadySince(_) | Health::NotReady { .. } => None,
    }
}

/// A pod without a Deployment: it and the other pods of its controller are well or gone.
fn single(inventory: &Inventory, incident: &Incident, well: impl Fn(&Pod) -> bool) -> Option<String> {
    let owner = incident.owner.as_ref().map_or("", |owner| owner.uid.as_str());
    let belongs = |pod: &&Pod| {
        pod.meta.uid == incident.object.uid || (!owner.is_empty() && pod.meta.owner_uid == owner)
    };
    let mut pods = inventory.pods.values().filter(|pod| pod.is_active()).filter(belongs).peekable();
    if pods.peek().is_none() {
        return Some(format!("{} is no more", incident.object));
    }
    pods.all(well).then(|| format!("{} has been ready long enough", incident.object))
}

/// Does the world agree that the fault is gone, right after a job says so? If not, what it still shows.
pub(super) fn disagreement(s: &Snapshot<'_>, incident: &Incident) -> Option<String> {
    let scope = incident.scope()?;
    if let Err(unknown) = s.known(&scope) {
        return Some(unknown);
    }
    match scope {
        Scope::Host(agent) => {
            let drifted = s.world.hosts.get(&agent)?.files.contains_key(&incident.object.name);
            drifted.then(|| format!("{} still differs from its baseline", incident.object.name))
        }
        Scope::Cluster(uid) => {
            let inventory = s.world.clusters.get(&uid)?;
            let owner = incident.owner.as_ref()?;
            match inventory.health_of(&owner.uid) {
                Health::NotReady { ready, wanted } => {
                    Some(format!("{ready} of {wanted} pods of {owner} are ready"))
                }
                Health::Gone | Health::Idle | Health::ReadySince(_) => None,
            }
        }
    }
}
