//! An operator's decision to withdraw an accepted baseline, so that the one before it applies again.

use jiff::Timestamp;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::{IdSource, IncidentId, PlanId};

use super::decide_error::DecideError;
use super::operator::{idle, put_in_force};
use super::record::Record;
use crate::causes::correlate;
use crate::check;
use crate::model::{ActionKind, ChangeSet, Incident, IncidentKind, Job, JobState, Plan, Versioned};
use crate::remedies;
use crate::snapshot::Snapshot;

/// Plans to take back what the `job` of the plan `accepted` made a file's baseline: the person's command is the decision.
///
/// The plan belongs to the file's open incident, or to a new one where the file does not differ. Asked again while the job
/// is not out yet, nothing changes.
pub fn withdraw_baseline(
    s: &Snapshot<'_>,
    (accepted, job): (&Plan, &Job),
    by: &str,
    now: Timestamp,
    ids: &mut dyn IdSource,
) -> Result<ChangeSet, DecideError> {
    let not_held = || DecideError::NotAccepted { job: job.id, action: job.action, state: job.state };
    let Some(Body::AcceptBaseline(accept)) = accepted.action.body() else { return Err(not_held()) };
    if job.plan_id != accepted.id || job.state != JobState::Succeeded {
        return Err(not_held());
    }
    s.known(&accepted.scope, &[]).map_err(DecideError::Unknown)?;
    let key = correlate::key_of(IncidentKind::FileDrift, &accepted.scope, &accept.path);
    let mut record = Record::new(now);
    let found = s.incidents.iter().find(|i| i.doc.is_open() && i.doc.key == key);
    let mut after = match found {
        Some(found) => {
            idle(s, &found.doc)?;
            found.doc.clone()
        }
        None => Incident {
            cluster: s.name_of(&accepted.scope),
            title: format!("{by} takes back the accepted baseline of {}", accept.path),
            ..Incident::found(
                IncidentId::new(ids),
                key,
                IncidentKind::FileDrift,
                accepted.scope.clone(),
                accepted.object.clone(),
                now,
            )
        },
    };
    // As an acceptance: others are asked where the settings need them.
    let needs_approval = !s.needs(Some(ActionKind::WithdrawBaseline), &after).is_empty();
    let plan = remedies::withdraw(accept).into_plan(PlanId::new(ids), &after, needs_approval, by, now);
    if after.plan_id.and_then(|id| s.plan(id)).is_some_and(|old| old.digest == plan.digest) {
        return Ok(ChangeSet::default());
    }
    if let Some(violation) = check::of_plan(&plan, s).first() {
        return Err(DecideError::NotInForce { path: accept.path.clone(), problem: violation.text.clone() });
    }
    put_in_force(s, &mut record, &mut after, plan, "takes back the accepted baseline", now)?;
    if let Some(found) = found {
        record.incident(found, after);
    } else {
        record.audit_by(by, "incident.opened", &after.id, &after.cluster, after.title.clone());
        record.changes.incidents.push(Versioned::new(after));
    }
    Ok(record.changes)
}
