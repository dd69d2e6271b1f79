//! Applies an agent's report on a job to the job and its incident; each phase counts once.
//!
//! The agent's word on what it did is believed even when it comes late (after a job was given up). That the fault
//! is gone is believed only if the world agrees.

use jiff::Timestamp;
use nimbus_protocol::from_micros;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::{JobReport, job_report::Phase};

use super::record::{Record, transition};
use super::{refusal, resolution};
use crate::causes::{self, Agreement};
use crate::model::{ChangeSet, Incident, IncidentState, Job, JobState, Versioned};
use crate::remedies;
use crate::safety::{Attempts, Subject, Tried};
use crate::settings::later;
use crate::snapshot::Snapshot;

/// Longest text that is kept of a report, characters.
const MAX_TEXT: usize = 1_000;
/// Most evidence lines that are kept of a report.
const MAX_EVIDENCE: usize = 20;

/// Applies an agent's report on a job; the same report again changes nothing.
pub fn report(s: &Snapshot<'_>, agent: AgentId, report: &JobReport, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    let found = report.job_id.parse().ok().and_then(|id| s.job(id));
    let Some(job) = found else {
        let subject = cut(if report.job_id.is_empty() { "no job" } else { &report.job_id });
        record.audit_by(&agent.to_string(), "job.report_unknown", &subject, "", describe(report));
        return record.changes;
    };
    if job.doc.agent_id != agent {
        let text =
            format!("reported by another agent than {}; ignored: {}", job.doc.agent_id, describe(report));
        record.audit_by(&agent.to_string(), "job.report_foreign", &job.doc.id, &job.doc.cluster, text);
        return record.changes;
    }
    let Some(after) = advance(&job.doc, report, now) else {
        let word = match report.phase() {
            Phase::ReplayRefused => "job.replay_refused",
            // It says nothing of how the job ended; what a newer agent said is kept for whoever looks.
            Phase::Unspecified => "job.report_not_understood",
            Phase::Accepted
            | Phase::Refused
            | Phase::Applied
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Compensated
            | Phase::Unknown => return record.changes,
        };
        let text = format!("phase {}: {}", report.phase, describe(report));
        record.audit_by(&agent.to_string(), word, &job.doc.id, &job.doc.cluster, text);
        return record.changes;
    };
    let incident = s.incident(after.incident_id);
    if refusal::is_news(&after, report, incident.map(|incident| &incident.doc)) {
        let action = format!("job.{}", word(report.phase()));
        record.audit_by(&agent.to_string(), &action, &job.doc.id, &job.doc.cluster, describe(report));
    }
    record.job(job, after.clone());
    if let Some(incident) = incident {
        follow(s, &mut record, incident, &after, report, now);
    }
    record.changes
}

/// The job after this report; `None` when the report says nothing new.
fn advance(job: &Job, report: &JobReport, now: Timestamp) -> Option<Job> {
    // The control plane gave the job up because no report came: the agent's own report, however late, replaces that.
    let given_up = matches!(job.state, JobState::Expired | JobState::Unknown);
    let open = !job.state.is_final();
    // The agent's clock, as far as it can be true: waits and attempts are counted from it.
    let at = from_micros(report.at_us).clamp(job.created_at.min(now), now);
    let mut after = job.clone();
    let state = match report.phase() {
        Phase::Accepted if job.state == JobState::Pending || job.state == JobState::Dispatched => {
            JobState::Running
        }
        Phase::Applied if job.applied_at.is_none() && (open || given_up) => {
            after.applied_at = Some(at);
            if open { JobState::Running } else { job.state }
        }
        Phase::Refused if job.applied_at.is_none() && refusal::may_still_refuse(job.state, &report.code) => {
            JobState::Refused
        }
        Phase::Succeeded if open || given_up => JobState::Succeeded,
        Phase::Failed if open || given_up => JobState::Failed,
        Phase::Compensated if open || given_up || job.state == JobState::Failed => JobState::Compensated,
        Phase::Unknown if open || job.state == JobState::Expired => JobState::Unknown,
        Phase::Unspecified
        | Phase::ReplayRefused
        | Phase::Accepted
        | Phase::Applied
        | Phase::Refused
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Compensated
        | Phase::Unknown => return None,
    };
    after.state = state;
    if state == JobState::Succeeded && after.applied_at.is_none() {
        after.applied_at = Some(at);
    }
    if state.is_final() && (open || state != job.state) {
        after.finished_at = Some(at);
        after.reason = cut(&reason(report));
    }
    if !report.evidence.is_empty() {
        after.evidence = report.evidence.iter().take(MAX_EVIDENCE).map(|line| cut(line)).collect();
    }
    if !report.replacement_uid.is_empty() {
        after.replacement_uid = Some(cut(&report.replacement_uid));
    }
    Some(after)
}

/// What the report means for the incident.
fn follow(
    s: &Snapshot<'_>,
    record: &mut Record,
    incident: &Versioned<Incident>,
    job: &Job,
    report: &JobReport,
    now: Timestamp,
) {
    let mut after = incident.doc.clone();
    // A late report on an earlier job must not change an incident that has another job by now, or that an operator
    // silenced or denied.
    let in_force = after.job_id == Some(job.id);
    let denied =
        after.state == IncidentState::Escalated && after.denied_digest.as_ref() == Some(&job.plan_digest);
    let left_alone = after.state == IncidentState::Silenced || denied;
    match report.phase() {
        Phase::Accepted if job.again > 0 => {}
        Phase::Accepted => after.note(now, format!("job {}: taken by the agent", job.id)),
        Phase::Applied => {
            after.note(now, format!("job {}: the change is made; watching whether it helps", job.id));
        }
        _ if !in_force || left_alone => {
            after.note(now, format!("job {}: {}; {}", job.id, job.state, job.reason));
        }
        Phase::Refused => refusal::refused(s, record, &mut after, job, report, now),
        Phase::Succeeded => succeeded(s, record, &mut after, job, now),
        Phase::Failed | Phase::Compensated | Phase::Unknown | Phase::Unspecified | Phase::ReplayRefused => {
            record_failed_attempt(s, &mut after, job, now);
        }
    }
    record.incident(incident, after);
}

fn succeeded(s: &Snapshot<'_>, record: &mut Record, after: &mut Incident, job: &Job, now: Timestamp) {
    after.attempts = made(s, after, job);
    after.plan_id = None;
    after.approval_id = None;
    after.note(now, format!("job {}: done, and the agent saw it hold", job.id));
    match causes::of(after.kind).agreement(s, after) {
        Agreement::Agrees => {
            let how = if job.reason.is_empty() { String::new() } else { format!("; {}", job.reason) };
            let how = how + &lost_with(s, job);
            let reason = format!("job {} helped: {} on {}{how}", job.id, job.action, job.object);
            resolution::finish(s, record, after, &reason, resolution::End::Healthy, now);
        }
        Agreement::Disagrees(still) => {
            // The picture may be a moment behind; if it is not, the next plan follows after this wait.
            after.next_attempt_at = Some(later(now, s.settings.settle()));
            let reason = format!("job {} succeeded, but not all is well: {still}", job.id);
            transition(after, IncidentState::Open, &reason, now);
        }
    }
}

/// What the job destroyed, as its plan said before.
fn lost_with(s: &Snapshot<'_>, job: &Job) -> String {
    let changes = s.plan(job.plan_id).into_iter().flat_map(|plan| &plan.changes);
    changes.filter(|change| change.ends_with(remedies::LOST)).flat_map(|change| ["; ", change]).collect()
}

/// Failed, undone or unknown: it counts, and the next try waits.
pub(super) fn record_failed_attempt(s: &Snapshot<'_>, after: &mut Incident, job: &Job, now: Timestamp) {
    after.attempts = made(s, after, job);
    after.plan_id = None;
    after.approval_id = None;
    let before =
        Attempts::on(&Subject::of_job(job), Some(job.action), job.approval_id.is_some(), &Tried::of(s));
    let nth = before.jobs.iter().filter(|j| j.id != job.id).count() + 1;
    let nth = u32::try_from(nth).unwrap_or(u32::MAX);
    let most = s.settings.attempts;
    let text = format!("attempt {nth} of {most} ended as {}: {}", job.state, job.reason);
    if cannot_pass(job) {
        after.next_attempt_at = None;
        after.failed_digest = Some(job.plan_digest.clone());
        let reason = format!(
            "{text}; nothing was changed, and it is not asked again until something about it changes"
        );
        transition(after, IncidentState::Escalated, &reason, now);
        return;
    }
    let reason = if nth < most {
        let next = later(now, s.settings.backoff(nth));
        after.next_attempt_at = Some(next);
        format!("{text}; the next not before {next:.0}")
    } else {
        after.next_attempt_at = None;
        text
    };
    transition(after, IncidentState::Open, &reason, now);
}

/// A person approved it and it could not be done: not even tried changes were made, as the answer was a plain no. To ask the
/// person the same again would get the same answer.
fn cannot_pass(job: &Job) -> bool {
    job.state == JobState::Failed && job.applied_at.is_none() && job.approval_id.is_some()
}

/// Attempts made for an incident, `job` included, however often it is heard of.
fn made(s: &Snapshot<'_>, incident: &Incident, job: &Job) -> u32 {
    let others = s.jobs.iter().map(|j| &j.doc).filter(|j| {
        j.incident_id == incident.id && j.id != job.id && j.state.is_final() && j.state != JobState::Refused
    });
    incident.attempts.max(u32::try_from(others.count() + 1).unwrap_or(u32::MAX))
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Unspecified | Phase::Unknown => "unknown",
        Phase::Accepted => "accepted",
        Phase::Refused => "refused",
        Phase::Applied => "applied",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Compensated => "compensated",
        Phase::ReplayRefused => "replay_refused",
    }
}

fn reason(report: &JobReport) -> String {
    match (report.code.as_str(), report.reason.as_str()) {
        ("", reason) => reason.to_owned(),
        (code, "") => code.to_owned(),
        (code, reason) => format!("{code}: {reason}"),
    }
}

fn describe(report: &JobReport) -> String {
    let reason = reason(report);
    let text = if reason.is_empty() {
        word(report.phase()).to_owned()
    } else {
        format!("{}: {reason}", word(report.phase()))
    };
    cut(&text)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
