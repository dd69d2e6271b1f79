//! Scenes of StatefulSets and DaemonSets: a pod is restarted where a replacement can differ, and otherwise a person
//! gets the exact steps.

use nimbus_protocol::to_micros;

use super::*;
use crate::check;
use crate::model::*;
use crate::testing::{ActionBody, action_of, at};
use crate::world::World;

/// `db` with three pods, all well.
fn three() -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 3, "db-1")));
    for n in 0..3 {
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", n, "db-1")));
    }
    lab
}

/// `db` is bringing out revision db-2, whose first pod crash-loops.
fn stuck_update() -> Lab {
    let mut lab = three();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_revision: "db-2".into(),
        updated: 1,
        ready: 2,
        ..stateful_set("db", 3, "db-1")
    }));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 2, "db-2"), 4)));
    lab
}

#[test]
fn a_crash_looping_pod_of_a_stateful_set_is_replaced_and_no_node_is_closed_for_it() {
    let mut lab = three();
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 1, "db-1"), 4)));
    let jobs = lab.settle();
    let Some(ActionBody::RestartPod(action)) = action_of(&jobs[0]) else { panic!("{jobs:?}") };
    assert_eq!((action.owner_kind.as_str(), action.avoid_node), ("StatefulSet", false));
    assert_eq!(action.owner.unwrap().uid, "sts-db");
    let plan = lab.plans.values().next().unwrap();
    assert!(plan.doc.summary.contains("StatefulSet db creates a new one"), "{}", plan.doc.summary);
    assert!(matches!(plan.doc.workload, Some(Workload::StatefulSet(_))));
}

#[test]
fn an_update_that_waits_for_a_broken_pod_is_one_incident_with_the_exact_steps() {
    let mut lab = stuck_update();
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::StatefulSetStuck);
    assert_eq!(incident.state, IncidentState::Escalated);
    for step in ["kubectl -n shop rollout undo statefulset/db", "kubectl -n shop delete pod db-2"] {
        assert!(incident.reason.contains(step), "{}", incident.reason);
    }
    assert_eq!(lab.incidents.len(), 1, "the crash loop is explained by it");
}

#[test]
fn after_the_template_was_put_right_only_the_broken_pod_is_named() {
    let mut lab = stuck_update();
    lab.settle();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        generation: 2,
        observed_generation: 2,
        ready: 2,
        ..stateful_set("db", 3, "db-1")
    }));
    lab.settle();
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("was put right") && reason.contains("delete pod db-2"), "{reason}");
    assert!(!reason.contains("undo"), "{reason}");
    // A person deletes it; the controller makes it again, and it is well.
    lab.see(Body::Pod(v1::Pod {
        ready_since_us: nimbus_protocol::to_micros(lab.now),
        ..owned_pod("StatefulSet", "db", 2, "db-1")
    }));
    lab.pass(31);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::StatefulSetStuck).state, IncidentState::Resolved);
}

/// web-2 does not crash: it only never becomes ready, and the controller waits for it all the same.
#[test]
fn a_pod_that_hangs_after_the_template_was_put_right_is_named_after_a_minute() {
    let mut lab = three();
    let hanging = |lab: &Lab| {
        let mut pod = owned_pod("StatefulSet", "db", 2, "db-2");
        pod.ready = false;
        pod.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
        pod
    };
    let pod = hanging(&lab);
    lab.see(Body::Pod(pod));
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_revision: "db-2".into(),
        updated: 1,
        ready: 2,
        ..stateful_set("db", 3, "db-1")
    }));
    lab.pass(59);
    lab.settle();
    assert!(lab.incidents.is_empty(), "the newest revision has its time");
    lab.see(Body::StatefulSet(v1::StatefulSet { ready: 2, ..stateful_set("db", 3, "db-1") }));
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.pass(1);
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("was put right") && reason.contains("delete pod db-2"), "{reason}");
}

#[test]
fn a_pod_of_the_newest_revision_that_never_becomes_ready_is_told_after_its_time() {
    let mut lab = stuck_update();
    let mut pod = owned_pod("StatefulSet", "db", 2, "db-2");
    pod.ready = false;
    pod.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    lab.see(Body::Pod(pod));
    lab.pass(599);
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.pass(1);
    assert!(lab.settle().is_empty());
    assert!(lab.open(IncidentKind::StatefulSetStuck).reason.contains("rollout undo"));
}

#[test]
fn an_update_that_a_tool_manages_is_put_right_there() {
    let mut lab = stuck_update();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_revision: "db-2".into(),
        manager: "flux".into(),
        manager_evidence: "label x".into(),
        ..stateful_set("db", 3, "db-1")
    }));
    lab.settle();
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("Flux") && !reason.contains("undo"), "{reason}");
}

#[test]
fn with_on_delete_the_controller_waits_for_nobody() {
    let mut lab = stuck_update();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_revision: "db-2".into(),
        update_strategy: "OnDelete".into(),
        ..stateful_set("db", 3, "db-1")
    }));
    lab.settle();
    assert!(lab.incidents.values().all(|i| i.doc.kind != IncidentKind::StatefulSetStuck));
}

#[test]
fn a_daemon_sets_pod_is_left_and_the_other_nodes_are_counted() {
    let mut lab = Lab::new();
    lab.see(Body::DaemonSet(daemon_set("log", 3, 2)));
    lab.see(Body::Pod(crashing(owned_pod("DaemonSet", "log", 0, "log-1"), 4)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(
        incident.reason.contains("same node") && incident.reason.contains("2 of 3 nodes"),
        "{}",
        incident.reason
    );
}

#[test]
fn without_the_right_to_list_stateful_sets_their_pods_are_left_and_deployments_are_healed() {
    let mut lab = crash_loop();
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-1"), 4)));
    lab.see(begin("StatefulSet", 1));
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    let Some(ActionBody::RestartPod(action)) = action_of(&jobs[0]) else { panic!() };
    assert_eq!(action.owner_kind, "ReplicaSet");
    let waiting = lab.incidents.values().find(|i| i.doc.state == IncidentState::Open).unwrap();
    assert!(waiting.doc.reason.contains("StatefulSet missing"), "{}", waiting.doc.reason);
}

/// `db` is brought out from ordinal 2 on, and has come that far: pods 0 and 1 stay at db-1 until a person moves the partition.
fn partitioned(failing: u32, revision: &str) -> Lab {
    let mut lab = three();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_revision: "db-2".into(),
        updated: 1,
        partition: Some(2),
        ..stateful_set("db", 3, "db-1")
    }));
    lab.see(Body::Pod(owned_pod("StatefulSet", "db", 2, "db-2")));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", failing, revision), 4)));
    lab
}

#[test]
fn an_update_that_has_come_as_far_as_its_partition_disturbs_no_restart() {
    let mut lab = partitioned(0, "db-1");
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1, "it would be made anew of the same revision");
    let plan = lab.plans.values().next().unwrap();
    assert!(
        plan.doc.changes.iter().any(|line| line.contains("revision db-1 as before")),
        "{:?}",
        plan.doc.changes
    );
    let mut lab = partitioned(2, "db-2");
    assert!(lab.settle().is_empty());
    assert_eq!(
        lab.open(IncidentKind::StatefulSetStuck).state,
        IncidentState::Escalated,
        "the newer revision is bad"
    );
    // Below the partition a pod of the newer revision would go back, above it one of the older would be updated.
    for (failing, revision) in [(0, "db-2"), (2, "db-1")] {
        assert!(partitioned(failing, revision).settle().is_empty(), "{failing} {revision}");
    }
}

/// With `OnDelete` a pod of the old revision stays until a person deletes it: nothing would come of waiting.
#[test]
fn with_on_delete_a_person_is_told_that_the_pod_waits_for_them() {
    let mut lab = three();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        update_strategy: "OnDelete".into(),
        update_revision: "db-2".into(),
        updated: 0,
        ..stateful_set("db", 3, "db-1")
    }));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 1, "db-1"), 4)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    assert!(incident.reason.contains("`kubectl -n shop delete pod db-1`"), "{}", incident.reason);
}

/// `db` is bringing out db-2 from db-1 and has no pod of it yet.
fn updating(desired: u32) -> v1::StatefulSet {
    v1::StatefulSet { update_revision: "db-2".into(), updated: 0, ..stateful_set("db", desired, "db-1") }
}

/// The pod db-0 of this revision, ready since so many seconds after the start.
pub(super) fn up(revision: &str, since: i64) -> v1::Pod {
    let mut pod = owned_pod("StatefulSet", "db", 0, revision);
    pod.ready_since_us = to_micros(at(since));
    pod.facts.as_mut().unwrap().started_at_us = to_micros(at(0));
    pod
}

/// The same in its back-off: without a readiness probe it was ready for its last run, 15 s until `ended`.
pub(super) fn ran_for_a_moment(revision: &str, ended: i64, restarts: u32) -> v1::Pod {
    let mut pod = crashing(up(revision, ended), restarts);
    pod.containers[0].last_started_at_us = to_micros(at(ended - 15));
    pod.containers[0].last_finished_at_us = to_micros(at(ended));
    pod
}

/// `db` has one pod, which was of db-1 for long; db-2 came out at 0 and was ready for so many seconds, which
/// ended its update; since then it crash-loops.
fn came_out(ready_for: i64) -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, "db-1")));
    lab.see(Body::StatefulSet(updating(1)));
    lab.see(gone("Pod", "pod-db-0"));
    lab.see(Body::Pod(up("db-2", 0)));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    // What was noted is in the snapshot.
    lab.world = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    lab.pass(ready_for);
    lab.see(Body::Pod(ran_for_a_moment("db-2", ready_for, 1)));
    lab.world = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    lab.pass(3_600);
    lab.see(Body::StatefulSet(v1::StatefulSet { ready: 0, ..stateful_set("db", 1, "db-2") }));
    lab.see(Body::Pod(ran_for_a_moment("db-2", ready_for + 3_600, 9)));
    lab
}

#[test]
fn a_new_revision_that_crashes_soon_is_not_answered_with_evictions() {
    let mut lab = came_out(15);
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, lab.plans.len()), (IncidentState::Escalated, 0), "{}", incident.reason);
    for words in
        ["revision db-2", "kubectl -n shop rollout undo statefulset/db", "kubectl -n shop delete pod db-0"]
    {
        assert!(incident.reason.contains(words), "{words}: {}", incident.reason);
    }
}

#[test]
fn with_parallel_no_pod_has_to_be_deleted_after_the_undo_and_a_tool_that_manages_it_is_named() {
    let mut lab = came_out(15);
    lab.see(Body::StatefulSet(v1::StatefulSet {
        pod_management_policy: "Parallel".into(),
        manager: "flux".into(),
        manager_evidence: "label x".into(),
        ..stateful_set("db", 1, "db-2")
    }));
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("revision db-2") && reason.contains("Flux"), "{reason}");
    assert!(!reason.contains("undo") && !reason.contains("delete"), "{reason}");
}

#[test]
fn a_new_revision_that_lasted_before_it_crashed_is_not_to_blame() {
    assert_eq!(came_out(600).settle().len(), 1);
    assert!(came_out(599).settle().is_empty());
}

#[test]
fn a_revision_that_is_well_in_another_pod_is_not_to_blame_and_one_that_was_there_before_neither() {
    let mut lab = three();
    lab.see(Body::StatefulSet(updating(3)));
    lab.see(Body::Pod(up("db-2", 285)));
    for n in 1..3 {
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", n, "db-2")));
    }
    lab.see(Body::StatefulSet(stateful_set("db", 3, "db-2")));
    lab.pass(300);
    lab.see(Body::Pod(ran_for_a_moment("db-2", 300, 4)));
    assert_eq!(lab.settle().len(), 1);
    let mut met = Lab::new();
    met.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    met.pass(300);
    met.see(Body::Pod(ran_for_a_moment("db-2", 300, 4)));
    assert_eq!(met.settle().len(), 1);
}

#[test]
fn the_checker_sees_by_itself_that_a_new_revision_is_bad() {
    let mut met = Lab::new();
    met.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    met.pass(300);
    met.see(Body::Pod(ran_for_a_moment("db-2", 300, 4)));
    met.diagnose();
    met.plan();
    let plan = met.plans.values().next().unwrap().doc.clone();
    assert_eq!(check::of_plan(&plan, &met.snapshot()), []);
    let found = check::of_plan(&plan, &came_out(15).snapshot());
    assert!(found.iter().any(|one| one.invariant == 3 && one.text.contains("never lasted")), "{found:?}");
    assert_eq!(check::of_plan(&plan, &came_out(600).snapshot()), []);
}

/// The first revision never ran; db-2 puts that right, and the controller waits for db-0 all the same.
#[test]
fn a_broken_pod_of_the_current_revision_is_named_after_the_template_was_put_right() {
    let pod = || owned_pod("StatefulSet", "db", 0, "db-1");
    for broken in [crashing(pod(), 4), without_image(pod())] {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(v1::StatefulSet { ready: 0, ..updating(1) }));
        lab.see(Body::Pod(broken));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::StatefulSetStuck);
        assert_eq!((incident.state, lab.incidents.len()), (IncidentState::Escalated, 1));
        let reason = &incident.reason;
        assert!(reason.contains("was put right"), "{reason}");
        assert!(reason.contains("`kubectl -n shop delete pod db-0`") && !reason.contains("undo"), "{reason}");
        // With `Parallel` its controller replaces it by itself.
        let parallel = v1::StatefulSet { pod_management_policy: "Parallel".into(), ..updating(1) };
        let mut other = Lab::new();
        other.see(Body::StatefulSet(parallel));
        other.see(Body::Pod(crashing(pod(), 4)));
        assert!(other.settle().is_empty());
        assert!(other.incidents.values().all(|i| i.doc.kind != IncidentKind::StatefulSetStuck));
    }
}

#[test]
fn a_pod_of_the_current_revision_that_only_is_not_ready_has_its_time_during_an_update() {
    let mut lab = three();
    let mut pod = owned_pod("StatefulSet", "db", 0, "db-1");
    (pod.ready, pod.ready_since_us) = (false, to_micros(at(0)));
    pod.meta.as_mut().unwrap().created_at_us = to_micros(at(-7_200));
    lab.see(Body::StatefulSet(updating(3)));
    lab.see(Body::Pod(pod));
    lab.pass(599);
    lab.settle();
    assert!(lab.incidents.is_empty(), "{:#?}", lab.incidents);
    lab.pass(1);
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("was put right") && reason.contains("delete pod db-0"), "{reason}");
}

/// The newest pod of an update, db-2, not ready since it was made at 0.
fn newest() -> v1::Pod {
    let mut pod = owned_pod("StatefulSet", "db", 2, "db-2");
    (pod.ready, pod.ready_since_us) = (false, to_micros(at(0)));
    pod.meta.as_mut().unwrap().created_at_us = to_micros(at(0));
    pod
}

const NO_ROOM: &str = "Unschedulable: 0/2 nodes are available: 2 Insufficient memory.";
const NO_SECRET: &str = "secret \"db-key\" not found";

/// The same, of which no container can be made for want of a Secret.
fn without_secret() -> v1::Pod {
    let mut pod = newest();
    let container = &mut pod.containers[0];
    (container.state, container.reason) = ("waiting".into(), "CreateContainerConfigError".into());
    container.message = NO_SECRET.into();
    pod
}

#[test]
fn an_update_that_is_held_up_is_not_blamed_on_its_template_and_the_cause_is_quoted() {
    let unschedulable = v1::Pod {
        node: String::new(),
        phase: "Pending".into(),
        unschedulable: NO_ROOM.into(),
        containers: Vec::new(),
        ..newest()
    };
    let mut creating = newest();
    creating.containers[0].state = "waiting".into();
    creating.containers[0].reason = "ContainerCreating".into();
    for (pod, words) in
        [(unschedulable, NO_ROOM), (without_secret(), NO_SECRET), (creating, "no container of it was begun")]
    {
        let mut lab = three();
        lab.see(Body::Pod(pod));
        lab.see(Body::StatefulSet(v1::StatefulSet { ready: 2, updated: 1, ..updating(3) }));
        lab.pass(600);
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::StatefulSetStuck);
        let reason = &incident.reason;
        assert!(reason.contains(words), "{reason}");
        assert!(!reason.contains("undo") && !reason.contains("delete"), "{reason}");
        assert!(incident.evidence.iter().any(|line| line.contains(words)), "{:?}", incident.evidence);
    }
}

#[test]
fn a_pod_that_could_start_only_now_has_its_time_from_then() {
    let mut lab = three();
    lab.see(Body::Pod(without_secret()));
    lab.see(Body::StatefulSet(v1::StatefulSet { ready: 2, updated: 1, ..updating(3) }));
    lab.pass(590);
    lab.see(Body::Pod(newest()));
    lab.pass(599);
    lab.settle();
    assert!(lab.incidents.is_empty(), "{:#?}", lab.incidents);
    lab.pass(1);
    lab.settle();
    assert!(lab.open(IncidentKind::StatefulSetStuck).reason.contains("rollout undo"));
}

#[test]
fn with_parallel_the_template_is_all_that_has_to_be_put_right() {
    let mut lab = stuck_update();
    lab.see(Body::StatefulSet(v1::StatefulSet {
        pod_management_policy: "Parallel".into(),
        update_revision: "db-2".into(),
        updated: 1,
        ready: 2,
        ..stateful_set("db", 3, "db-1")
    }));
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::StatefulSetStuck).reason;
    assert!(reason.contains("kubectl -n shop rollout undo statefulset/db"), "{reason}");
    assert!(reason.contains("by itself") && !reason.contains("delete"), "{reason}");
}
