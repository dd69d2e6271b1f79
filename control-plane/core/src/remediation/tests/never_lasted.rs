//! Scenes of a revision that never lasted while no older one did either: there is nothing to roll back to,
//! and a new pod of it fails as the one before.

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, observation::Body};

use super::stateful::{ran_for_a_moment, up};
use super::*;
use crate::check;
use crate::model::*;
use crate::testing::at;
use crate::world::World;

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

/// Revision 2 of `web` is heard of 7 200 s after the first one, which never worked; its lone pod crash-loops
/// so many seconds later.
fn heard_of_late(made: i64, crashes_after: i64, jumped: bool) -> Lab {
    let mut lab = first_release(1);
    exits_after_15_s(&mut lab, 1);
    lab.pass(7_140);
    if jumped {
        lab.world.clock_jumped(jiff::SignedDuration::ZERO, lab.now);
    }
    lab.see(Body::Deployment(deployment("web", 1, 2)));
    made_at(&mut lab, 2, made);
    lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
    lab.see(gone("Pod", "pod-web-1-0"));
    if crashes_after > 0 {
        let ready_since_us = to_micros(at(made));
        lab.see(Body::Pod(v1::Pod { ready_since_us, ..pod("web-2", "0", "node-a") }));
        lab.pass(crashes_after);
    }
    let pod = ended(&lab, "web-2", 4, 15);
    lab.see(pod);
    lab
}

#[test]
fn what_came_out_while_nobody_looked_is_judged_by_when_it_was_made() {
    let cases = [
        ("for 110 minutes", 600, 0, false, 1),
        ("and crashes soon after it was heard of", 600, 480, false, 1),
        ("for 20 minutes, in which it may have lasted", 6_000, 0, false, 1),
        ("for 10 minutes, in which it did not", 6_600, 0, false, 0),
        ("for a minute", 7_140, 0, false, 0),
        ("by another clock", 600, 0, true, 0),
    ];
    for (what, made, crashes_after, jumped, evicted) in cases {
        let mut lab = heard_of_late(made, crashes_after, jumped);
        assert_eq!(lab.settle().len(), evicted, "{what}");
    }
    // The checker sees it by itself.
    let mut lab = heard_of_late(600, 0, false);
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(check::of_plan(&plan, &lab.snapshot()), []);
    for (made, jumped) in [(7_140, false), (600, true)] {
        let found = check::of_plan(&plan, &heard_of_late(made, 0, jumped).snapshot());
        assert!(found.iter().any(|one| one.text.contains("never lasted")), "{made} {jumped}: {found:?}");
    }
}

/// Its ReplicaSet is the one of the first time: that it is old says nothing.
#[test]
fn what_failed_came_back_and_fails_again_is_not_evicted() {
    let mut lab = first_release(1);
    exits_after_15_s(&mut lab, 1);
    lab.pass(7_140);
    lab.see(Body::Deployment(deployment("web", 1, 2)));
    made_at(&mut lab, 2, 7_200);
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.pass(300);
    lab.see(Body::Deployment(v1::Deployment { revision: 3, ..deployment("web", 1, 1) }));
    made_at(&mut lab, 1, 0);
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    let pod = ended(&lab, "web-1", 4, 15);
    lab.see(pod);
    is_left_to_a_person(&mut lab, "revision 3 of shop/deployment/web never lasted");
}

/// It was given up for another one before it failed, and came out again: its old ReplicaSet does not make it one that lasted.
#[test]
fn what_came_back_without_a_failure_and_fails_soon_is_not_evicted_either() {
    let mut lab = first_release(1);
    lab.pass(240);
    lab.see(Body::Deployment(deployment("web", 1, 2)));
    made_at(&mut lab, 2, 240);
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.pass(480);
    lab.see(Body::Deployment(v1::Deployment { revision: 3, ..deployment("web", 1, 1) }));
    made_at(&mut lab, 1, 0);
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    made_at(&mut lab, 2, 240);
    lab.pass(120);
    let pod = ended(&lab, "web-1", 4, 15);
    lab.see(pod);
    is_left_to_a_person(&mut lab, "revision 3 of shop/deployment/web never lasted");
}

/// Nobody looked while revision 2 of `web`, made at 1 000 s, was given up for revision 3, made at the second `other`, and came out
/// again. That is heard of at 7 200 s, when its lone pod crash-loops; `web` was met at the second `met`.
fn came_back_unseen(other: i64, deleting: bool, met: i64) -> Lab {
    let mut lab = first_release(1);
    exits_after_15_s(&mut lab, 1);
    lab.pass(7_140);
    lab.see(Body::Deployment(v1::Deployment { revision: 4, ..deployment("web", 1, 2) }));
    made_at(&mut lab, 2, 1_000);
    let mut between = replica_set("web", 3, 0);
    let meta = between.meta.as_mut().unwrap();
    meta.created_at_us = to_micros(at(other));
    meta.deleting_since_us = if deleting { to_micros(lab.now) } else { 0 };
    lab.see(Body::ReplicaSet(between));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
    lab.see(gone("Pod", "pod-web-1-0"));
    let pod = ended(&lab, "web-2", 4, 15);
    lab.see(pod);
    let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
    histories.get_mut("dep-web").unwrap().created_at = at(met);
    lab
}

/// What was given up before its soak time was over did not last by then, as far as that is known; after it, it may have.
#[test]
fn what_came_back_while_nobody_looked_may_have_lasted_unless_it_was_given_up_too_soon() {
    let cases = [
        ("given up within its soak time", 1_600, false, 0, 0),
        ("for one that is on its way out by now", 1_600, true, 0, 0),
        ("given up after its soak time", 1_601, false, 0, 1),
        ("met just within its soak time", 1_300, false, 1_600, 0),
        ("met after its soak time", 1_300, false, 1_601, 1),
    ];
    let mut lab = came_back_unseen(1_601, false, 0);
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    for (what, other, deleting, met, evicted) in cases {
        let mut lab = came_back_unseen(other, deleting, met);
        // The checker sees it by itself.
        let found = check::of_plan(&plan, &lab.snapshot());
        let refused = found.iter().any(|one| one.text.contains("never lasted"));
        assert_eq!(refused, evicted == 0, "{what}: {found:?}");
        assert_eq!(lab.settle().len(), evicted, "{what}");
    }
}

/// The one pod of `db` is made anew of this revision, which came out just now and is complete at once.
fn brought_out(lab: &mut Lab, revision: &str) {
    lab.see(Body::StatefulSet(stateful_set("db", 1, revision)));
    lab.see(gone("Pod", "pod-db-0"));
    let pod = up(revision, second(lab));
    lab.see(Body::Pod(pod));
}

/// That pod crash-loops; each run lasts 15 s.
fn crash_loops(lab: &mut Lab, revision: &str) {
    lab.pass(15);
    let pod = ran_for_a_moment(revision, second(lab), 4);
    lab.see(Body::Pod(pod));
}

fn second(lab: &Lab) -> i64 {
    lab.now.duration_since(at(0)).as_secs()
}

/// `db` is at db-1 and then at db-2, which crash-loops; undone, db-1 crash-loops soon as well. db-1 was there
/// when the set was met, or it came out then and was ready for so many seconds.
fn undone(ready_for: Option<i64>) -> Lab {
    let mut lab = Lab::new();
    let first = if ready_for.is_some() { "db-0" } else { "db-1" };
    lab.see(Body::StatefulSet(stateful_set("db", 1, first)));
    lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, first)));
    if ready_for.is_some() {
        brought_out(&mut lab, "db-1");
    }
    lab.pass(ready_for.unwrap_or(300));
    brought_out(&mut lab, "db-2");
    crash_loops(&mut lab, "db-2");
    // What was noted is in the snapshot.
    lab.world = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    lab.pass(300);
    brought_out(&mut lab, "db-1");
    crash_loops(&mut lab, "db-1");
    lab
}

#[test]
fn a_stateful_set_that_was_undone_to_what_lasted_is_not_sent_back() {
    for ready_for in [None, Some(600)] {
        let mut lab = undone(ready_for);
        assert_eq!(lab.settle().len(), 1, "{ready_for:?}");
    }
    let mut lab = undone(Some(599));
    is_left_to_a_person(&mut lab, "correct its template");
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("brought out revision db-1") && !reason.contains("undo"), "{reason}");
}

/// Its update waits for the pod of the revision that came back.
#[test]
fn nor_is_it_while_its_update_is_under_way() {
    let mut lab = undone(Some(599));
    lab.see(Body::StatefulSet(v1::StatefulSet {
        current_revision: "db-2".into(),
        ready: 0,
        ..stateful_set("db", 1, "db-1")
    }));
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("revision db-1 was the present one before"), "{reason}");
    assert!(!reason.contains("undo"), "{reason}");
}

/// With `OnDelete`, and below a partition, the first pod of a new revision may be made days later.
#[test]
fn a_revision_that_is_not_brought_out_at_once_is_new_with_its_first_pod() {
    let held_back = |strategy: &str, partition: Option<u32>| v1::StatefulSet {
        update_strategy: strategy.into(),
        current_revision: "db-1".into(),
        updated: 0,
        partition,
        ..stateful_set("db", 1, "db-2")
    };
    let on_delete = held_back("OnDelete", None);
    let cases = [
        (on_delete.clone(), on_delete),
        (held_back("RollingUpdate", Some(1)), stateful_set("db", 1, "db-2")),
    ];
    for (monday, tuesday) in cases {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, "db-1")));
        lab.see(Body::StatefulSet(monday));
        lab.pass(86_400);
        lab.see(Body::StatefulSet(tuesday));
        lab.see(gone("Pod", "pod-db-0"));
        let pod = up("db-2", second(&lab));
        lab.see(Body::Pod(pod));
        crash_loops(&mut lab, "db-2");
        is_left_to_a_person(&mut lab, "rollout undo statefulset/db");
    }
}

/// db-2 is heard of 7 200 s after db-1 was met, while its pod, made at that second, crash-loops.
#[test]
fn a_revision_of_a_stateful_set_that_came_out_while_nobody_looked_is_judged_by_its_oldest_pod() {
    for (made, evicted) in [(600, 1), (5_000, 1), (6_700, 0), (7_140, 0)] {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, "db-1")));
        lab.pass(7_200);
        lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
        lab.see(gone("Pod", "pod-db-0"));
        let mut pod = ran_for_a_moment("db-2", 7_200, 4);
        pod.meta.as_mut().unwrap().created_at_us = to_micros(at(made));
        lab.see(Body::Pod(pod));
        assert_eq!(lab.settle().len(), evicted, "made at {made} s");
    }
}
