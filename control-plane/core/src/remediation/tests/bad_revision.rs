//! Scenes of a revision that is judged by what its pods do: without a readiness probe its rollout completes, and its pods
//! crash. One incident, the rollout's; a rollback to the last revision that lasted, after approval; never an eviction.

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

fn restart_now(lab: &Lab, set: &str, n: &str, restarts: u32) -> v1::Pod {
    let mut pod = crashing(pod(set, n, "node-a"), restarts);
    pod.ready_since_us = to_micros(lab.now);
    pod.containers[0].last_finished_at_us = to_micros(lab.now);
    pod
}

/// Between two crashes: without a readiness probe it is ready as long as it runs.
fn runs_for_a_moment(lab: &Lab, set: &str, n: &str, restarts: u32) -> v1::Pod {
    let mut pod = restart_now(lab, set, n, restarts);
    (pod.ready, pod.containers[0].ready) = (true, true);
    pod.containers[0].state = "running".into();
    pod.containers[0].reason = String::new();
    pod
}

/// Revision `to` of `web` is rolled out to its end within a second: the rollout is complete.
fn rolled_out(lab: &mut Lab, from: u64, to: u64) {
    lab.see(Body::Deployment(v1::Deployment { updated: 0, ..deployment("web", 2, to) }));
    lab.see(Body::ReplicaSet(replica_set("web", to, 2)));
    for n in ["0", "1"] {
        lab.see(gone("Pod", &format!("pod-web-{from}-{n}")));
        let pod = runs_for_a_moment(lab, &format!("web-{to}"), n, 0);
        lab.see(Body::Pod(pod));
    }
    lab.see(Body::ReplicaSet(replica_set("web", from, 0)));
    lab.see(Body::Deployment(deployment("web", 2, to)));
}

/// Its pods run for three seconds and exit, until they wait in their back-off after `restarts`.
fn crashes(lab: &mut Lab, revision: u64, restarts: u32) {
    lab.see(Body::Deployment(v1::Deployment { available: 0, ready: 0, ..deployment("web", 2, revision) }));
    for n in ["0", "1"] {
        let pod = restart_now(lab, &format!("web-{revision}"), n, restarts);
        lab.see(Body::Pod(pod));
    }
}

/// Revision 1 lasted; revision 2 came out completely, and its pods crash.
fn completed_and_crashing() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    rolled_out(&mut lab, 1, 2);
    lab.pass(3);
    crashes(&mut lab, 2, 1);
    lab.pass(60);
    crashes(&mut lab, 2, 3);
    lab
}

fn plan_in_force(lab: &Lab) -> &Plan {
    let id = lab.open(IncidentKind::RolloutStuck).plan_id.unwrap();
    &lab.plans[&id.to_string()].doc
}

fn to_revision(plan: &Plan) -> u64 {
    let Some(ActionBody::RollbackDeployment(action)) = plan.action.body() else { panic!("{plan:?}") };
    action.to_revision
}

#[test]
fn a_complete_rollout_whose_pods_crash_is_one_incident_and_is_rolled_back_after_approval() {
    let mut lab = completed_and_crashing();
    assert!(lab.settle().is_empty(), "nothing without a person, and never an eviction");
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!((incident.state, lab.incidents.len()), (IncidentState::WaitingApproval, 1));
    assert!(incident.title.contains("new revision 2 crash"), "{}", incident.title);
    assert!(incident.evidence.iter().any(|line| line.contains("exit code")), "{:?}", incident.evidence);
    assert_eq!(to_revision(plan_in_force(&lab)), 1);
    // Between two crashes, when all of them are ready for a moment, what was asked stays asked.
    for n in ["0", "1"] {
        let pod = runs_for_a_moment(&lab, "web-2", n, 4);
        lab.see(Body::Pod(pod));
    }
    lab.see(Body::Deployment(deployment("web", 2, 2)));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    assert_eq!((lab.approvals.len(), lab.incidents.len()), (1, 1));
    lab.pass(3);
    crashes(&mut lab, 2, 5);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert!(matches!(action_of(&jobs[0]), Some(ActionBody::RollbackDeployment(_))), "{jobs:?}");
    assert_eq!(jobs.len(), 1);
}

#[test]
fn a_revision_that_was_available_for_a_second_is_not_gone_back_to() {
    let mut lab = completed_and_crashing();
    lab.settle();
    // Recreate: revision 3 replaces the crashing pods and never becomes ready.
    lab.pass(30);
    let out = v1::Deployment { strategy: "Recreate".into(), available: 0, ready: 0, ..stuck("web", 2, 3) };
    lab.see(Body::Deployment(v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        ..out.clone()
    }));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    lab.see(Body::ReplicaSet(replica_set("web", 3, 0)));
    for n in ["0", "1"] {
        lab.see(gone("Pod", &format!("pod-web-2-{n}")));
        let mut pod = crashing(pod("web-3", n, "node-a"), 0);
        (pod.containers[0].state, pod.containers[0].reason) = ("running".into(), String::new());
        lab.see(Body::Pod(pod));
    }
    lab.settle();
    assert_eq!(lab.live_approvals(), 0, "revision 3 has its time");
    lab.pass(600);
    lab.see(Body::Deployment(out));
    lab.settle();
    let plan = plan_in_force(&lab);
    assert_eq!(to_revision(plan), 1, "{}", plan.summary);
    let why = plan.considered.iter().find(|way| way.what.contains("revision 2")).unwrap();
    assert!(
        !why.chosen && why.why.contains("known to be bad") && why.why.contains("crash-looped"),
        "{why:?}"
    );
    assert!(plan.rationale.contains("without a restart"), "{}", plan.rationale);
}

#[test]
fn while_the_rollout_is_under_way_it_has_until_its_deadline_and_then_it_is_one_incident() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    let progressing = v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        ..stuck("web", 3, 2)
    };
    lab.see(Body::Deployment(progressing.clone()));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    // A sidecar of its first pod crash-loops, the others wait.
    for restarts in 1..5 {
        lab.pass(60);
        let mut pod = restart_now(&lab, "web-2", "0", restarts);
        pod.containers[0].name = "proxy".into();
        lab.see(Body::Pod(pod));
        assert!(lab.settle().is_empty());
        assert_eq!(lab.approvals.len(), 0, "before the deadline it waits");
    }
    assert_eq!(lab.incidents.len(), 1);
    assert!(lab.open(IncidentKind::RolloutStuck).reason.contains("within its progress deadline"));
    lab.pass(400);
    lab.see(Body::Deployment(stuck("web", 3, 2)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!((incident.state, lab.incidents.len()), (IncidentState::WaitingApproval, 1));
    assert!(incident.evidence.iter().any(|line| line.contains("proxy")), "{:?}", incident.evidence);
}

/// Its pods are ready for a moment each time, so that its controller sees progress and its deadline never passes.
#[test]
fn a_rollout_that_flaps_past_the_time_of_its_deadline_is_rolled_back() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    let progressing = v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        ..stuck("web", 3, 2)
    };
    lab.see(Body::Deployment(progressing));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    for restarts in 1..12 {
        lab.pass(59);
        let pod = restart_now(&lab, "web-2", "0", restarts);
        lab.see(Body::Pod(pod));
        lab.settle();
        assert_eq!(lab.approvals.len(), usize::from(restarts * 59 >= 600), "{restarts}");
    }
    assert_eq!(to_revision(plan_in_force(&lab)), 1);
}

#[test]
fn where_the_revision_is_not_the_cause_no_rollback_is_asked() {
    type Scene = fn() -> Lab;
    let scenes: [(&str, Scene); 4] = [
        ("it lasted, and fails later: something else changed", || {
            let mut lab = Lab::new();
            lab.deploy("web", 2, 1);
            rolled_out(&mut lab, 1, 2);
            lab.pass(3_600);
            crashes(&mut lab, 2, 3);
            lab
        }),
        ("there is no older one", || {
            let mut lab = Lab::new();
            rolled_out(&mut lab, 0, 1);
            crashes(&mut lab, 1, 3);
            lab
        }),
        ("the older one did not last either", || {
            let mut lab = Lab::new();
            rolled_out(&mut lab, 0, 1);
            lab.pass(60);
            rolled_out(&mut lab, 1, 2);
            crashes(&mut lab, 2, 3);
            lab
        }),
        ("met for the first time: when it came out is not known", || {
            let mut lab = Lab::new();
            lab.see(Body::Deployment(v1::Deployment { available: 0, ready: 0, ..deployment("web", 2, 2) }));
            lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
            lab.see(Body::ReplicaSet(replica_set("web", 2, 2)));
            crashes(&mut lab, 2, 9);
            lab
        }),
    ];
    for (what, scene) in scenes {
        let mut lab = scene();
        lab.settle();
        assert!(lab.incidents.values().all(|i| i.doc.kind != IncidentKind::RolloutStuck), "{what}");
        assert!(lab.approvals.is_empty(), "{what}");
    }
}

/// An autoscaler scales 3, 4, 3, 4 while a person reads: what was read is what is carried out.
#[test]
fn scaling_neither_voids_an_approval_nor_is_undone() {
    let mut lab = stuck_rollout();
    lab.settle();
    let asked = lab.approvals.values().next().unwrap().doc.clone();
    for (n, replicas) in [4, 3, 4, 3].into_iter().enumerate() {
        let generation = 8 + i64::try_from(n).unwrap();
        let scaled = stuck("web", replicas, 7);
        lab.see(Body::Deployment(v1::Deployment { generation, observed_generation: generation, ..scaled }));
        lab.settle();
    }
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 1));
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert_eq!(nimbus_protocol::to_hex(&jobs[0].plan_digest), asked.plan_digest);
}

/// One of its pods has long been well; another is ready for a moment now and then, which starts the deadline anew each time. What
/// a person approved is carried out in that time too, and is not asked for again.
#[test]
fn a_rollout_that_flaps_after_its_deadline_does_not_use_its_approval_up() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    let made = |lab: &Lab, mut pod: v1::Pod| {
        pod.meta.as_mut().unwrap().created_at_us = to_micros(lab.now);
        pod
    };
    lab.see(Body::ReplicaSet(replica_set("web", 7, 1)));
    let well = v1::Pod { ready_since_us: to_micros(lab.now), ..made(&lab, pod("web-7", "0", "node-b")) };
    lab.see(Body::Pod(well));
    let mut unready = v1::Pod { ready: false, ready_since_us: 0, ..made(&lab, pod("web-7", "1", "node-a")) };
    lab.see(Body::Pod(unready.clone()));
    lab.pass(700);
    let late = v1::Deployment { updated: 2, available: 2, ready: 2, ..stuck("web", 3, 7) };
    lab.see(Body::Deployment(late.clone()));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.approvals.len(), 1);
    let mut flap = |lab: &mut Lab, ready: bool| {
        unready.ready = ready;
        unready.ready_since_us = to_micros(lab.now);
        lab.see(Body::Pod(unready.clone()));
        let (progressing_status, progressing_reason) = ("True".into(), "ReplicaSetUpdated".into());
        lab.see(Body::Deployment(v1::Deployment { progressing_status, progressing_reason, ..late.clone() }));
    };
    for n in 0..20 {
        flap(&mut lab, n % 2 == 0);
        assert!(lab.settle().is_empty());
        lab.pass(100);
    }
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 1));
    flap(&mut lab, true);
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(lab.settle().is_empty(), "all that failed is ready at this moment");
    flap(&mut lab, false);
    assert_eq!(lab.settle().len(), 1, "{}", lab.open(IncidentKind::RolloutStuck).reason);
}

/// One new pod is well and the others never became ready. Scaling starts the deadline anew: what a person approved is carried out.
#[test]
fn scaling_after_the_deadline_keeps_no_approval_waiting() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    lab.see(Body::ReplicaSet(replica_set("web", 7, 1)));
    let now = to_micros(lab.now);
    for (n, ready) in [("0", true), ("1", false)] {
        let mut pod = pod("web-7", n, "node-b");
        (pod.ready, pod.ready_since_us) = (ready, if ready { now } else { 0 });
        pod.meta.as_mut().unwrap().created_at_us = now;
        pod.containers[0].ready = ready;
        lab.see(Body::Pod(pod));
    }
    lab.pass(700);
    let late = v1::Deployment { updated: 2, available: 2, ready: 2, ..stuck("web", 3, 7) };
    lab.see(Body::Deployment(late.clone()));
    assert!(lab.settle().is_empty());
    let (progressing_status, progressing_reason) = ("True".into(), "ReplicaSetUpdated".into());
    lab.see(Body::Deployment(v1::Deployment {
        progressing_status,
        progressing_reason,
        generation: 8,
        observed_generation: 8,
        desired: 4,
        ..late
    }));
    assert!(lab.settle().is_empty());
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1, "{}", lab.open(IncidentKind::RolloutStuck).reason);
}

/// An agent that does not report what this needs binds the generation, as it always did.
#[test]
fn an_older_agent_is_asked_as_it_understands() {
    let mut lab = stuck_rollout();
    lab.see(Body::Deployment(v1::Deployment { strategy: String::new(), ..stuck("web", 3, 7) }));
    lab.settle();
    let Some(ActionBody::RollbackDeployment(action)) = plan_in_force(&lab).action.body() else { panic!() };
    assert_eq!(action.generation, 7);
}

/// The pods of revision 2 are in the moment between two crashes, and one that an autoscaler just added waits for the scheduler.
fn between_crashes_beside_a_new_pod(lab: &mut Lab) {
    for n in ["0", "1"] {
        let pod = runs_for_a_moment(lab, "web-2", n, 4);
        lab.see(Body::Pod(pod));
    }
    let mut added = v1::Pod { ready: false, unschedulable: "0/2 nodes".into(), ..pod("web-2", "2", "") };
    added.meta.as_mut().unwrap().created_at_us = to_micros(lab.now);
    lab.see(Body::Pod(added));
}

#[test]
fn a_pod_that_was_made_a_moment_ago_takes_no_approval_back() {
    let mut lab = completed_and_crashing();
    lab.settle();
    let asked = lab.approvals.keys().next().unwrap().clone();
    between_crashes_beside_a_new_pod(&mut lab);
    lab.settle();
    assert!(lab.approvals[&asked].doc.is_live(), "{:?}", lab.approvals[&asked].doc);
    // While that stands for longer, nothing is rolled back for it.
    lab.pass(60);
    lab.settle();
    assert!(!lab.approvals[&asked].doc.is_live());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Escalated);
}

#[test]
fn beside_a_pod_that_was_made_a_moment_ago_and_cannot_start_nobody_is_asked_anew() {
    let mut lab = completed_and_crashing();
    between_crashes_beside_a_new_pod(&mut lab);
    assert!(lab.settle().is_empty() && lab.approvals.is_empty());
    let reason = &lab.open(IncidentKind::RolloutStuck).reason;
    assert!(reason.contains("a moment ago"), "{reason}");
    // It is gone; now it is the template.
    lab.see(gone("Pod", "pod-web-2-2"));
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
}

/// The next revision takes the pods that fail first: what is left of this one is what did not fail, however long that lives.
#[test]
fn what_is_left_of_a_bad_revision_does_not_make_it_a_good_one() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    rolled_out(&mut lab, 1, 2);
    lab.pass(60);
    let failing = restart_now(&lab, "web-2", "0", 3);
    lab.see(Body::Pod(failing));
    lab.settle();
    lab.pass(30);
    lab.see(Body::Deployment(stuck("web", 2, 3)));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 1)));
    lab.see(Body::ReplicaSet(replica_set("web", 3, 0)));
    lab.see(gone("Pod", "pod-web-2-0"));
    lab.see(Body::Pod(crashing(pod("web-3", "0", "node-b"), 6)));
    lab.pass(1_200);
    lab.settle();
    assert_eq!(to_revision(plan_in_force(&lab)), 1);
}

/// Without a deadline no condition ever says that a rollout is stuck.
#[test]
fn pods_that_never_become_ready_are_their_revisions_fault_where_no_deadline_can_pass() {
    let seen = |lab: &mut Lab, deadline: u32| {
        lab.deploy("web", 2, 1);
        lab.see(Body::Deployment(v1::Deployment {
            updated: 1,
            progress_deadline_seconds: deadline,
            progressing_status: String::new(),
            progressing_reason: String::new(),
            ..deployment("web", 2, 2)
        }));
        lab.see(Body::ReplicaSet(replica_set("web", 2, 1)));
        let mut waits = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-2", "0", "node-a") };
        waits.meta.as_mut().unwrap().created_at_us = to_micros(lab.now);
        lab.see(Body::Pod(waits));
    };
    let mut lab = Lab::new();
    seen(&mut lab, 0);
    lab.pass(590);
    lab.settle();
    assert!(lab.incidents.is_empty(), "it may still come up");
    lab.pass(11);
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    assert!(incident.title.contains("do not become ready"), "{}", incident.title);
    assert_eq!(to_revision(plan_in_force(&lab)), 1);
    // One of its pods was ready for a second: nothing shows any more that it never is, and no plan stays that would be refused.
    let flash = v1::Pod { ready_since_us: to_micros(lab.now), ..pod("web-2", "0", "node-a") };
    lab.see(Body::Pod(flash.clone()));
    lab.settle();
    lab.pass(1);
    lab.see(Body::Pod(v1::Pod { ready: false, ready_since_us: to_micros(lab.now), ..flash }));
    lab.settle();
    assert_eq!(lab.live_approvals(), 0);
    // Whoever sets a deadline of an hour says that a start may take so long.
    let mut lab = Lab::new();
    seen(&mut lab, 3_600);
    lab.pass(900);
    lab.settle();
    assert!(lab.incidents.is_empty());
}
