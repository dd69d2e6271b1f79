//! Scenes of version skew: older and newer agents, missing rights, and documents of a newer build. Only the causes that
//! need what is missing are affected.

use nimbus_protocol::{ActionKind, ObjectKind};

use super::*;
use crate::check;
use crate::model::*;
use crate::remedies::{self, Consent};
use crate::testing::{ActionBody, action_of, lab::agent_id};
use v1::Observation;

/// What the agent of `lab` lists anew, as a new leader would: every kind but `missing`.
fn lists_all_but(lab: &mut Lab, missing: &[ObjectKind]) {
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.lease_term = 2;
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
    jobs.iter().map(|job| action_of(job).unwrap().kind()).collect()
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

/// The agent was away, leads again under a new lease, and its API server refuses every list: what it listed under the lease
/// before is hours old.
#[test]
fn what_was_listed_under_an_older_lease_is_not_known_under_a_new_one() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(Body::Pod(fresh(&lab, "web-1", "r", "node-b")));
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.lease_term = 2;
    lab.pass(3_600);
    lab.settle();
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert!(incident.reason.starts_with("unknown"), "{}", incident.reason);
    lists_all_but(&mut lab, &[]);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
}

#[test]
fn the_checker_lets_nothing_out_on_what_was_listed_under_an_older_lease() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(check::check(&plan, &lab.snapshot(), lab.now), []);
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.lease_term = 2;
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    assert!(found.iter().any(|violation| violation.text.contains("under the lease")), "{found:?}");
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

/// Of a controller that nobody watches only its pods tell: one that was well all the time tells nothing.
#[test]
fn a_healthy_sibling_is_no_recovery_where_the_workload_is_not_watched() {
    let of_rollout = |index| {
        let mut pod = owned_pod("Rollout", "web", index, "");
        pod.meta.as_mut().unwrap().owner_api_version = "argoproj.io/v1alpha1".into();
        pod
    };
    let mut lab = Lab::new();
    lab.see(Body::Pod(of_rollout(0)));
    lab.see(Body::Pod(crashing(of_rollout(1), 4)));
    lab.diagnose();
    lab.see(gone("Pod", &of_rollout(1).meta.unwrap().uid));
    let mut scaled_down = lab.clone();
    lab.pass(120);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "its sibling was well all the time");
    let ready_since_us = nimbus_protocol::to_micros(lab.now);
    lab.see(Body::Pod(v1::Pod { ready_since_us, ..of_rollout(2) }));
    lab.pass(120);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
    // Nothing came after it: it was not to be replaced.
    scaled_down.settle();
    scaled_down.pass(600);
    scaled_down.settle();
    let incident = scaled_down.last(IncidentKind::PodCrashLoop);
    assert!(
        incident.state == IncidentState::Resolved && incident.reason.contains("not replaced"),
        "{incident:#?}"
    );
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

/// Field 100, a varint of 1: no message of this version has it.
const MORE: [u8; 3] = [0xa0, 0x06, 0x01];

/// What an agent of another version sends as this observation's field of that number.
fn of_another_version(number: u32, object: &[u8]) -> v1::Observation {
    use prost::encoding::{WireType, encode_key, encode_varint};
    let cluster = Observation { cluster_uid: CLUSTER.into(), sequence: 1, ..Default::default() };
    let mut bytes = prost::Message::encode_to_vec(&cluster);
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(object.len() as u64, &mut bytes);
    bytes.extend(object);
    prost::Message::decode(&bytes[..]).unwrap()
}

/// A whole object, between the marks of its kind and between those of a known one.
#[test]
fn an_object_of_a_kind_of_a_newer_agent_is_passed_over() {
    let mut lab = crash_loop();
    let mut object = of_another_version(99, &prost::Message::encode_to_vec(&pod("web-1", "1", "node-a")));
    assert!(object.body.is_none() && crate::world::sanitize(&mut object));
    let before = lab.world.clone();
    for kind in ["Gateway", "Node"] {
        lab.see(begin(kind, 1));
        assert!(!lab.world.apply(agent_id(), &object, lab.now));
        for node in
            lab.cluster_bodies().into_iter().filter(|body| body.object_kind() == Some(ObjectKind::Node))
        {
            lab.see(node);
        }
        lab.see(end(kind, 1));
    }
    assert_eq!(lab.world.to_snapshot(), before.to_snapshot());
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod]);
}

#[test]
fn more_in_an_object_of_a_newer_agent_takes_nothing_from_what_is_known_of_it() {
    let crashing = crashing(pod("web-1", "0", "node-a"), 4);
    let newer = [&prost::Message::encode_to_vec(&crashing)[..], &MORE].concat();
    let mut observation = of_another_version(20, &newer);
    assert!(crate::world::sanitize(&mut observation));
    assert_eq!(observation.body, Some(Body::Pod(crashing)));
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    assert!(lab.world.apply(agent_id(), &observation, lab.now));
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod]);
}

/// The revision of a StatefulSet's pod is what says whether a new one would be the same.
#[test]
fn a_pod_whose_revision_an_older_agent_does_not_say_is_not_restarted() {
    for (said, revision) in [("", "db-1"), ("db-1", ""), ("db-0", "db-1"), ("db-1", "db-1")] {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(stateful_set("db", 1, revision)));
        lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, said), 4)));
        let due = usize::from(said == revision);
        assert_eq!(lab.settle().len(), due, "pod of {said:?}, set of {revision:?}");
        let restart = v1::RestartPod {
            pod: Some(v1::Target { namespace: "shop".into(), name: "db-0".into(), uid: "pod-db-0".into() }),
            owner: Some(v1::Target { namespace: "shop".into(), name: "db".into(), uid: "sts-db".into() }),
            node: "node-a".into(),
            container: "app".into(),
            owner_kind: "StatefulSet".into(),
            ..Default::default()
        };
        let mut lab_plan = plan_of_a_restart();
        lab_plan.action = PlannedAction::from(ActionBody::RestartPod(restart));
        lab_plan.digest = lab_plan.computed_digest();
        let found = check::of_plan(&lab_plan, &lab.snapshot());
        assert_eq!(found.is_empty(), due == 1, "the checker sees it by itself: {found:?}");
    }
}

/// A plan for the pod of a Deployment, whose action a test replaces.
fn plan_of_a_restart() -> Plan {
    let mut lab = crash_loop();
    lab.settle();
    lab.plans.values().next().unwrap().doc.clone()
}

/// `OnDelete` is the one strategy under which nothing is being brought out; one that is left out, or new, is not it.
#[test]
fn an_update_strategy_that_is_not_known_is_not_taken_for_one_that_waits() {
    for (strategy, due) in [("", 0), ("MaxUnavailable", 0), ("RollingUpdate", 0), ("OnDelete", 1)] {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(v1::StatefulSet {
            current_revision: "db-0".into(),
            update_strategy: strategy.into(),
            ..stateful_set("db", 1, "db-1")
        }));
        lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-1"), 4)));
        assert_eq!(lab.settle().len(), due, "{strategy:?}");
    }
}

#[test]
fn health_that_an_older_agent_does_not_date_is_no_recovery() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(Body::Pod(v1::Pod { ready_since_us: 0, ..pod("web-1", "r", "node-b") }));
    lab.pass(3_600);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open());
}

#[test]
fn a_revision_without_its_template_is_no_good_one_to_go_back_to() {
    let mut lab = Lab::new();
    lab.see(Body::Deployment(v1::Deployment { template_hash: Vec::new(), ..deployment("web", 3, 6) }));
    lab.see(Body::ReplicaSet(v1::ReplicaSet { template_hash: Vec::new(), ..replica_set("web", 6, 3) }));
    lab.see(Body::Deployment(stuck("web", 3, 7)));
    lab.see(Body::ReplicaSet(replica_set("web", 7, 0)));
    lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 6)));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.live_approvals(), 0, "nobody is asked to approve what could not be named");
}

#[test]
fn a_file_of_which_neither_side_is_said_is_not_as_it_should_be() {
    let mut lab = drifted_file();
    lab.diagnose();
    let path = "/srv/etc/app.conf";
    let unsaid = v1::File { root: "/srv/etc".into(), path: path.into(), ..Default::default() };
    let half = v1::File { current: Some(file_state("file", 0o640, 1)), ..unsaid.clone() };
    for file in [unsaid, half] {
        lab.see_host(begin("File", 0));
        assert!(!lab.see_host(Body::File(file)));
        lab.see_host(end("File", 0));
        lab.settle();
        assert!(lab.open(IncidentKind::FileDrift).is_open());
    }
}

/// A phase that this version does not know says nothing of how the job ended.
#[test]
fn a_report_of_a_newer_agents_phase_ends_no_job() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    let newer = v1::JobReport { job_id: jobs[0].job_id.clone(), phase: 99, ..Default::default() };
    let changes = crate::remediation::report(&lab.snapshot(), agent_id(), &newer, lab.now);
    assert!(changes.jobs.is_empty() && changes.incidents.is_empty(), "{changes:?}");
    assert_eq!(changes.audit[0].action, "job.report_not_understood", "what it said is kept");
    assert_eq!(lab.jobs.values().next().unwrap().doc.state, JobState::Running);
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

/// A plan of a newer control plane with a condition that this one does not know: dispatching it would skip a
/// condition that nobody here checked.
#[test]
fn a_plan_with_more_in_its_action_than_this_build_knows_is_never_carried_out() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values_mut().next().unwrap();
    let more = nimbus_protocol::to_hex(&MORE);
    let mut stored = serde_json::to_value(&plan.doc.action).unwrap();
    stored["message"] = format!("{}{more}", stored["message"].as_str().unwrap()).into();
    plan.doc.action = serde_json::from_value(stored).unwrap();
    plan.doc.digest = plan.doc.computed_digest();
    let plan = plan.doc.clone();
    assert!(plan.action.body().is_none() && plan.action.message().ends_with(&MORE));
    assert!(check::check(&plan, &lab.snapshot(), lab.now).iter().any(|v| v.invariant == 3));
    assert!(lab.dispatch().is_empty());
    assert_eq!(kinds_of_orders(&lab.settle()), [ActionKind::RestartPod], "a plan of its own takes its place");
}

/// The planner and its checker are written apart; where they speak of the same thing they agree, action by action.
#[test]
fn every_action_is_answered_for_by_the_planner_and_by_the_checker_alike() {
    let mut lab = crash_loop();
    lab.diagnose();
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    for kind in ActionKind::ALL {
        let action = crate::testing::example_of(*kind);
        let remedy = remedies::of(*kind);
        let footprint = remedy.footprint(&action).unwrap_or_else(|| panic!("{kind} occupies nothing known"));
        let (behind, node, needs) = check::for_test(&action);
        assert_eq!((footprint.node.map(str::to_owned), footprint.holds), node, "{kind}");
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
    assert!(matches!(plan.action.body(), Some(ActionBody::RestartPod(_))));
}
