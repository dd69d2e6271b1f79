//! Scenes of a control plane that crashes between two steps, and of reports that arrive twice, late, or from the wrong
//! agent.

use nimbus_protocol::v1::{self, JobReport, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::remediation;
use crate::testing::lab::agent_id;

/// What a control plane does next, from the stored documents alone.
#[derive(Debug, Clone, Copy)]
enum Step {
    Diagnose,
    Plan,
    Dispatch,
    Send,
    Report(Phase),
    Expire,
}

/// Decides one step. With `lost` the process dies before the commit: nothing of it remains but the ids it used up.
fn step(lab: &mut Lab, step: Step, lost: bool) {
    let mut ids = lab.ids.clone();
    let all = |jobs: Vec<remediation::UnsignedJob>| jobs.into_iter().map(|o| o.changes).collect::<Vec<_>>();
    let changes = match step {
        Step::Diagnose => vec![remediation::incidents(&lab.snapshot(), lab.now, &mut ids)],
        Step::Plan => vec![remediation::plans(&lab.snapshot(), lab.now, &mut ids)],
        Step::Dispatch => all(remediation::dispatch(&lab.snapshot(), 1, lab.now, &mut ids)),
        Step::Send => lab.jobs.values().map(|job| remediation::sent(job, lab.now)).collect(),
        Step::Expire => vec![remediation::expire(&lab.snapshot(), lab.now)],
        Step::Report(phase) => lab
            .jobs
            .keys()
            .map(|id| {
                let at_us = nimbus_protocol::to_micros(lab.now);
                let report =
                    JobReport { job_id: id.clone(), phase: phase.into(), at_us, ..Default::default() };
                remediation::report(&lab.snapshot(), agent_id(), &report, lab.now)
            })
            .collect(),
    };
    lab.ids = ids;
    if !lost {
        for change in changes {
            lab.commit(change);
        }
    }
}

#[test]
fn killed_before_any_commit_it_ends_the_same_with_one_effect() {
    let way = [
        Step::Diagnose,
        Step::Plan,
        Step::Dispatch,
        Step::Send,
        Step::Report(Phase::Accepted),
        Step::Report(Phase::Applied),
        Step::Report(Phase::Succeeded),
        Step::Expire,
        Step::Diagnose,
        Step::Plan,
    ];
    for killed_at in 0..way.len() {
        let mut lab = crash_loop();
        for (n, one) in way.into_iter().enumerate() {
            if n == killed_at {
                step(&mut lab, one, true);
                lab.pass(2);
            }
            if matches!(one, Step::Report(Phase::Succeeded)) {
                lab.see(gone("Pod", "pod-web-1-0"));
                let pod = fresh(&lab, "web-1", "r", "node-b");
                lab.see(Body::Pod(pod));
                lab.pass(30);
            }
            step(&mut lab, one, false);
            // The same step again, as after a restart: nothing more comes of it.
            let before = lab.clone();
            step(&mut lab, one, false);
            let same = lab.incidents == before.incidents
                && lab.jobs == before.jobs
                && lab.approvals == before.approvals
                && lab.plans == before.plans
                && lab.audit == before.audit;
            assert!(same, "killed at {killed_at}: {one:?} twice is not {one:?} once");
        }
        assert_eq!(
            lab.last(IncidentKind::PodCrashLoop).state,
            IncidentState::Resolved,
            "killed at {killed_at}"
        );
        assert_eq!(
            (lab.incidents.len(), lab.jobs.len(), lab.plans.len()),
            (1, 1, 1),
            "killed at {killed_at}"
        );
        assert_eq!(lab.audited("job.signed"), 1);
        assert_eq!(lab.audited("incident.resolved"), 1);
    }
}

#[test]
fn each_phase_counts_once_in_whatever_order_copies_arrive() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    assert!(lab.report(&job, Phase::Applied, "", ""), "the first word may already be the second phase");
    let applied_at = lab.jobs[&job.job_id].doc.applied_at;
    lab.pass(1);
    for phase in [Phase::Accepted, Phase::Applied] {
        assert!(!lab.report(&job, phase, "", ""), "{phase:?}");
    }
    assert_eq!(lab.jobs[&job.job_id].doc.applied_at, applied_at);
    assert!(lab.report(&job, Phase::Failed, "", "did not hold"));
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    for phase in [Phase::Failed, Phase::Succeeded, Phase::Refused, Phase::Unknown, Phase::Accepted] {
        assert!(!lab.report(&job, phase, "", "again"), "{phase:?}");
    }
    assert_eq!(lab.open(IncidentKind::PodCrashLoop), &incident);
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Failed);
}

#[test]
fn a_replay_is_written_down_and_touches_nothing() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.apply(&job);
    let (jobs, incidents) = (lab.jobs.clone(), lab.incidents.clone());
    assert!(lab.report(&job, Phase::ReplayRefused, "replayed", "seen before"));
    assert_eq!((&lab.jobs, &lab.incidents), (&jobs, &incidents));
    assert_eq!(lab.audited("job.replay_refused"), 1);
}

#[test]
fn a_job_that_runs_is_not_stopped_by_the_refusal_of_a_late_copy() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    assert!(lab.report(&job, Phase::Accepted, "", ""));
    for code in ["bad_signature", "wrong_cluster", "not_yet_valid"] {
        assert!(!lab.report(&job, Phase::Refused, code, "of a copy"), "{code}");
    }
    // What the agent says of any copy of a job that it knows, also of one that has expired meanwhile.
    lab.pass(61);
    lab.report(&job, Phase::ReplayRefused, "replayed", "of a copy");
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Running);
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Remediating);
    assert!(lab.report(&job, Phase::Refused, "precondition_failed", "read again just before acting"));
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Refused);
}

#[test]
fn a_job_that_was_changed_already_is_not_refused_any_more() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.apply(&job);
    for code in ["expired", "stale_epoch", "precondition_failed", "policy_forbids"] {
        assert!(!lab.report(&job, Phase::Refused, code, "too late to say so"), "{code}");
    }
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Running);
}

#[test]
fn an_unknown_job_and_a_foreign_agent_are_only_written_down() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    let (jobs, incidents) = (lab.jobs.clone(), lab.incidents.clone());
    let foreign = v1::Job { agent_id: format!("agt_{:032x}", 9), ..job.clone() };
    assert!(lab.report(&foreign, Phase::Succeeded, "", ""));
    let unknown = v1::Job { job_id: String::new(), ..job };
    assert!(lab.report(&unknown, Phase::Refused, "bad_signature", "no signature holds"));
    assert_eq!((&lab.jobs, &lab.incidents), (&jobs, &incidents));
    assert_eq!((lab.audited("job.report_foreign"), lab.audited("job.report_unknown")), (1, 1));
}

#[test]
fn a_job_that_nobody_takes_expires_counts_and_is_tried_again_later() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.pass(89);
    assert!(!lab.expire());
    lab.pass(1);
    assert!(lab.expire());
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Expired);
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, incident.attempts), (IncidentState::Open, 1));
    lab.pass(29);
    assert!(lab.settle().is_empty());
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn an_agent_that_went_silent_leaves_its_job_unknown_never_a_success() {
    for taken in [false, true] {
        let mut lab = crash_loop();
        let job = lab.settle().remove(0);
        if taken {
            lab.report(&job, Phase::Accepted, "", "");
        }
        lab.connected.clear();
        lab.pass(60 + 30 + 180 + 30 - 1);
        assert!(!lab.expire(), "taken: {taken}");
        lab.pass(1);
        assert!(lab.expire());
        assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Unknown);
        // It comes back and says how it ended: its word replaces the guess.
        lab.connected.insert(agent_id());
        lab.see(gone("Pod", "pod-web-1-0"));
        lab.see(Body::Pod(fresh(&lab, "web-1", "r", "node-b")));
        assert!(lab.report(&job, Phase::Succeeded, "", ""));
        assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Succeeded);
        let incident = lab.last(IncidentKind::PodCrashLoop);
        assert_eq!((incident.state, incident.attempts), (IncidentState::Resolved, 1));
    }
}

/// A pod that is gone is not a process that is gone: after a forced deletion it may act until its job's time is over.
#[test]
fn a_job_whose_agents_pod_is_gone_is_given_up_no_sooner_than_any_other() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.report(&job, Phase::Accepted, "", "");
    lab.connected.clear();
    let agent = lab.agents.get_mut(&agent_id().to_string()).unwrap();
    (agent.doc.revoked_at, agent.doc.pod_gone) = (Some(lab.now), true);
    lab.pass(60 + 30 + 180 + 30 - 1);
    assert!(!lab.expire());
    lab.pass(1);
    assert!(lab.expire());
    assert_eq!(lab.jobs[&job.job_id].doc.state, JobState::Unknown);
}

#[test]
fn a_late_word_on_an_earlier_job_does_not_disturb_the_next_one() {
    let mut lab = crash_loop();
    let first = lab.settle().remove(0);
    lab.pass(90);
    lab.expire();
    lab.pass(30);
    let second = lab.settle().remove(0);
    assert!(lab.report(&first, Phase::Refused, "expired", "too late"));
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Remediating);
    assert_eq!(incident.job_id.unwrap().to_string(), second.job_id);
    assert_eq!(lab.jobs[&first.job_id].doc.state, JobState::Refused);
}

#[test]
fn a_job_goes_to_sent_once() {
    let mut lab = crash_loop();
    let id = lab.settle().remove(0).job_id;
    assert_eq!(lab.jobs[&id].doc.dispatched_at, Some(lab.now));
    assert!(remediation::sent(&lab.jobs[&id], lab.now).is_empty());
}
