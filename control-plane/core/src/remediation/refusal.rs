//! What an agent's refusal of a job means for its incident, and which refusals are rows of the audit log.
//!
//! An eviction that is not allowed now may be allowed any moment, so the same plan is asked for again, with a wait that
//! doubles up to a small ceiling, seldom while a budget is known to stand in the way, and at once when it no longer does
//! (`budgets`). Each try has to be signed anew, as jobs expire, and whatever is signed is in the log. That it was sent, taken
//! and refused just as before is no decision and no effect, and has no row.
//!
//! Such tries get a part of their agent's hour only. Once that is used up they wait for it, as for anything that comes by
//! itself: said in the incident, and no row.
//!
//! A job that was one too many in its agent's hour waits for no moment of its own: the hour is full for all alike, and
//! `safety::Hours` says until when.

use jiff::Timestamp;
use nimbus_protocol::eviction;
use nimbus_protocol::v1::{JobReport, job_report::Phase};

use super::budgets::{self, Standing};
use super::record::{Record, transition};
use super::{asked_again, held};
use crate::model::{
    Approval, Incident, IncidentState, Job, JobState, RefusedEviction, RefusedPlan, Versioned,
};
use crate::safety::{self, HOURLY_BUDGET};
use crate::settings::later;
use crate::snapshot::Snapshot;

/// Refusals by which the agent says that this very job came too late or too early, or from a control plane that
/// was restarted since, or as one too many in this hour, or that people have paused it: nothing was done and nothing is
/// wrong with the plan, so its approval stands.
const APPROVAL_STANDS: [&str; 5] = ["stale_epoch", "expired", "not_yet_valid", "paused", HOURLY_BUDGET];

/// The refusal of an eviction that was asked for as a dry run: it may be allowed any moment.
const EVICTION_REFUSED: &str = "eviction_refused";

/// How the line of a refusal begins that was heard before.
const AGAIN: &str = "the agent refused it again";

/// A job that was taken is refused only for what is read again at the very moment of acting: also `expired` or
/// `stale_epoch` when it waited, or its agent was interrupted, before it acted. Of a copy of its envelope an agent that
/// knows the job says `replayed`, before it looks at time and epoch; any other refusal is not about the job that runs.
pub(super) fn may_still_refuse(state: JobState, code: &str) -> bool {
    match state {
        JobState::Pending | JobState::Dispatched | JobState::Expired => true,
        JobState::Running => {
            matches!(
                code,
                "precondition_failed"
                    | EVICTION_REFUSED
                    | "policy_forbids"
                    | "paused"
                    | HOURLY_BUDGET
                    | "expired"
                    | "stale_epoch"
            )
        }
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Compensated
        | JobState::Unknown => false,
    }
}

/// Does this report on `job`, as it is after it, say what the audit log does not know yet? Not where a job that is asked for
/// again was only taken, or refused for the reason that is on record; figures and times in it may be others by now.
pub(super) fn is_news(job: &Job, report: &JobReport, incident: Option<&Incident>) -> bool {
    match report.phase() {
        Phase::Accepted => job.again == 0,
        Phase::Refused if job.again > 0 && report.code == EVICTION_REFUSED => {
            incident.is_none_or(|incident| held::is_news(incident, &job.reason))
        }
        Phase::Unspecified
        | Phase::Refused
        | Phase::Applied
        | Phase::Succeeded
        | Phase::Failed
        | Phase::Compensated
        | Phase::Unknown
        | Phase::ReplayRefused => true,
    }
}

/// The agent did nothing: the next try waits, for the longer the more often it was refused for the same.
pub(super) fn refused(
    s: &Snapshot<'_>,
    record: &mut Record,
    after: &mut Incident,
    job: &Job,
    report: &JobReport,
    now: Timestamp,
) {
    let code = report.code.as_str();
    let nth = safety::refusals(after, s, |other| other.refusal() == Some(code)) + 1;
    let stands = APPROVAL_STANDS.contains(&code);
    let budget = if code == EVICTION_REFUSED && names_a_budget(&job.reason) {
        budgets::standing(&job.scope, job.object.uid(), s)
    } else {
        Standing::NotKnown
    };
    let wait = match code {
        // The jobs in the snapshot go back only so far.
        EVICTION_REFUSED if budget.in_the_way().is_some() => s.settings.budget_retry(nth.max(times(job))),
        EVICTION_REFUSED => s.settings.eviction_retry(nth.max(times(job))),
        "precondition_failed" => s.settings.refusal_backoff(nth),
        _ if stands => s.settings.refusal_backoff(nth),
        _ => s.settings.backoff(nth),
    };
    let next = later(now, wait);
    let hour_is_full = code == HOURLY_BUDGET;
    after.next_attempt_at = (!hour_is_full).then_some(next);
    if stands {
        if let Some(approval) = job.approval_id.and_then(|id| s.approval(id)) {
            give_back(record, approval, job);
        }
    } else {
        after.plan_id = None;
        after.approval_id = None;
    }
    if code == EVICTION_REFUSED {
        return ask_again(after, job, &budget, next, now);
    }
    let then = if hour_is_full {
        // What was asked for again goes on being asked for again, and stays the plan that it was.
        after.refused = (job.again > 0).then_some(RefusedPlan { plan_id: job.plan_id, times: job.again });
        "no attempt is counted; it goes out again by itself"
    } else {
        "planned anew"
    };
    let reason = format!("the agent refused job {}: {}; nothing was changed; {then}", job.id, job.reason);
    transition(after, IncidentState::Open, &reason, now);
}

/// Is a refusal about a budget, by the words of the API server or of the agent?
fn names_a_budget(reason: &str) -> bool {
    const WORDS: [&str; 4] = [
        eviction::DISRUPTION_BUDGET,
        eviction::KIND_OF_BUDGETS,
        eviction::DOES_NOT_ALLOW,
        eviction::DID_NOT_ALLOW,
    ];
    let reason = reason.to_lowercase();
    // A pod or a namespace may be called so, and a crowded API server is no budget.
    reason.contains(eviction::BUDGET)
        && WORDS.iter().any(|word| reason.contains(word))
        && !reason.contains(eviction::NOT_IN_THE_WAY)
}

/// The plan is kept for the next try. Heard before, the refusal is one line of the incident's story that counts.
fn ask_again(after: &mut Incident, job: &Job, budget: &Standing, next: Timestamp, now: Timestamp) {
    after.refused = Some(RefusedPlan { plan_id: job.plan_id, times: times(job) });
    let last = after.refused_eviction;
    let stood = last.is_some_and(|last| last.budget_stood);
    after.refused_eviction = Some(RefusedEviction {
        at: now,
        budget_stood: stood || budget.may_be_in_the_way(),
        by_budget: names_a_budget(&job.reason),
        // Of one that stood all the time nothing was tried early.
        in_vain: last.filter(|_| !stood).map_or(0, |last| last.in_vain),
    });
    let news = held::begins(after, &job.reason);
    let which = if job.again == 0 {
        format!("the agent refused job {}", job.id)
    } else {
        format!("{AGAIN}, {} times by now, last job {}", times(job), job.id)
    };
    if !news && after.history.last().is_some_and(|line| line.text.starts_with(AGAIN)) {
        after.history.pop();
    }
    let reason = format!(
        "{which}: {}; no attempt is counted{}",
        job.reason,
        asked_again::then(budget.in_the_way(), next)
    );
    transition(after, IncidentState::Open, &reason, now);
}

/// What was refused waits for a try: what the incident says of the refusal stands, or `planned` where it says nothing of it
/// now. Its plan is not in force meanwhile, so that it keeps no other one from its turn.
pub(super) fn wait_for_a_try(after: &mut Incident, planned: &str, why: &str, now: Timestamp) {
    after.plan_id = None;
    let reason = asked_again::later(after, planned, why);
    if after.state == IncidentState::Open {
        // As with each refusal, its story has one line for all its tries.
        after.reason = reason;
    } else {
        transition(after, IncidentState::Open, &reason, now);
    }
}

/// How often the plan of this job was refused, with the job itself.
fn times(job: &Job) -> u32 {
    job.again.saturating_add(1)
}

/// The approval was not used after all: the agent says that it did nothing.
fn give_back(record: &mut Record, approval: &Versioned<Approval>, job: &Job) {
    if approval.doc.used_by != Some(job.id) {
        return;
    }
    let mut after = approval.doc.clone();
    after.used_by = None;
    let text = format!("job {} was refused ({}) and did nothing; the approval stands", job.id, job.reason);
    record.audit("approval.returned", &after.id, &after.cluster, text);
    record.changes.approvals.push(Versioned { version: approval.version, doc: after });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_budget_refused_is_read_from_the_words_of_agents_and_of_the_api_server() {
        for (reason, named) in [
            ("budget web (0 disruptions allowed) does not allow it; it can never allow one: no", true),
            (
                "budget web (1 disruptions allowed) did not allow it when it was asked, and may allow it by now: no",
                true,
            ),
            ("a budget does not allow it; the budgets could not be read: no", true),
            ("Cannot evict pod as it would violate the pod's disruption budget.", true),
            ("This pod has more than one PodDisruptionBudget, which is not supported", true),
            (
                "the API server takes no more requests; budget web is not in the way: a disruption budget",
                false,
            ),
            ("it is forbidden: namespace budget is being terminated", false),
            ("the API server does not allow it", false),
        ] {
            assert_eq!(names_a_budget(reason), named, "{reason}");
        }
    }
}
