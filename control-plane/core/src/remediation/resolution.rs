//! Decides when an incident is resolved, and which plans and approvals are closed with it.

use jiff::Timestamp;

use super::record::{Record, transition};
use crate::model::{ActionKind, Incident, IncidentKind, IncidentState, Versioned};
use crate::safety::Subject;
use crate::settings::later;
use crate::snapshot::Snapshot;

/// How an incident ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its object is well: from now on attempts may be forgotten.
    Healthy,
    /// It goes on as another incident, the deeper cause: nothing is forgotten.
    Merged,
}

/// Closes an incident: its live approvals are void, attempts on its workload may be forgotten, the rows say why.
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
    transition(after, IncidentState::Resolved, reason, now);
    after.resolved_at = Some(now);
    after.next_attempt_at = None;
    record.audit("incident.resolved", &after.id, &after.cluster, reason);
    for approval in s.approvals.iter().filter(|a| a.doc.incident_id == after.id) {
        record.expire_approval(approval, "superseded: the incident is over");
    }
    if end == End::Healthy {
        reset_attempts(s, record, after, now);
    }
}

/// That a workload is busy or calm is no fault, and goes on for days: its faults are over without it, and it without them.
fn follows_load(kind: IncidentKind) -> bool {
    matches!(kind, IncidentKind::LoadHigh | IncidentKind::ScaledOut)
}

/// Is what was done by this action an attempt at an incident of this kind?
fn is_about(kind: IncidentKind, action: ActionKind) -> bool {
    follows_load(kind) == (action == ActionKind::ScaleWorkload)
}

/// From now on the workload is healthy: its final jobs begin to be forgotten, unless it has other trouble still.
fn reset_attempts(s: &Snapshot<'_>, record: &mut Record, incident: &Incident, now: Timestamp) {
    let subject = Subject::of_incident(incident);
    let in_trouble = s.incidents.iter().any(|other| {
        other.doc.id != incident.id
            && other.doc.is_open()
            && Subject::of_incident(&other.doc) == subject
            && follows_load(other.doc.kind) == follows_load(incident.kind)
    });
    if in_trouble {
        return;
    }
    let already: Vec<_> = record.changes.jobs.iter().map(|j| j.doc.id).collect();
    for job in s.jobs {
        let counts = job.doc.state.is_final()
            && job.doc.attempts_reset_at.is_none()
            && is_about(incident.kind, job.doc.action);
        if counts && Subject::of_job(&job.doc) == subject && !already.contains(&job.doc.id) {
            let mut healthy = job.doc.clone();
            healthy.attempts_reset_at = Some(now);
            record.job(job, healthy);
        }
    }
    // A job that this very decision brings to its end.
    for job in &mut record.changes.jobs {
        if job.doc.state.is_final()
            && job.doc.attempts_reset_at.is_none()
            && is_about(incident.kind, job.doc.action)
            && Subject::of_job(&job.doc) == subject
        {
            job.doc.attempts_reset_at = Some(now);
        }
    }
}

/// The workload is in trouble again: attempts whose count was reset only a moment ago count again.
pub(super) fn count_attempts_again(
    s: &Snapshot<'_>,
    record: &mut Record,
    incident: &Incident,
    now: Timestamp,
) {
    let subject = Subject::of_incident(incident);
    let reset = crate::settings::millis(s.settings.reset_after_ms);
    for job in s.jobs {
        let too_short = job.doc.attempts_reset_at.is_some_and(|at| at <= now && now < later(at, reset));
        let seen = record.changes.jobs.iter().any(|j| j.doc.id == job.doc.id);
        let is_about = is_about(incident.kind, job.doc.action);
        if too_short && !seen && is_about && Subject::of_job(&job.doc) == subject {
            let mut counts = job.doc.clone();
            counts.attempts_reset_at = None;
            record.job(job, counts);
        }
    }
}
