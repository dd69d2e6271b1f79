//! Decides which jobs may be dispatched now.
//!
//! Everything is judged again at this moment, by `safety` and independently by `check`, and each job counts against the
//! caps of the next one.

use jiff::Timestamp;
use nimbus_protocol::ids::{IdSource, JobId};

use super::index::Index;
use super::record::{Record, transition};
use super::{UnsignedJob, storms, unsigned_job};
use crate::check::Checker;
use crate::model::{Approval, Incident, IncidentState, Job, Plan, Versioned};
use crate::safety;
use crate::snapshot::Snapshot;

/// Most jobs of one pass; the fleet cap is below it in any sensible setting.
pub const MAX_JOBS: usize = 100;

/// The jobs that may go out now: plans that need nobody's word, and approved ones.
///
/// The most severe incident goes first, of two the older one; what was refused before goes after what was not.
pub fn dispatch(s: &Snapshot<'_>, epoch: u64, now: Timestamp, ids: &mut dyn IdSource) -> Vec<UnsignedJob> {
    let index = Index::of(s);
    let mut pass = safety::Pass::of(s, storms::survey(s, now), now);
    let mut checker = Checker::new(s, now);
    let mut candidates: Vec<&Versioned<Incident>> = s
        .incidents
        .iter()
        .filter(|i| i.doc.state == IncidentState::Open && i.doc.plan_id.is_some() && !index.at_work(i.doc.id))
        .collect();
    candidates.sort_by_key(|i| safety::turn(&i.doc));
    let mut unsigned = Vec::new();
    let mut made: Vec<Versioned<Job>> = Vec::new();
    for incident in candidates {
        if unsigned.len() >= MAX_JOBS {
            break;
        }
        let current = Snapshot { unstored_jobs: &made, ..*s };
        let Some(job) = consider(incident, &current, (&pass, &mut checker), epoch, now, ids) else {
            continue;
        };
        let id = job.changes.jobs.first().map(|job| job.doc.id);
        if let Some((plan, id)) = incident.doc.plan_id.and_then(|id| s.plan(id)).zip(id) {
            pass.take(plan, &incident.doc, id, s);
        }
        made.extend(job.changes.jobs.clone());
        unsigned.push(job);
    }
    unsigned
}

fn consider(
    incident: &Versioned<Incident>,
    s: &Snapshot<'_>,
    (pass, checker): (&safety::Pass<'_>, &mut Checker<'_>),
    epoch: u64,
    now: Timestamp,
    ids: &mut dyn IdSource,
) -> Option<UnsignedJob> {
    let plan = s.plan(incident.doc.plan_id?)?;
    let approval = if plan.needs_approval { Some(approval_of(plan, s, now)?) } else { None };
    if safety::review(plan, &incident.doc, s, pass, now).is_some() || !checker.check(plan, s).is_empty() {
        return None;
    }
    let agent = s.actor(&plan.scope).ok()?;
    let id = JobId::new(ids);
    let cluster = &incident.doc.cluster;
    let given = approval.map(|a| &a.doc);
    let again = safety::again(plan, &incident.doc);
    let kind = incident.doc.kind;
    let before = safety::must_begin_before(plan, &incident.doc, s, pass, now);
    let issue =
        unsigned_job::Issue { plan, incident: kind, approval: given, agent, cluster, epoch, again, before };
    let (job, signed) = unsigned_job::write(id, &issue, s.settings, now)?;

    let mut record = Record::new(now);
    let authorized_by: Vec<&str> = signed.approvals.iter().map(|a| a.by.as_str()).collect();
    let authorized_by = authorized_by.join(", ");
    let before = if again == 0 { String::new() } else { format!("; refused {again} times before") };
    record.audit(
        "job.signed",
        &id,
        cluster,
        format!(
            "{}; incident {}, plan {}, digest {}, authorized by {authorized_by}, for agent {} until {}{before}",
            plan.summary, plan.incident_id, plan.id, plan.digest, agent.name, job.expires_at
        ),
    );
    if let Some(approval) = approval {
        let mut used = approval.doc.clone();
        used.used_by = Some(id);
        record.changes.approvals.push(Versioned { version: approval.version, doc: used });
    }
    let mut after = incident.doc.clone();
    after.job_id = Some(id);
    after.refused = None;
    after.next_attempt_at = None;
    let reason = format!("job {id} is dispatched: {}", plan.summary);
    if again == 0 {
        after.held.clear();
        after.refused_eviction = None;
        transition(&mut after, IncidentState::Remediating, &reason, now);
    } else {
        // The line of its refusal tells how often it was asked for: the story would hold little else after an hour.
        (after.state, after.reason) = (IncidentState::Remediating, reason);
    }
    record.incident(incident, after);
    record.changes.jobs.push(Versioned::new(job));
    Some(UnsignedJob { job: signed, changes: record.changes })
}

fn approval_of<'a>(plan: &Plan, s: &Snapshot<'a>, now: Timestamp) -> Option<&'a Versioned<Approval>> {
    s.approvals.iter().find(|a| a.doc.incident_id == plan.incident_id && a.doc.covers(&plan.digest, now))
}
