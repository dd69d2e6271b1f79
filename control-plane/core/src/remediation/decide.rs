//! Applies an operator's answer to an approval request.

use jiff::Timestamp;

use super::decide_error::DecideError;
use super::record::{Record, transition};
use crate::approval::{Answer, Decision, SUPERSEDED};
use crate::calendar::Held;
use crate::model::{
    Approval, ApprovalState, BrokenGlass, ChangeSet, Incident, IncidentState, Plan, Review, Versioned, Word,
};
use crate::quorum;
use crate::remedies::NIMBUS;

/// Takes a person's answer.
///
/// Approved: the next dispatch carries the plan out, if it still fits then. Denied: the incident is escalated, and
/// the same plan is not asked again. Where several people have to approve, one word waits for the others, and one against it denies.
/// `held` is what of windows and blackouts holds the plan back now, but for what was passed by before: who breaks the glass passes that by.
pub fn decide(
    approval: &Versioned<Approval>,
    incident: &Versioned<Incident>,
    plan: &Plan,
    answer: &Answer<'_>,
    held: Option<&Held>,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    // Approved and held back, there is a glass to break still, once; and what was not begun yet can be denied.
    let is_unused = approval.doc.covers(&plan.digest, now);
    let takes = match answer.decision {
        Decision::Approve => answer.breaks_glass && held.is_some() && approval.doc.broken_glass.is_none(),
        Decision::Deny => true,
    };
    if !(is_unused && takes) {
        require_answerable(&approval.doc, now)?;
    }
    fits(&approval.doc, &incident.doc, plan, answer)?;
    let mut record = Record::new(now);
    let mut decided = approval.doc.clone();
    let mut after = incident.doc.clone();
    let because = if answer.reason.is_empty() { String::new() } else { format!(": {}", answer.reason) };
    let said = format!("by {}{because}", answer.by);
    let subject = format!("{}, digest {}{because}", plan.summary, plan.digest);
    let mut audit = |action: &str, detail: String| {
        record.audit_by(answer.by, action, &approval.doc.id, &approval.doc.cluster, detail);
    };
    match answer.decision {
        Decision::Approve => match given(&mut decided, answer, held, now)? {
            Given::All => {
                audit("approval.approved", subject);
                let next = held.map_or("the job is next", |held| held.text.as_str());
                let reason = format!("approved {said}; {next}");
                transition(&mut after, IncidentState::Open, &reason, now);
            }
            Given::Alone => {
                let missing = quorum::missing(&decided.needs, &decided.given);
                let others = (!missing.is_empty()).then(|| format!("{} was needed", quorum::words(&missing)));
                let past = held.map(|held| {
                    let names: Vec<&str> = held.past.iter().map(|it| it.what.as_str()).collect();
                    format!("past {}: {}", names.join(", "), held.text)
                });
                let broken: Vec<String> = others.into_iter().chain(past).collect();
                let broken = broken.join("; ");
                audit("approval.glass_broken", format!("{broken}; {subject}"));
                let reason = format!("approved {said}, who broke the glass: {broken}; the job is next");
                transition(&mut after, IncidentState::Open, &reason, now);
            }
            Given::One => {
                let left = quorum::words(&quorum::missing(&decided.needs, &decided.given));
                audit("approval.word_given", format!("{subject}; still needed: {left}"));
                after.note(now, format!("approved {said}; still needed: {left}"));
                let reason = decided.waits_for(&plan.summary, held.map(|held| held.text.as_str()));
                transition(&mut after, IncidentState::WaitingApproval, &reason, now);
            }
        },
        Decision::Deny => {
            decided.state = ApprovalState::Denied;
            let before = said_yes(&approval.doc);
            let before = if before.is_empty() {
                String::new()
            } else {
                format!("; approved before by {}", before.join(", "))
            };
            settle(&mut decided, answer.by.to_owned(), answer.reason, now);
            audit("approval.denied", format!("{subject}{before}"));
            let reason = format!("denied {said}; nothing was changed{before}");
            if plan.requested_by == NIMBUS {
                after.denied_digest = Some(plan.digest.clone());
                transition(&mut after, IncidentState::Escalated, &reason, now);
            } else {
                // A person's order is over with it; what Nimbus would do stays as it was answered before.
                after.plan_id = None;
                after.approval_id = None;
                let reason = format!("what {} ordered was {reason}", plan.requested_by);
                transition(&mut after, IncidentState::Open, &reason, now);
            }
        }
    }
    record.changes.approvals.push(Versioned { version: approval.version, doc: decided });
    record.incident(incident, after);
    Ok(record.changes)
}

/// Who said yes before: each word, else who decided, and who broke the glass.
fn said_yes(approval: &Approval) -> Vec<&str> {
    let mut names: Vec<&str> = approval.given.iter().map(|word| word.by.as_str()).collect();
    if names.is_empty() {
        names.extend(approval.decided_by.as_deref());
    }
    let glass = approval.broken_glass.as_ref().map(|broken| broken.by.as_str());
    if let Some(by) = glass.filter(|by| !names.contains(by)) {
        names.push(by);
    }
    names
}

/// What an approving word does.
enum Given {
    /// Nobody else is needed.
    All,
    /// Others were, and are done without.
    Alone,
    /// Others still are.
    One,
}

/// Takes an approving word, which has to be one that is needed.
fn given(
    approval: &mut Approval,
    answer: &Answer<'_>,
    held: Option<&Held>,
    now: Timestamp,
) -> Result<Given, DecideError> {
    let (id, by) = (approval.id, answer.by.to_owned());
    let word =
        Word { by: by.clone(), groups: answer.groups.to_vec(), at: now, reason: answer.reason.to_owned() };
    let counts = quorum::counts(&approval.needs, &approval.given, &word);
    // Whose word is the last one that is missing has no glass to break, but for whoever may not give it.
    let may = answer.by != approval.requested_by;
    let is_last = counts && may && quorum::missing(&approval.needs, &approval.given).len() == 1;
    let passes = held.is_some();
    if answer.breaks_glass && (passes || !is_last) {
        if approval.needs.is_empty() && !passes {
            return Err(DecideError::NoGlass { id });
        }
        if answer.reason.trim().is_empty() {
            return Err(DecideError::NoReason { id });
        }
        // A word that is needed counts as one, too.
        if counts && may {
            approval.given.push(word);
        }
        let approved = std::mem::replace(&mut approval.state, ApprovalState::Approved);
        let (at, reason) = (now, answer.reason.to_owned());
        let past = held.map(|held| held.past.clone()).unwrap_or_default();
        approval.broken_glass = Some(BrokenGlass { by: by.clone(), at, reason, past, review: None });
        // Who approved it before stays who did; the glass has its own name.
        if approved == ApprovalState::Pending {
            settle(approval, by, answer.reason, now);
        }
        return Ok(Given::Alone);
    }
    if approval.needs.is_empty() {
        approval.state = ApprovalState::Approved;
        settle(approval, by, answer.reason, now);
        return Ok(Given::All);
    }
    if approval.given.iter().any(|word| word.by == by) {
        return Err(DecideError::WordGiven { id, by });
    }
    if !counts {
        let groups = if answer.groups.is_empty() { "no group".to_owned() } else { answer.groups.join(", ") };
        let needed = quorum::words(&quorum::missing(&approval.needs, &approval.given));
        return Err(DecideError::NotAsked { id, needed, by, groups });
    }
    approval.given.push(word);
    if !quorum::missing(&approval.needs, &approval.given).is_empty() {
        return Ok(Given::One);
    }
    approval.state = ApprovalState::Approved;
    let names: Vec<&str> = approval.given.iter().map(|word| word.by.as_str()).collect();
    let names = names.join(", ");
    settle(approval, names, answer.reason, now);
    Ok(Given::All)
}

fn settle(approval: &mut Approval, by: String, reason: &str, now: Timestamp) {
    approval.decided_by = Some(by);
    approval.decided_at = Some(now);
    reason.clone_into(&mut approval.reason);
}

/// A person looked back at an approval that somebody gave alone, and closes that.
pub fn review(
    approval: &Versioned<Approval>,
    by: &str,
    note: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let id = approval.doc.id;
    let mut after = approval.doc.clone();
    let broken = after.broken_glass.as_mut().ok_or(DecideError::NothingToReview { id })?;
    if let Some(review) = &broken.review {
        return Err(DecideError::Reviewed { id, by: review.by.clone(), at: review.at });
    }
    if broken.by == by {
        return Err(DecideError::OwnGlass { id, by: by.to_owned() });
    }
    if note.trim().is_empty() {
        return Err(DecideError::NoReason { id });
    }
    broken.review = Some(Review { by: by.to_owned(), at: now, note: note.to_owned() });
    let mut record = Record::new(now);
    let detail = format!("{} broke the glass at {}: {note}", broken.by, broken.at);
    record.audit_by(by, "approval.reviewed", &id, &after.cluster, detail);
    record.changes.approvals.push(Versioned { version: approval.version, doc: after });
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
    // Who took a denial back is none of several, and may break the glass as anybody may.
    let asked_again = answer.by == approval.requested_by && !answer.breaks_glass;
    let own = asked_again || answer.by == plan.requested_by;
    if own && answer.decision == Decision::Approve {
        return Err(DecideError::OwnRequest { by: answer.by.to_owned() });
    }
    Ok(())
}
