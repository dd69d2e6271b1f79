//! An operator's other decisions: accepting baselines, enabling clusters, acknowledging and silencing incidents.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_protocol::ids::{IdSource, IncidentId, PlanId};

use super::decide_error::DecideError;
use super::record::{Record, transition};
use crate::approval::SUPERSEDED;
use crate::model::{
    ActionKind, Approval, ChangeSet, Cluster, Incident, IncidentKind, IncidentState, Mode, Plan, Versioned,
};
use crate::remedies;
use crate::rules;
use crate::safety;
use crate::snapshot::Snapshot;

/// Plans to make a drifted file's present state its new baseline: the person's command is the decision.
///
/// Asked again for the same state, nothing changes.
pub fn accept_baseline(
    s: &Snapshot<'_>,
    incident: IncidentId,
    by: &str,
    now: Timestamp,
    ids: &mut dyn IdSource,
) -> Result<ChangeSet, DecideError> {
    let found = s.incident(incident).filter(|i| i.doc.is_open());
    let found = found.ok_or(DecideError::NoIncident(incident))?;
    let doc = &found.doc;
    if doc.kind != IncidentKind::FileDrift {
        return Err(DecideError::WrongKind { expected: IncidentKind::FileDrift, found: doc.kind });
    }
    idle(s, doc)?;
    s.known(&doc.scope, &[]).map_err(DecideError::Unknown)?;
    let path = doc.object.name().to_owned();
    let draft = remedies::accept(doc, s).map_err(|problem| DecideError::NoBaseline { path, problem })?;
    // One person's order, unless the settings need others too: then it is asked of them.
    let needs_approval = !s.needs(Some(ActionKind::AcceptBaseline), doc).is_empty();
    let plan = draft.into_plan(PlanId::new(ids), doc, needs_approval, by, now);
    let in_force = doc.plan_id.and_then(|id| s.plan(id));
    if in_force.is_some_and(|old| old.digest == plan.digest) {
        return Ok(ChangeSet::default());
    }
    let mut record = Record::new(now);
    let mut after = doc.clone();
    put_in_force(s, &mut record, &mut after, plan, "accepts the present state as the baseline", now)?;
    record.incident(found, after);
    Ok(record.changes)
}

/// Puts what a person ordered in the place of whatever was planned or asked for an incident; `what` they do, in words.
/// Refused where the agent that would carry it out is away or does not allow it: an order does not wait for either.
pub(super) fn put_in_force(
    s: &Snapshot<'_>,
    record: &mut Record,
    after: &mut Incident,
    plan: Plan,
    what: &str,
    now: Timestamp,
) -> Result<(), DecideError> {
    safety::refuse_order(&plan, after, s).map_err(DecideError::NotAllowed)?;
    let by = plan.requested_by.clone();
    for approval in s.approvals.iter().filter(|a| a.doc.incident_id == after.id) {
        record.expire_approval(approval, &format!("{SUPERSEDED}: {by} {what}"));
    }
    after.plan_id = Some(plan.id);
    after.approval_id = None;
    after.refused = None;
    after.next_attempt_at = None;
    after.silenced_until = None;
    let next = if plan.needs_approval { "others are asked" } else { "the job is next" };
    transition(after, IncidentState::Open, &format!("{by} {what}; {next}"), now);
    record.audit_by(&by, "plan.made", &plan.id, &after.cluster, plan.summary.clone());
    record.changes.plans.push(Versioned::new(plan));
    Ok(())
}

/// Forgets a denial, so that the plan is asked again.
pub fn ask_again(incident: &Versioned<Incident>, by: &str, now: Timestamp) -> Result<ChangeSet, DecideError> {
    let doc = &incident.doc;
    let answered = doc.denied_digest.is_some() || doc.failed_digest.is_some();
    let idle = match doc.state {
        // In the first two something else is planned since.
        IncidentState::Open | IncidentState::WaitingApproval | IncidentState::Escalated => true,
        IncidentState::Remediating | IncidentState::Resolved | IncidentState::Silenced => false,
    };
    if !idle || !answered {
        return Err(DecideError::NotDenied { incident: doc.id, state: doc.state });
    }
    let mut record = Record::new(now);
    let mut after = doc.clone();
    let denied = after.denied_digest.take();
    after.asked_again = denied.map(|digest| (by.to_owned(), digest)).or(after.asked_again);
    after.failed_digest = None;
    after.held.clear();
    transition(&mut after, IncidentState::Open, &format!("{by} wants to be asked again"), now);
    record.audit_by(by, "incident.reconsidered", &after.id, &after.cluster, "the denial is taken back");
    record.incident(incident, after);
    Ok(record.changes)
}

/// Enables rules in a cluster (none named: every rule of clusters), to ask a person for each or to act by the rules. Without a
/// mode a cluster that has one of these keeps it, and any other one asks.
pub fn enable(
    cluster: &Versioned<Cluster>,
    rules: &[ActionKind],
    mode: Option<Mode>,
    by: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let wanted = of_clusters(rules)?;
    let mut after = cluster.doc.clone();
    let had = match after.mode {
        Mode::Recommend | Mode::Act => Some(after.mode),
        Mode::Off | Mode::Observe => {
            // What an observed cluster was enabled for once does not come back by itself.
            after.enabled.clear();
            None
        }
    };
    after.mode = match mode.or(had).unwrap_or(Mode::Recommend) {
        mode @ (Mode::Recommend | Mode::Act) => mode,
        other @ (Mode::Off | Mode::Observe) => return Err(DecideError::NotAModeToEnable(other)),
    };
    let all: BTreeSet<ActionKind> = after.enabled.iter().copied().chain(wanted).collect();
    after.enabled = all.into_iter().collect();
    Ok(switched(cluster, after, "autonomous.enabled", by, now))
}

/// Disables rules in a cluster (none named: every rule; the cluster is only observed then, or not even that where it is to be
/// `off`).
pub fn disable(
    cluster: &Versioned<Cluster>,
    rules: &[ActionKind],
    off: bool,
    by: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let unwanted = of_clusters(rules)?;
    let mut after = cluster.doc.clone();
    after.enabled.retain(|rule| !unwanted.contains(rule));
    if after.enabled.is_empty() {
        after.mode = if off { Mode::Off } else { Mode::Observe };
    }
    Ok(switched(cluster, after, "autonomous.disabled", by, now))
}

fn of_clusters(rules: &[ActionKind]) -> Result<Vec<ActionKind>, DecideError> {
    let all: Vec<ActionKind> = rules::of_clusters().collect();
    if let Some(other) = rules.iter().find(|rule| !all.contains(rule)) {
        let expected = all.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", ");
        return Err(DecideError::NotAClusterRule { expected, found: *other });
    }
    Ok(if rules.is_empty() { all } else { rules.to_vec() })
}

fn switched(
    before: &Versioned<Cluster>,
    after: Cluster,
    action: &str,
    by: &str,
    now: Timestamp,
) -> ChangeSet {
    let mut record = Record::new(now);
    if after != before.doc {
        let rules = after.enabled.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", ");
        let enabled = if rules.is_empty() { "nothing".to_owned() } else { rules };
        let text = format!("mode {}, enabled: {enabled}", after.mode);
        record.audit_by(by, action, &after.uid, &after.name, text);
        record.changes.clusters.push(Versioned { version: before.version, doc: after });
    }
    record.changes
}

/// Leaves an incident alone until a moment; its pending approval, if any, is void.
///
/// `approval` is the incident's approval in force, where it has one. A job in flight is not cancelled.
pub fn silence(
    incident: &Versioned<Incident>,
    approval: Option<&Versioned<Approval>>,
    until: Timestamp,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let doc = &incident.doc;
    match (doc.state, doc.job_id) {
        (IncidentState::Resolved, _) => return Err(DecideError::Resolved(doc.id)),
        (IncidentState::Remediating, Some(job)) => {
            return Err(DecideError::JobRunning { incident: doc.id, job });
        }
        _ if until <= now => return Err(DecideError::SilenceEnds(until)),
        _ => {}
    }
    let mut record = Record::new(now);
    let mut after = doc.clone();
    after.silenced_until = Some(until);
    after.plan_id = None;
    after.approval_id = None;
    after.refused = None;
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let text = format!("silenced by {by} until {until:.0}{because}");
    transition(&mut after, IncidentState::Silenced, &text, now);
    record.audit_by(by, "incident.silenced", &after.id, &after.cluster, text);
    if let Some(approval) = approval.filter(|a| a.doc.incident_id == doc.id) {
        record.expire_approval(approval, &format!("{SUPERSEDED}: the incident was silenced by {by}"));
    }
    record.incident(incident, after);
    Ok(record.changes)
}

/// Notes that a person has seen an incident.
pub fn acknowledge(
    incident: &Versioned<Incident>,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    if !incident.doc.is_open() {
        return Err(DecideError::Resolved(incident.doc.id));
    }
    let mut record = Record::new(now);
    let mut after = incident.doc.clone();
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let text = format!("seen by {by}{because}");
    after.note(now, text.clone());
    if after != incident.doc {
        record.audit_by(by, "incident.acknowledged", &after.id, &after.cluster, text);
    }
    record.incident(incident, after);
    Ok(record.changes)
}

/// Refuses while a job is in flight.
pub(super) fn idle(s: &Snapshot<'_>, incident: &Incident) -> Result<(), DecideError> {
    let job = s.in_flight().find(|job| job.incident_id == incident.id).map(|job| job.id);
    job.map_or(Ok(()), |job| Err(DecideError::JobRunning { incident: incident.id, job }))
}
