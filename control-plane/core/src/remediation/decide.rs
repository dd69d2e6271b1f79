//! Applies an operator's answer to an approval request.

use jiff::Timestamp;

use super::decide_error::DecideError;
use super::record::{Record, transition};
use crate::approval::{Answer, Decision, SUPERSEDED};
use crate::model::{Approval, ApprovalState, ChangeSet, Incident, IncidentState, Plan, Versioned};

/// Takes a person's answer.
///
/// Approved: the next dispatch carries the plan out, if it still fits then. Denied: the incident is escalated, and
/// the same plan is not asked again.
pub fn decide(
    approval: &Versioned<Approval>,
    incident: &Versioned<Incident>,
    plan: &Plan,
    answer: &Answer<'_>,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    require_answerable(&approval.doc, now)?;
    fits(&approval.doc, &incident.doc, plan, answer)?;
    let mut record = Record::new(now);
    let mut decided = approval.doc.clone();
    decided.decided_by = Some(answer.by.to_owned());
    decided.decided_at = Some(now);
    answer.reason.clone_into(&mut decided.reason);
    let mut after = incident.doc.clone();
    let because = if answer.reason.is_empty() { String::new() } else { format!(": {}", answer.reason) };
    let said = format!("by {}{because}", answer.by);
    match answer.decision {
        Decision::Approve => {
            decided.state = ApprovalState::Approved;
            record.audit_by(
                answer.by,
                "approval.approved",
                &decided.id,
                &decided.cluster,
                format!("{}, digest {}{because}", plan.summary, plan.digest),
            );
            transition(&mut after, IncidentState::Open, &format!("approved {said}; the job is next"), now);
        }
        Decision::Deny => {
            decided.state = ApprovalState::Denied;
            record.audit_by(
                answer.by,
                "approval.denied",
                &decided.id,
                &decided.cluster,
                format!("{}, digest {}{because}", plan.summary, plan.digest),
            );
            after.denied_digest = Some(plan.digest.clone());
            let reason = format!("denied {said}; nothing was changed");
            transition(&mut after, IncidentState::Escalated, &reason, now);
        }
    }
    record.changes.approvals.push(Versioned { version: approval.version, doc: decided });
    record.incident(incident, after);
    Ok(record.changes)
}

/// Can it still be answered?
fn require_answerable(approval: &Approval, now: Timestamp) -> Result<(), DecideError> {
    let id = approval.id;
    if let Some(job) = approval.used_by {
        return Err(DecideError::Used { id, job });
    }
    match approval.state {
        ApprovalState::Pending if now < approval.expires_at => Ok(()),
        ApprovalState::Expired if approval.reason.starts_with(SUPERSEDED) => {
            Err(DecideError::Superseded { id, reason: approval.reason.clone() })
        }
        ApprovalState::Pending | ApprovalState::Expired => {
            Err(DecideError::Expired { id, at: approval.expires_at })
        }
        state @ (ApprovalState::Approved | ApprovalState::Denied) => {
            let by = approval.decided_by.clone().unwrap_or_default();
            Err(DecideError::AlreadyDecided { id, state, by })
        }
    }
}

/// Is it about this plan, this incident, and what the person was shown?
fn fits(
    approval: &Approval,
    incident: &Incident,
    plan: &Plan,
    answer: &Answer<'_>,
) -> Result<(), DecideError> {
    let id = approval.id;
    if let Some(shown) = answer.digest.filter(|shown| *shown != approval.plan_digest) {
        let (shown, found) = (shown.to_owned(), approval.plan_digest.clone());
        return Err(DecideError::DigestChanged { shown, found });
    }
    let together = approval.incident_id == incident.id
        && plan.incident_id == incident.id
        && plan.digest == approval.plan_digest
        && plan.computed_digest() == plan.digest;
    if !together {
        return Err(DecideError::Mismatch { id });
    }
    if !incident.is_open() {
        return Err(DecideError::Resolved(incident.id));
    }
    if incident.approval_id != Some(id) {
        let reason = format!("{SUPERSEDED}: incident {} waits for another answer, or for none", incident.id);
        return Err(DecideError::Superseded { id, reason });
    }
    let own = answer.by == approval.requested_by || answer.by == plan.requested_by;
    if own && answer.decision == Decision::Approve {
        return Err(DecideError::OwnRequest { by: answer.by.to_owned() });
    }
    Ok(())
}
