//! Evictions that a budget refuses again and again: when they are asked for again, and what of it is in the audit log.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;

const NEVER: &str = "budget web-guard (minAvailable 3, 2 of 3 pods healthy) does not allow it";
const TWO: &str = "two budgets select it (web-first, web-second)";

/// The agent takes the job, and the API server does not allow its eviction.
fn refuse(lab: &mut Lab, job: &v1::Job, reason: &str) {
    assert!(lab.report(job, Phase::Accepted, "", ""));
    assert!(lab.report(job, Phase::Refused, "eviction_refused", reason));
}

/// The next job, however long it takes.
fn next(lab: &mut Lab) -> v1::Job {
    for _ in 0..=60 {
        if let Some(job) = lab.settle().pop() {
            return job;
        }
        lab.pass(1);
    }
    panic!("no job within a minute: {:#?}", lab.incidents);
}

fn refuse_next(lab: &mut Lab, reason: &str) {
    let job = next(lab);
    refuse(lab, &job, reason);
}

fn rows(lab: &Lab) -> BTreeMap<&str, usize> {
    let mut rows = BTreeMap::new();
    for row in &lab.audit {
        *rows.entry(row.draft.action.as_str()).or_default() += 1;
    }
    rows
}

/// Rows of one refused plan that was tried so often, since the incident was found.
fn expected(tries: usize) -> BTreeMap<&'static str, usize> {
    let once = ["incident.opened", "plan.made", "job.sent", "job.accepted", "job.refused"];
    once.into_iter().map(|action| (action, 1)).chain([("job.signed", tries)]).collect()
}

#[test]
fn a_budget_that_refuses_for_hours_gives_a_row_for_each_signed_job_and_five_more() {
    let mut lab = crash_loop();
    let (start, mut tries) = (lab.now, 0);
    // Six waits of 1 s to 32 s, then 14 of 45 s, then one try in five minutes.
    for (hours, total) in [(1, 30), (2, 42), (3, 54)] {
        while lab.now < start + SignedDuration::from_hours(hours) {
            let job = lab.settle().pop().unwrap();
            // Its figures are others each time.
            refuse(&mut lab, &job, &format!("{NEVER}, asked {tries} s ago"));
            tries += 1;
            lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
        }
        assert_eq!(tries, total);
        assert_eq!(rows(&lab), expected(tries));
    }
    let plans: Vec<_> = lab.jobs.values().map(|job| job.doc.plan_id).collect();
    assert!(plans.iter().all(|plan| *plan == plans[0]), "asked for again, it is the same plan");
    let signed = lab.audit.iter().rfind(|row| row.draft.action == "job.signed").unwrap();
    assert!(signed.draft.detail.ends_with("; refused 53 times before"), "{}", signed.draft.detail);
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert!(incident.reason.contains("54 times by now") && incident.reason.contains(NEVER));
    assert!(incident.reason.contains("no attempt is counted; asked again at"), "{}", incident.reason);
    assert_eq!((incident.attempts, incident.plan_id), (0, None), "nobody waits for a plan that waits");
    assert!(incident.history.len() < 12, "it does not push out the story: {:#?}", incident.history);
    let read = lab.look(|s| s.jobs.len());
    assert_eq!(read, 25, "the first one, and those of two hours: what is read does not grow for ever");
}

#[test]
fn another_reason_is_a_row_once() {
    let mut lab = crash_loop();
    for (reason, refused) in [(NEVER, 1), (NEVER, 1), (TWO, 2), (TWO, 2), (NEVER, 2), (TWO, 2)] {
        refuse_next(&mut lab, reason);
        assert_eq!(lab.audited("job.refused"), refused, "{reason}");
        assert!(lab.open(IncidentKind::PodCrashLoop).reason.contains(reason));
    }
    assert_eq!((lab.audited("plan.made"), lab.audited("job.signed"), lab.audited("job.sent")), (1, 6, 1));
    // What is no refusal of the eviction is said each time, and planned anew.
    let job = next(&mut lab);
    lab.report(&job, Phase::Refused, "precondition_failed", "expected pod-web-1-0, found none");
    assert_eq!((lab.audited("job.refused"), lab.open(IncidentKind::PodCrashLoop).refused), (3, None));
    let refused_at = lab.now;
    next(&mut lab);
    assert!(lab.now.duration_since(refused_at).as_secs() <= 1, "its wait is its own");
    assert_eq!((lab.audited("plan.made"), lab.audited("job.sent")), (2, 2));
}

#[test]
fn a_yes_after_many_refusals_is_carried_out_by_the_next_try_and_has_its_rows() {
    let mut lab = crash_loop();
    for _ in 0..20 {
        refuse_next(&mut lab, NEVER);
    }
    let allowed_at = lab.now;
    let job = next(&mut lab);
    assert!(lab.now.duration_since(allowed_at).as_secs() <= 45, "replaced within a minute");
    lab.apply(&job);
    lab.see(gone("Pod", "pod-web-1-0"));
    let replacement = fresh(&lab, "web-1", "9", "node-b");
    lab.see(Body::Pod(replacement));
    assert!(lab.report(&job, Phase::Succeeded, "", ""));
    let incident = lab.last(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, incident.attempts), (IncidentState::Resolved, 1));
    let mut expected = expected(21);
    expected.extend(["job.applied", "job.succeeded", "incident.resolved"].map(|action| (action, 1)));
    assert_eq!(rows(&lab), expected);
}

#[test]
fn another_plan_after_a_refusal_has_all_its_rows() {
    let mut lab = crash_loop();
    for _ in 0..3 {
        refuse_next(&mut lab, NEVER);
    }
    // No other node is there any more: the node is not held back.
    lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-b") }));
    refuse_next(&mut lab, NEVER);
    let all = ["plan.made", "job.sent", "job.accepted", "job.refused"];
    assert_eq!(all.map(|action| lab.audited(action)), [2; 4]);
    let (job, before) = (next(&mut lab), lab.audited("job.signed"));
    refuse(&mut lab, &job, NEVER);
    assert_eq!((before, all.map(|action| lab.audited(action))), (5, [2; 4]));
}

#[test]
fn what_took_effect_and_failed_is_no_repeated_refusal() {
    let mut lab = crash_loop();
    for _ in 0..3 {
        refuse_next(&mut lab, NEVER);
    }
    let job = next(&mut lab);
    lab.apply(&job);
    assert!(lab.report(&job, Phase::Failed, "", "the replacement crash-loops too"));
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((incident.attempts, incident.refused), (1, None));
    assert_eq!((lab.audited("job.applied"), lab.audited("job.failed")), (1, 1));
}
