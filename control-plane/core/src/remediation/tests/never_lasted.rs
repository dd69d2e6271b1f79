//! Scenes of a revision that never lasted while no older one did either: there is nothing to roll back to,
//! and a new pod of it fails as the one before.

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::model::*;
use crate::testing::at;

/// The ReplicaSet of a revision of `web`, made at that second.
fn made_at(lab: &mut Lab, revision: u64, second: i64) {
    let mut set = replica_set("web", revision, 1);
    set.meta.as_mut().unwrap().created_at_us = to_micros(at(second));
    lab.see(Body::ReplicaSet(set));
}

/// A pod of `web` without a readiness probe, which waits in its back-off: each run made it ready, and the
/// last one took so long.
fn ended(lab: &Lab, set: &str, restarts: u32, run: i64) -> Body {
    let mut pod = crashing(pod(set, "0", "node-a"), restarts);
    let now = to_micros(lab.now);
    pod.ready_since_us = now;
    pod.containers[0].last_finished_at_us = now;
    pod.containers[0].last_started_at_us = now - run * 1_000_000;
    Body::Pod(pod)
}

/// Revision 1 of `web` comes out just now, with this many pods.
fn first_release(pods: u32) -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::Deployment(deployment("web", pods, 1)));
    made_at(&mut lab, 1, 0);
    for n in 0..pods {
        let pod = fresh(&lab, "web-1", &n.to_string(), "node-a");
        lab.see(Body::Pod(pod));
    }
    lab
}

/// Its pod exits after 15 s, again and again.
fn exits_after_15_s(lab: &mut Lab, revision: u64) {
    lab.see(Body::Deployment(v1::Deployment { available: 0, ready: 0, ..deployment("web", 1, revision) }));
    for restarts in 1..5 {
        lab.pass(15);
        let pod = ended(lab, &format!("web-{revision}"), restarts, 15);
        lab.see(pod);
    }
}

fn is_left_to_a_person(lab: &mut Lab, word: &str) {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    assert!(incident.reason.contains(word), "{word}: {}", incident.reason);
    assert!(lab.approvals.is_empty());
}

#[test]
fn a_first_release_that_exits_after_15_s_is_not_evicted() {
    let mut lab = first_release(1);
    exits_after_15_s(&mut lab, 1);
    is_left_to_a_person(&mut lab, "revision 1 of shop/deployment/web never lasted");
    lab.pass(7_200);
    let pod = ended(&lab, "web-1", 30, 15);
    lab.see(pod);
    is_left_to_a_person(&mut lab, "an eviction gives the same again");
}

#[test]
fn neither_is_a_second_one_that_came_after_five_minutes() {
    let mut lab = first_release(1);
    lab.pass(300);
    lab.see(Body::Deployment(v1::Deployment { updated: 0, ..deployment("web", 1, 2) }));
    made_at(&mut lab, 2, 300);
    lab.see(gone("Pod", "pod-web-1-0"));
    let pod = fresh(&lab, "web-2", "0", "node-a");
    lab.see(Body::Pod(pod));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
    exits_after_15_s(&mut lab, 2);
    is_left_to_a_person(&mut lab, "revision 2 of shop/deployment/web never lasted");
}

#[test]
fn what_lasted_first_is_evicted_however_young_its_revision_is() {
    for (after, evicted) in [(590, false), (610, true)] {
        let mut lab = first_release(1);
        lab.pass(after);
        let pod = ended(&lab, "web-1", 3, after);
        lab.see(pod);
        assert_eq!(lab.settle().len(), usize::from(evicted), "after {after} s");
    }
}

/// One that was there when its cluster was met may have lasted before, unless it had no time for that.
#[test]
fn what_is_met_for_the_first_time_while_it_fails_is_judged_by_what_it_had_time_for() {
    for (made, evicted) in [(-300, false), (-1_200, true), (-3_600, true)] {
        let mut lab = Lab::new();
        lab.see(Body::Deployment(deployment("web", 1, 1)));
        made_at(&mut lab, 1, made);
        let pod = ended(&lab, "web-1", 9, 15);
        lab.see(pod);
        assert_eq!(lab.settle().len(), usize::from(evicted), "made at {made} s");
    }
    // By a clock that jumped since, it tells nothing.
    let mut lab = Lab::new();
    lab.world.clock_jumped(jiff::SignedDuration::from_hours(2), lab.now);
    lab.see(Body::Deployment(deployment("web", 1, 1)));
    made_at(&mut lab, 1, -300);
    let pod = ended(&lab, "web-1", 9, 15);
    lab.see(pod);
    assert_eq!(lab.settle().len(), 1);
}

/// The template can be well, as its sibling shows once that was ready for longer than the other one runs: a
/// new pod can differ.
#[test]
fn beside_a_sibling_that_is_well_a_pod_of_a_young_revision_is_evicted() {
    for (run, well_at) in [(10, 30), (100, 200)] {
        let mut lab = first_release(2);
        lab.pass(run);
        let pod = ended(&lab, "web-1", 3, run);
        lab.see(pod);
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::PodCrashLoop);
        assert_eq!(incident.state, IncidentState::Open, "{}", incident.reason);
        assert!(incident.reason.contains("stays well is seen at"), "{}", incident.reason);
        lab.pass(well_at - run - 1);
        assert!(lab.settle().is_empty());
        lab.pass(1);
        assert_eq!(lab.settle().len(), 1, "{}", lab.open(IncidentKind::PodCrashLoop).reason);
    }
}
