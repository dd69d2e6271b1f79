//! Scenes of a crash-looping pod, from the finding to a verified restart.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::testing::at;
use crate::testing::{ActionBody, action_of};

/// The old pod goes; its replacement is ready, or crash-loops as well.
fn replace(lab: &mut Lab, old: &str, new: &str, well: bool) {
    lab.see(gone("Pod", &format!("pod-web-1-{old}")));
    let pod = fresh(lab, "web-1", new, "node-b");
    lab.see(Body::Pod(if well { pod } else { crashing(pod, 3) }));
}

#[test]
fn a_crash_looping_pod_is_replaced_elsewhere_and_the_incident_ends_with_evidence() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    let job = &jobs[0];
    let Some(ActionBody::RestartPod(action)) = action_of(job) else { panic!("{job:?}") };
    assert_eq!(action.pod.as_ref().unwrap().uid, "pod-web-1-0");
    assert_eq!(action.owner.as_ref().unwrap().name, "web-1");
    assert_eq!((action.node.as_str(), action.avoid_node, action.min_restarts), ("node-a", true, 3));
    assert_eq!((job.epoch, job.cluster_uid.as_str()), (7, CLUSTER));
    assert_eq!(job.approvals[0].by, "policy:pod_crash_loop");
    assert_eq!(job.approvals[0].plan_digest, job.plan_digest);
    assert_eq!(job.plan_digest.len(), 32);
    assert_eq!(job.not_before_us, nimbus_protocol::to_micros(at(-60)), "an agent's clock may be behind");
    assert_eq!(job.expires_at_us, nimbus_protocol::to_micros(at(60)));
    assert!(!job.evidence.is_empty());
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Remediating);

    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert!(plan.rationale.contains("another node"), "{}", plan.rationale);
    assert_eq!(plan.considered.iter().filter(|o| o.chosen).count(), 1);
    assert!(plan.considered.iter().all(|o| !o.why.is_empty()) && plan.considered.len() >= 3);

    lab.apply(job);
    replace(&mut lab, "0", "r", true);
    lab.pass(31);
    assert!(lab.settle().is_empty());
    assert!(lab.report(job, Phase::Succeeded, "", ""));
    let incident = lab.last(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, incident.attempts), (IncidentState::Resolved, 1));
    assert_eq!(incident.resolved_at, Some(lab.now));
    let story: Vec<&str> = incident.history.iter().map(|h| h.text.as_str()).collect();
    assert!(story.len() >= 6, "{story:#?}");
    for action in [
        "incident.opened",
        "plan.made",
        "job.signed",
        "job.sent",
        "job.applied",
        "job.succeeded",
        "incident.resolved",
    ] {
        assert_eq!(lab.audited(action), 1, "{action}");
    }
    assert!(lab.settle().is_empty(), "nothing is left to do");
}

#[test]
fn between_two_crashes_the_incident_stays_and_the_plan_is_the_same_one() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-b") }));
    lab.connected.clear();
    lab.connected.insert(crate::testing::lab::agent_id());
    lab.diagnose();
    lab.plan();
    let before = lab.open(IncidentKind::PodCrashLoop).clone();
    lab.see(Body::Pod(running_again(pod("web-1", "0", "node-a"), 5)));
    assert!(lab.settle().is_empty(), "it runs at this moment; the agent would refuse");
    let now = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(now.plan_id, before.plan_id);
    assert!(now.reason.contains("does not wait in CrashLoopBackOff"), "{}", now.reason);
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 5)));
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn with_no_other_node_it_is_a_fresh_start_on_the_same_one() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-b") }));
    let jobs = lab.settle();
    let Some(ActionBody::RestartPod(action)) = action_of(&jobs[0]) else { panic!() };
    assert!(!action.avoid_node);
    let plan = lab.plans.values().next().unwrap();
    assert!(plan.doc.rationale.contains("no other node is promised"), "{}", plan.doc.rationale);
}

#[test]
fn with_no_open_node_at_all_nothing_is_evicted() {
    let mut lab = crash_loop();
    for name in ["node-a", "node-b"] {
        lab.see(Body::Node(v1::Node { unschedulable: true, ..node(name) }));
    }
    assert!(lab.settle().is_empty());
    assert!(lab.open(IncidentKind::PodCrashLoop).reason.contains("no node is schedulable"));
}

#[test]
fn a_control_plane_node_is_not_closed_for_it() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { control_plane: true, ..node("node-a") }));
    let jobs = lab.settle();
    let Some(ActionBody::RestartPod(action)) = action_of(&jobs[0]) else { panic!() };
    assert!(!action.avoid_node);
}

#[test]
fn pods_of_a_rollout_within_its_deadline_wait_for_it() {
    let mut lab = crash_loop();
    lab.see(Body::Deployment(v1::Deployment {
        progressing_reason: "ReplicaSetUpdated".into(),
        available: 1,
        ..deployment("web", 2, 1)
    }));
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("waits for the rollout"), "{reason}");
}

#[test]
fn pods_without_a_deployment_are_left_for_a_person() {
    for owner in [None, Some(("Cassandra", "db"))] {
        let mut lab = Lab::new();
        let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
        pod.meta = Some(meta("pod", "db-0", owner));
        lab.see(Body::Pod(pod));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::PodCrashLoop);
        assert_eq!(incident.state, IncidentState::Escalated, "{owner:?}: {}", incident.reason);
        lab.see(gone("Pod", "pod-db-0"));
        lab.settle();
        // Whoever controls it may make another one yet.
        assert_eq!(lab.last(IncidentKind::PodCrashLoop).is_open(), owner.is_some(), "{owner:?}");
        lab.pass(600);
        lab.settle();
        assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
    }
}

/// Fails the job in flight and has the next pod crash as well.
fn fail(lab: &mut Lab, job: &v1::Job, old: &str, new: &str) {
    lab.apply(job);
    replace(lab, old, new, false);
    assert!(lab.report(job, Phase::Failed, "", "the replacement was not ready for 30 s"));
}

/// Three attempts, none of which helps; leaves the incident escalated with pod `r3`.
fn in_vain() -> Lab {
    let mut lab = crash_loop();
    let mut waits = vec![30, 60];
    for (n, old) in ["0", "r1", "r2"].iter().enumerate() {
        let jobs = lab.settle();
        assert_eq!(jobs.len(), 1, "attempt {}", n + 1);
        fail(&mut lab, &jobs[0], old, &format!("r{}", n + 1));
        let incident = lab.open(IncidentKind::PodCrashLoop);
        assert!(incident.reason.contains(&format!("attempt {} of 3", n + 1)), "{}", incident.reason);
        if !waits.is_empty() {
            lab.pass(waits.remove(0) - 1);
            assert!(lab.settle().is_empty(), "too early");
            lab.pass(1);
        }
    }
    assert!(lab.settle().is_empty());
    lab
}

#[test]
fn attempts_are_capped_with_a_growing_wait_and_then_a_person_is_asked() {
    let mut lab = in_vain();
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, incident.attempts), (IncidentState::Escalated, 3));
    assert!(incident.reason.contains("3 of at most 3 attempts"), "{}", incident.reason);
    assert!(
        incident.reason.contains("was not ready for 30 s"),
        "it says what was tried: {}",
        incident.reason
    );
    lab.pass(100_000);
    assert!(lab.settle().is_empty(), "and it stays that way");
}

#[test]
fn attempts_are_forgotten_only_after_a_stated_time_of_health() {
    for (healthy_for, forgotten) in [(599, false), (600, true)] {
        let mut lab = in_vain();
        replace(&mut lab, "r3", "good", true);
        lab.pass(30);
        lab.settle();
        assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
        lab.pass(healthy_for);
        lab.see(Body::Pod(crashing(pod("web-1", "good", "node-b"), 3)));
        let jobs = lab.settle();
        assert_eq!(jobs.len(), usize::from(forgotten), "healthy for {healthy_for} s");
        let state = lab.open(IncidentKind::PodCrashLoop).state;
        assert_eq!(state == IncidentState::Escalated, !forgotten);
    }
}

#[test]
fn what_happened_in_between_counts_as_no_health() {
    let mut lab = in_vain();
    replace(&mut lab, "r3", "good", true);
    lab.pass(30);
    lab.settle();
    // Another kind of trouble of the same owner after 300 s, for 20 s.
    lab.pass(300);
    lab.see(Body::Pod(without_image(pod("web-1", "good", "node-b"))));
    lab.settle();
    lab.pass(20);
    lab.see(Body::Pod(fresh(&lab, "web-1", "good", "node-b")));
    lab.pass(30);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::ImagePull).state, IncidentState::Resolved);
    lab.pass(400);
    lab.see(Body::Pod(crashing(pod("web-1", "good", "node-b"), 3)));
    assert!(lab.settle().is_empty(), "600 s since the last attempt, but not 600 s of health");
}

#[test]
fn a_job_that_succeeded_is_not_believed_against_the_world() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    replace(&mut lab, "0", "r", true);
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-a"), 3)));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Open);
    assert!(incident.reason.contains("1 of 2 pods"), "{}", incident.reason);
    lab.pass(30);
    let next = lab.settle();
    let Some(ActionBody::RestartPod(action)) = action_of(&next[0]) else { panic!() };
    assert_eq!(action.pod.as_ref().unwrap().uid, "pod-web-1-1", "the other pod is next");
}

#[test]
fn memory_image_and_node_are_explained_and_never_acted_on() {
    let broken: [(IncidentKind, Body); 3] = [
        (IncidentKind::OutOfMemory, Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 9))),
        (IncidentKind::ImagePull, Body::Pod(without_image(pod("web-1", "0", "node-a")))),
        (IncidentKind::NodeNotReady, Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-a") })),
    ];
    for (kind, body) in broken {
        let mut lab = Lab::new();
        lab.deploy("web", 2, 1);
        lab.see(body);
        assert!(lab.settle().is_empty());
        let incident = lab.open(kind);
        assert_eq!(incident.state, IncidentState::Escalated);
        assert!(incident.reason.len() > 40 && incident.plan_id.is_none(), "{}", incident.reason);
        assert_eq!(lab.audited("incident.escalated"), 1);
    }
}

#[test]
fn a_deeper_cause_takes_over_and_the_first_incident_ends_as_explained() {
    let mut lab = crash_loop();
    lab.see(Body::Deployment(v1::Deployment {
        progressing_reason: "ReplicaSetUpdated".into(),
        ..deployment("web", 2, 1)
    }));
    lab.settle();
    lab.see(Body::Deployment(stuck("web", 2, 1)));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
    assert!(lab.last(IncidentKind::PodCrashLoop).reason.contains("deeper cause"));
    assert!(lab.open(IncidentKind::RolloutStuck).is_open());
}

#[test]
fn while_one_job_closes_a_node_no_other_one_is_closed() {
    let mut lab = crash_loop();
    lab.deploy("api", 2, 1);
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-b"), 4)));
    let jobs = lab.settle();
    let [first] = &jobs[..] else { panic!("expected one job, found {}", jobs.len()) };
    // The inventory still shows both nodes as schedulable.
    assert!(lab.settle().is_empty());
    let waits = lab.incidents.values().find(|i| i.doc.state == IncidentState::Open).unwrap();
    assert!(waits.doc.reason.contains("one node of a cluster"), "{}", waits.doc.reason);
    let Some(ActionBody::RestartPod(action)) = action_of(first) else { panic!("{first:?}") };
    lab.report(first, Phase::Failed, "failed", "no replacement became ready");
    lab.pass(1);
    let Some(ActionBody::RestartPod(next)) = lab.settle().first().and_then(action_of) else {
        panic!("no job")
    };
    assert_ne!(action.node, next.node);
}
