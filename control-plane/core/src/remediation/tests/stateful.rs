//! Scenes of StatefulSets and DaemonSets: a pod is restarted where a replacement can differ, and otherwise a person
//! gets the exact steps.

use super::*;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

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
    assert!(incident.reason.contains("kubectl delete pod db-1 -n shop"), "{}", incident.reason);
}
