//! Scenes of version skew: older and newer agents, missing rights, and documents of a newer build. Only the causes that
//! need what is missing are affected.

use nimbus_protocol::{ActionKind, ObjectKind};

use super::*;
use crate::check;
use crate::model::*;
use crate::remedies::{self, Consent};
use crate::testing::{Order, lab::agent_id, order_of};

/// What the agent of `lab` lists anew, as a new leader would: every kind but `missing`.
fn lists_all_but(lab: &mut Lab, missing: &[ObjectKind]) {
    let bodies = lab.cluster_bodies();
    for kind in ObjectKind::ALL.iter().filter(|kind| !missing.contains(kind)) {
        lab.see(begin(kind.as_str(), 2));
        for body in bodies.iter().filter(|body| body.object_kind() == Some(*kind)) {
            lab.see(body.clone());
        }
        lab.see(end(kind.as_str(), 2));
    }
}

fn kinds_of_orders(jobs: &[v1::Job]) -> Vec<ActionKind> {
    jobs.iter().map(|job| order_of(job).unwrap().kind()).collect()
}

#[test]
fn an_agent_that_may_not_list_nodes_has_its_rollouts_healed_and_nothing_automatic() {
    let mut lab = stuck_rollout();
    lab.deploy("api", 2, 1);
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-a"), 4)));
    lists_all_but(&mut lab, &[ObjectKind::Node]);
    assert!(lab.settle().is_empty(), "the rollback waits for a person");
    lab.decide("operator", crate::approval::Decision::Approve, "").unwrap();
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RollbackDeployment]);
    let crash = lab.open(IncidentKind::PodCrashLoop);
    assert!(crash.reason.contains("Node missing"), "{}", crash.reason);
}

#[test]
fn an_agent_that_may_not_list_replica_sets_still_reports_a_node_that_is_down() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-b") }));
    lists_all_but(&mut lab, &[ObjectKind::ReplicaSet]);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::NodeNotReady).state, IncidentState::Escalated);
    assert!(lab.incidents.values().all(|i| i.doc.kind == IncidentKind::NodeNotReady), "the pods are unknown");
}

#[test]
fn an_incident_stays_open_while_the_kind_that_it_needs_is_not_listed() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(Body::Pod(fresh(&lab, "web-1", "r", "node-b")));
    lists_all_but(&mut lab, &[ObjectKind::Pod]);
    lab.pass(3_600);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).reason.starts_with("unknown"));
    lists_all_but(&mut lab, &[]);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
}

/// Between two pods of a StatefulSet there is none; only the StatefulSet says whether that is the end of it.
#[test]
fn no_pod_left_is_no_recovery_while_the_workloads_kind_is_not_listed() {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-1"), 4)));
    lab.diagnose();
    let bodies = lab.cluster_bodies();
    lab.see(begin("StatefulSet", 1));
    let pod = bodies.iter().find(|body| body.object_kind() == Some(ObjectKind::Pod)).unwrap();
    let Body::Pod(v1::Pod { meta: Some(meta), .. }) = pod else { panic!("{pod:?}") };
    lab.see(gone("Pod", &meta.uid));
    lab.pass(3_600);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open());
    // Listed, and not in the listing: it is gone, and the incident with it.
    lab.see(end("StatefulSet", 1));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
}

#[test]
fn a_kind_of_a_newer_agent_changes_nothing_of_what_is_known() {
    let mut lab = crash_loop();
    let before = lab.world.clone();
    assert!(!lab.see(begin("Gateway", 1)));
    assert!(!lab.see(gone("Gateway", "dep-web")));
    assert!(!lab.see(end("Gateway", 1)), "its end drops nobody else's objects");
    assert_eq!(lab.world, before);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn words_that_this_version_does_not_know_allow_nothing_and_forbid_nothing_else() {
    let mut lab = crash_loop();
    let agent = lab.agents.get_mut(&agent_id().to_string()).unwrap();
    agent.doc.allowed_actions = vec!["move_the_moon".into(), "restart_pod".into()];
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod]);
    let mut lab = crash_loop();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions = vec!["move_the_moon".into()];
    assert!(lab.settle().is_empty());
}

#[test]
fn an_agent_that_lacks_an_action_gets_no_job_of_it_and_every_other() {
    let mut lab = stuck_rollout();
    lab.deploy("api", 2, 1);
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-a"), 4)));
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions = vec!["restart_pod".into()];
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod]);
    let rollout = lab.open(IncidentKind::RolloutStuck);
    assert!(rollout.reason.contains("does not allow rollback_deployment"), "{}", rollout.reason);
    assert_eq!(lab.live_approvals(), 0, "nobody is asked to approve what could not be done");
}

/// A plan of a newer control plane, met after a downgrade.
#[test]
fn a_plan_with_an_action_of_a_newer_build_is_never_carried_out() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values_mut().next().unwrap();
    let newer = r#"{"action":"drain_node","message":"82fa0100"}"#;
    plan.doc.action = serde_json::from_str(newer).unwrap();
    plan.doc.digest = plan.doc.computed_digest();
    let plan = plan.doc.clone();
    assert!(check::check(&plan, &lab.snapshot(), lab.now).iter().any(|v| v.invariant == 3));
    assert!(lab.dispatch().is_empty());
    // The next pass makes a plan of its own in its place.
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod]);
}

/// The planner and its checker are written apart; where they speak of the same thing they agree, action by action.
#[test]
fn every_action_is_answered_for_by_the_planner_and_by_the_judge_alike() {
    let mut lab = crash_loop();
    lab.diagnose();
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    for kind in ActionKind::ALL {
        let order = crate::testing::example_of(*kind);
        let remedy = remedies::of(*kind);
        let footprint = remedy.footprint(&order).unwrap_or_else(|| panic!("{kind} occupies nothing known"));
        let (behind, node, needs) = check::for_test(&order);
        assert_eq!((footprint.node.map(str::to_owned), footprint.closes), node, "{kind}");
        assert_eq!(remedy.needs(&incident), needs, "{kind}");
        let consent = match remedy.consent() {
            Consent::Rule => "rule",
            Consent::Approval => "approver",
            Consent::Command => "requester",
        };
        assert_eq!(consent, behind, "{kind}");
        for other in ActionKind::ALL.iter().filter(|other| *other != kind) {
            assert!(
                remedy.footprint(&crate::testing::example_of(*other)).is_none(),
                "{kind} answers {other}"
            );
        }
    }
}

#[test]
fn a_node_disturbed_by_a_job_whose_plan_is_lost_counts_against_every_node() {
    let mut lab = crash_loop();
    lab.settings.caps.per_node = 1;
    lab.settings.caps.per_owner = 9;
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    lab.deploy("api", 2, 1);
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-b"), 4)));
    let job = lab.jobs.values().next().unwrap().doc.clone();
    lab.plans.retain(|_, plan| plan.doc.id != job.plan_id);
    assert!(lab.settle().is_empty(), "it may be on any node");
}

#[test]
fn recovery_is_believed_only_from_a_workload_that_can_be_seen() {
    // A pod of a controller that is not watched: nothing says how many pods it wants.
    let mut lab = Lab::new();
    let mut lonely = crashing(pod("web-1", "0", "node-a"), 4);
    lonely.meta = Some(meta("pod", "db-0", Some(("Cassandra", "db"))));
    lab.see(Body::Pod(lonely));
    lab.settle();
    let incident = lab.open(IncidentKind::PodCrashLoop);
    let agreement = crate::causes::of(incident.kind).agreement(&lab.snapshot(), incident);
    assert!(matches!(agreement, crate::causes::Agreement::Disagrees(_)), "{agreement:?}");
}

#[test]
fn the_order_of_a_restart_is_what_the_plan_keeps() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(jobs[0].action, plan.action.message());
    assert!(matches!(plan.action.body(), Some(Order::RestartPod(_))));
}
