//! The jobs that may go out now.
//!
//! Everything is judged again at this moment, by `safety` and independently by `check`, and each order counts
//! against the caps of the next one.

use jiff::Timestamp;
use nimbus_protocol::ids::{IdSource, JobId};

use super::index::Index;
use super::record::{Record, stand};
use super::storm::{self, Storms};
use super::{Order, order};
use crate::model::{Approval, Incident, IncidentState, Job, Plan, Versioned};
use crate::plan::{check, safety};
use crate::snapshot::Snapshot;

/// Most orders of one pass; the fleet cap is below it in any sensible setting.
pub const MAX_ORDERS: usize = 100;

/// The jobs that may go out now: plans that need nobody's word, and approved ones.
///
/// The most severe incident goes first, of two the older one.
pub fn dispatch(s: &Snapshot<'_>, epoch: u64, now: Timestamp, ids: &mut dyn IdSource) -> Vec<Order> {
    let index = Index::of(s);
    let storms = storm::survey(s, now);
    let mut candidates: Vec<&Versioned<Incident>> = s
        .incidents
        .iter()
        .filter(|i| {
            i.doc.state == IncidentState::Open && i.doc.plan_id.is_some() && !index.at_work(&i.doc.id)
        })
        .collect();
    candidates.sort_by_key(|i| (i.doc.severity, i.doc.created_at, i.doc.id.clone()));
    let mut orders = Vec::new();
    // The snapshot with the jobs of this pass in it; made when the first one is.
    let mut with_orders: Option<Snapshot<'_>> = None;
    for incident in candidates {
        if orders.len() >= MAX_ORDERS {
            break;
        }
        let current = with_orders.as_ref().unwrap_or(s);
        let Some(order) = consider(incident, current, &storms, epoch, now, ids) else { continue };
        let jobs: Vec<Versioned<Job>> = order.changes.jobs.clone();
        with_orders.get_or_insert_with(|| s.clone()).jobs.extend(jobs);
        orders.push(order);
    }
    orders
}

fn consider(
    incident: &Versioned<Incident>,
    s: &Snapshot<'_>,
    storms: &Storms,
    epoch: u64,
    now: Timestamp,
    ids: &mut dyn IdSource,
) -> Option<Order> {
    let plan = s.plan(incident.doc.plan_id.as_ref()?)?;
    let approval = if plan.needs_approval { Some(approval_of(plan, s, now)?) } else { None };
    if safety::review(plan, &incident.doc, s, storms, now).is_some() || !check::check(plan, s, now).is_empty()
    {
        return None;
    }
    let agent = s.actor(&plan.scope()?).ok()?;
    let id = JobId::new(ids);
    let cluster = &incident.doc.cluster;
    let given = approval.map(|a| &a.doc);
    let issue = order::Issue { plan, approval: given, agent, cluster, epoch };
    let (job, signed) = order::write(&id, &issue, s.settings, now);

    let mut record = Record::new(now);
    let on_whose_word = signed.approvals.first().map(|a| a.by.clone()).unwrap_or_default();
    record.audit(
        "job.signed",
        &id,
        cluster,
        format!(
            "{}; incident {}, plan {}, digest {}, on the word of {on_whose_word}, for agent {} until {}",
            plan.summary, plan.incident_id, plan.id, plan.digest, agent.name, job.expires_at
        ),
    );
    if let Some(approval) = approval {
        let mut used = approval.doc.clone();
        used.used_by = Some(id.clone());
        record.changes.approvals.push(Versioned { version: approval.version, doc: used });
    }
    let mut after = incident.doc.clone();
    after.job_id = Some(id.clone());
    after.next_attempt_at = None;
    stand(&mut after, IncidentState::Remediating, &format!("job {id} is out: {}", plan.summary), now);
    record.incident(incident, after);
    record.changes.jobs.push(Versioned::new(job));
    Some(Order { job: signed, changes: record.changes })
}

fn approval_of<'a>(plan: &Plan, s: &'a Snapshot<'_>, now: Timestamp) -> Option<&'a Versioned<Approval>> {
    s.approvals.iter().find(|a| a.doc.incident_id == plan.incident_id && a.doc.covers(&plan.digest, now))
}
