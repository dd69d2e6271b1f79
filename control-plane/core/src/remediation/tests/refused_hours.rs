//! What evictions that are refused again and again leave of their agent's hour to everything else.

use jiff::SignedDuration;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::lab::agent_id;
use crate::testing::{ActionBody, action_of};

const NEVER: &str = "budget guard (minAvailable 2, 1 of 2 pods healthy) does not allow it";

/// An agent that takes so many jobs an hour, and three nodes.
fn agent_of(budget: u32) -> Lab {
    let mut lab = Lab::new();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(budget);
    lab.see(Body::Node(node("node-c")));
    lab
}

/// A Deployment of two pods, of which one crash-loops here and one is well there.
fn broken(lab: &mut Lab, name: &str, here: &str, there: &str) {
    lab.deploy(name, 2, 1);
    let set = format!("{name}-1");
    lab.see(Body::Pod(pod(&set, "1", there)));
    lab.see(Body::Pod(crashing(pod(&set, "0", here), 4)));
}

fn refuse(lab: &mut Lab, job: &v1::Job) {
    assert!(lab.report(job, Phase::Accepted, "", ""));
    assert!(lab.report(job, Phase::Refused, "eviction_refused", NEVER));
}

/// How often the plan of this job was refused before.
fn again(lab: &Lab, job: &v1::Job) -> u32 {
    lab.jobs[&job.job_id].doc.again
}

/// Tries of the last hour that were not the first of their plan.
fn tries(lab: &Lab) -> usize {
    let from = lab.now - SignedDuration::from_hours(1);
    lab.jobs.values().filter(|job| job.doc.again > 0 && job.doc.created_at > from).count()
}

fn written(lab: &Lab) -> (usize, i64) {
    (lab.audit.len(), lab.incidents.values().map(|incident| incident.version).sum())
}

#[test]
fn three_pods_that_are_never_allowed_leave_half_of_the_hour() {
    let mut lab = agent_of(60);
    for (name, place) in [("one", "node-a"), ("two", "node-b"), ("three", "node-c")] {
        broken(&mut lab, name, place, place);
    }
    let start = lab.now;
    // The first tries of the three; then 15 as soon as they are due, and one every four minutes.
    for (hour, signed) in [(1, 32), (2, 47), (3, 62)] {
        while lab.now < start + SignedDuration::from_hours(hour) {
            let before = written(&lab);
            let jobs = lab.settle();
            for job in &jobs {
                refuse(&mut lab, job);
            }
            assert!(tries(&lab) <= 30, "{} at {}", tries(&lab), lab.now);
            // At most the rows of signed jobs, and no document of one that only waits.
            let rows = written(&lab).0 - before.0;
            assert!(lab.now < start + SignedDuration::from_secs(60) || rows <= jobs.len(), "{}", lab.now);
            lab.pass(5);
        }
        assert_eq!((lab.jobs.len(), lab.audited("job.signed")), (signed, signed), "hour {hour}");
    }
    assert_eq!(["plan.made", "job.refused", "incident.held"].map(|action| lab.audited(action)), [3, 3, 0]);
}

#[test]
fn what_was_never_tried_goes_out_at_once_while_those_wait() {
    let mut lab = agent_of(60);
    for (name, place) in [("one", "node-a"), ("two", "node-b"), ("three", "node-c")] {
        broken(&mut lab, name, place, place);
    }
    let start = lab.now;
    while lab.now < start + SignedDuration::from_mins(10) {
        for job in lab.settle() {
            refuse(&mut lab, &job);
        }
        lab.pass(5);
    }
    assert_eq!((lab.jobs.len(), tries(&lab)), (20, 17));
    for incident in lab.incidents.values().map(|incident| &incident.doc) {
        let reason = &incident.reason;
        assert!(reason.contains(NEVER) && reason.contains("its turn is over for now"), "{reason}");
        assert_eq!((incident.state, incident.attempts), (IncidentState::Open, 0));
        assert!(incident.plan_id.is_none() && incident.refused.is_some(), "{incident:?}");
    }
    // A file that a person lets put back, and a fourth pod.
    lab.see_host(Body::File(file(
        "/srv/etc/app.conf",
        file_state("file", 0o640, 1),
        file_state("file", 0o666, 2),
    )));
    assert_eq!(lab.settle(), []);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert!(matches!(action_of(&jobs[0]), Some(ActionBody::RestoreFile(_))));
    broken(&mut lab, "four", "node-a", "node-a");
    let jobs = lab.settle();
    assert_eq!(jobs.iter().map(|job| again(&lab, job)).collect::<Vec<_>>(), [0]);
    assert_eq!(lab.audited("incident.held"), 0);
}

#[test]
fn those_that_wait_for_a_try_hold_no_node_and_take_turns() {
    // Four tries an hour, two of them at once.
    let mut lab = agent_of(8);
    broken(&mut lab, "one", "node-a", "node-c");
    let mut first = None;
    for n in 0..3 {
        let job = lab.settle().remove(0);
        assert_eq!(again(&lab, &job), n);
        refuse(&mut lab, &job);
        if n == 1 {
            first = Some(lab.now);
        }
        lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
    }
    assert_eq!(lab.settle(), []);
    broken(&mut lab, "two", "node-b", "node-c");
    let pod_of = |job: &v1::Job| match action_of(job) {
        Some(ActionBody::RestartPod(action)) => (action.pod.unwrap().name, action.avoid_node),
        other => panic!("{other:?}"),
    };
    let job = lab.settle().remove(0);
    assert_eq!((pod_of(&job), again(&lab, &job)), (("two-1-0".to_owned(), true), 0));
    refuse(&mut lab, &job);
    lab.pass(60);
    assert_eq!(lab.settle(), [], "it waits for a try, too");
    lab.now = first.unwrap() + SignedDuration::from_hours(1);
    for (pod, times) in [("one-1-0", 3), ("two-1-0", 1)] {
        let jobs = lab.settle();
        let [job] = &jobs[..] else { panic!("expected one job, found {}", jobs.len()) };
        assert_eq!((pod_of(job).0, again(&lab, job)), (pod.to_owned(), times), "whoever waited for longer");
        refuse(&mut lab, job);
        // Both may be asked for again then, and one of the two tries is an hour old.
        lab.pass(60);
    }
    assert_eq!(lab.settle(), []);
}

/// Two that are critical and never allowed would else have all the tries.
#[test]
fn of_what_was_refused_before_whoever_is_due_first_goes_first() {
    let mut lab = agent_of(60);
    broken(&mut lab, "one", "node-a", "node-a");
    let job = lab.settle().remove(0);
    refuse(&mut lab, &job);
    let later = |severity: Severity, seconds: i64| {
        let mut incident = lab.open(IncidentKind::PodCrashLoop).clone();
        incident.severity = severity;
        incident.next_attempt_at = Some(lab.now + SignedDuration::from_secs(seconds));
        incident
    };
    let (critical, warning) = (later(Severity::Critical, 300), later(Severity::Warning, 240));
    assert!(crate::safety::turn(&warning) < crate::safety::turn(&critical));
    let fresh = Incident { refused: None, ..later(Severity::Info, 0) };
    assert!(crate::safety::turn(&fresh) < crate::safety::turn(&warning));
}
