//! Scenes of nodes that are held back: one of a cluster at a time, never the last open one, and nobody else's. A property
//! over random histories counts the nodes that are really held, by agents that do what they are told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use nimbus_protocol::v1::job_report::Phase;
use proptest::prelude::*;

use super::*;
use crate::model::*;
use crate::remediation;
use crate::testing::{ActionBody, action_of, at};

fn restart_of(job: &v1::Job) -> v1::RestartPod {
    match action_of(job) {
        Some(ActionBody::RestartPod(action)) => action,
        other => panic!("{other:?}"),
    }
}

/// `count` workloads, each broken on a node of its own and well on the last node; the cluster is not enabled yet.
fn broken_before_enabling(count: usize) -> Lab {
    let mut lab = Lab::new();
    let disabled = remediation::disable(&lab.clusters[CLUSTER], &[], false, "operator", lab.now).unwrap();
    lab.commit(disabled);
    let nodes: Vec<String> =
        (0..=count).map(|n| format!("node-{}", char::from(b'a' + u8::try_from(n).unwrap()))).collect();
    for name in &nodes {
        lab.see(Body::Node(node(name)));
    }
    for (n, place) in nodes.iter().take(count).enumerate() {
        let name = format!("svc{n}");
        lab.deploy(&name, 2, 1);
        lab.see(Body::Pod(pod(&format!("{name}-1"), "1", nodes.last().unwrap())));
        lab.see(Body::Pod(crashing(pod(&format!("{name}-1"), "0", place), 4)));
    }
    assert!(lab.settle().is_empty(), "it only observes");
    lab
}

fn enable(lab: &mut Lab) {
    let changes =
        remediation::enable(&lab.clusters[CLUSTER].clone(), &[], Some(Mode::Act), "operator", lab.now)
            .unwrap();
    lab.commit(changes);
}

#[test]
fn pods_broken_before_enabling_hold_one_node_at_a_time() {
    for count in [2, 3] {
        let mut lab = broken_before_enabling(count);
        enable(&mut lab);
        let mut done = BTreeSet::new();
        for _ in 0..count {
            let jobs = lab.settle();
            let [job] = &jobs[..] else { panic!("expected one job, found {}", jobs.len()) };
            let action = restart_of(job);
            assert!(action.avoid_node && done.insert(action.node.clone()));
            let waits =
                lab.incidents.values().filter(|i| i.doc.reason.contains("one node of a cluster")).count();
            assert_eq!(waits, count - done.len(), "the others say why they wait");
            // Held, and seen so; then let go, and its replacement is well.
            lab.apply(job);
            lab.see(Body::Node(held_node(&action.node, &job.job_id)));
            assert!(lab.settle().is_empty());
            let old = action.pod.unwrap();
            lab.see(gone("Pod", &old.uid));
            let set = action.owner.unwrap().name;
            let fresh = fresh(&lab, &set, "r", "node-b");
            lab.see(Body::Pod(fresh));
            lab.report(job, Phase::Succeeded, "", "");
            assert!(lab.settle().is_empty(), "it is still seen held");
            lab.see(Body::Node(node(&action.node)));
        }
    }
}

#[test]
fn of_two_nodes_the_last_open_one_is_never_held() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-b") }));
    let jobs = lab.settle();
    assert!(!restart_of(&jobs[0]).avoid_node);
}

#[test]
fn whoever_is_at_work_on_a_node_keeps_it() {
    for mark in
        ["kured: annotation weave.works/kured-reboot-in-progress", "Karpenter: taint karpenter.sh/disrupted"]
    {
        let mut lab = crash_loop();
        lab.see(Body::Node(marked_node("node-a", mark)));
        let jobs = lab.settle();
        assert!(!restart_of(&jobs[0]).avoid_node, "{mark}");
        let rationale = &lab.plans.values().next_back().unwrap().doc.rationale;
        assert!(rationale.contains(mark) && rationale.contains("not held back"), "{rationale}");
    }
}

/// It would come back to the node that is held, as it tolerates the taint.
#[test]
fn no_node_is_held_for_a_pod_that_tolerates_the_hold() {
    for (key, operator, value, effect, held) in [
        ("", "Exists", "", "", false),
        ("", "Exists", "", "NoSchedule", false),
        ("", "Exists", "", "NoExecute", true),
        ("nimbus.dev/held", "Exists", "", "NoSchedule", false),
        ("nimbus.dev/held", "Equal", "job_1", "", false),
        ("nimbus.dev/other", "Exists", "", "", true),
    ] {
        let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
        let what = format!("{key:?} {operator:?} {value:?} {effect:?}");
        let mut lab = crash_loop();
        let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
        let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
        placement.tolerations = vec![v1::Toleration { key, operator, value, effect }];
        lab.see(Body::Pod(pod));
        let jobs = lab.settle();
        assert_eq!(jobs.len(), 1, "it is evicted all the same: {what}");
        assert_eq!(restart_of(&jobs[0]).avoid_node, held, "{what}");
        let rationale = &lab.plans.values().next_back().unwrap().doc.rationale;
        assert_eq!(rationale.contains("tolerates the taint"), !held, "{what}: {rationale}");
    }
}

#[test]
fn a_node_that_flaps_is_no_place_to_hold_others_back_for() {
    for (ready_for, held) in [(119, false), (120, true)] {
        let mut lab = crash_loop();
        lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-b") }));
        let since = nimbus_protocol::to_micros(lab.now);
        lab.see(Body::Node(v1::Node { ready_since_us: since, ..node("node-b") }));
        lab.pass(ready_for);
        let jobs = lab.settle();
        assert_eq!(restart_of(&jobs[0]).avoid_node, held, "ready for {ready_for} s");
    }
}

#[test]
fn a_lost_report_keeps_other_nodes_open_until_the_taint_is_over() {
    let mut lab = broken_before_enabling(2);
    enable(&mut lab);
    let first = lab.settle().remove(0);
    lab.apply(&first);
    // Nothing is ever heard of it again.
    let mut waited = 0;
    while lab.settle().is_empty() {
        lab.pass(5);
        waited += 5;
        assert!(waited < 3_600, "it waits for ever");
    }
    let used = i64::from(lab.settings.act_ms) / 1_000 * 2 + 60;
    let job_ttl = i64::from(lab.settings.job_ttl_ms) / 1_000;
    assert!(waited >= job_ttl + used, "{waited} s");
}

/// Something that happens to nodes, pods, agents and reports.
#[derive(Debug, Clone)]
enum Event {
    /// A pod of this workload breaks, or is well again.
    Pod {
        of: usize,
        broken: bool,
    },
    /// A node becomes ready or not, or somebody cordons it.
    Node {
        at: usize,
        ready: bool,
        cordoned: bool,
    },
    /// What the agents see of this node reaches the control plane.
    Seen {
        at: usize,
    },
    Enabled(bool),
    Pass(i64),
    /// A job is carried out up to here: taken; its node held; its node let go and its end reported; reported in vain.
    Work {
        nth: usize,
        step: u8,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(of, broken)| Event::Pod { of, broken }),
        2 => (0..4_usize, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(at, ready, cordoned)| Event::Node { at, ready, cordoned }),
        4 => (0..4_usize).prop_map(|at| Event::Seen { at }),
        1 => any::<bool>().prop_map(Event::Enabled),
        3 => prop_oneof![1..10_i64, 10..60_i64, 100..200_i64].prop_map(Event::Pass),
        8 => (0..6_usize, 0..4_u8).prop_map(|(nth, step)| Event::Work { nth, step }),
    ]
}

/// The nodes as they really are, which the control plane learns late.
#[derive(Debug, Default)]
struct Truth {
    /// By node the job that holds it and until when.
    held: BTreeMap<String, (String, jiff::Timestamp)>,
    closed: BTreeSet<String>,
}

const NODES: [&str; 4] = ["node-a", "node-b", "node-c", "node-d"];

impl Truth {
    fn see(&self, lab: &mut Lab, at: usize) {
        let name = NODES[at];
        let mut seen = match self.held.get(name) {
            Some((job, _)) => held_node(name, job),
            None => node(name),
        };
        if self.closed.contains(name) {
            seen.ready = "Unknown".into();
        }
        lab.see(Body::Node(seen));
    }

    /// Nodes but this one that are really open.
    fn others_open(&self, but: &str) -> usize {
        let open =
            |name: &&&str| **name != but && !self.closed.contains(**name) && !self.held.contains_key(**name);
        NODES.iter().filter(open).count()
    }

    /// An agent that reads, as every agent does, whether another node is open at the moment in which it acts. That no other
    /// one is held it believes: that is the control plane's to know.
    fn work(&mut self, lab: &mut Lab, nth: usize, step: u8) {
        let Some(job) = lab.jobs.values().nth(nth).map(|job| job.doc.clone()) else { return };
        let action = lab.plan_of(&job).action.body().cloned();
        let Some(ActionBody::RestartPod(action)) = action else { return };
        let id = job.id.to_string();
        let signed = v1::Job { job_id: id.clone(), agent_id: job.agent_id.to_string(), ..Default::default() };
        let taken = job.state == JobState::Running;
        match step {
            0 => _ = lab.report(&signed, Phase::Accepted, "", ""),
            // It begins in time, and its taint stays no longer than it may.
            1 if taken && action.avoid_node && self.others_open(&action.node) == 0 => {
                let reason = "expected another node that takes its pod, found none";
                lab.report(&signed, Phase::Refused, "precondition_failed", reason);
            }
            1 if taken && action.avoid_node && job.applied_at.is_none() && lab.now < job.expires_at => {
                let used = i64::from(lab.settings.act_ms) / 1_000 * 2 + 30;
                let until = lab.now + jiff::SignedDuration::from_secs(used);
                self.held.insert(action.node, (id, until));
                lab.report(&signed, Phase::Applied, "", "");
            }
            2 if taken => {
                self.held.retain(|_, (by, _)| *by != id);
                lab.report(&signed, Phase::Failed, "", "the replacement is not ready");
            }
            // Let go, and the report is lost; or the agent is started anew and lets go.
            3 => self.held.retain(|_, (by, _)| *by != id),
            _ => {}
        }
    }

    fn happen(&mut self, lab: &mut Lab, event: &Event) {
        match *event {
            Event::Pod { of, broken } => {
                let (set, place) = (format!("svc{of}-1"), NODES[of]);
                let body =
                    if broken { crashing(pod(&set, "0", place), 4) } else { fresh(lab, &set, "0", place) };
                lab.see(Body::Pod(body));
            }
            Event::Node { at, ready, cordoned } => {
                if ready && !cordoned {
                    self.closed.remove(NODES[at]);
                } else {
                    self.closed.insert(NODES[at].to_owned());
                }
                self.see(lab, at);
            }
            Event::Seen { at } => self.see(lab, at),
            Event::Enabled(on) => {
                let cluster = lab.clusters[CLUSTER].clone();
                let changes = if on {
                    remediation::enable(&cluster, &[], Some(Mode::Act), "operator", lab.now)
                } else {
                    remediation::disable(&cluster, &[], false, "operator", lab.now)
                };
                let changes = changes.unwrap();
                lab.commit(changes);
            }
            Event::Pass(seconds) => lab.pass(seconds),
            Event::Work { nth, step } => self.work(lab, nth, step),
        }
        let now = lab.now;
        self.held.retain(|_, (_, until)| now < *until);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn never_is_more_than_one_node_held_and_never_the_last_open_one(
        events in proptest::collection::vec(event(), 10..90)
    ) {
        let mut lab = broken_before_enabling(3);
        lab.settings.attempts = 50;
        lab.settings.backoff_base_ms = 1_000;
        lab.settings.backoff_max_ms = 2_000;
        lab.settings.storm.incidents = 1_000;
        lab.settings.storm.min_nodes = 100;
        enable(&mut lab);
        let mut truth = Truth::default();
        for event in &events {
            let before = truth.held.len();
            truth.happen(&mut lab, event);
            prop_assert!(truth.held.len() <= 1, "{:?}", truth.held);
            if truth.held.len() > before {
                prop_assert!(truth.others_open("") > 0, "{truth:?}");
            }
            // What is lost after an order went out is the agent's to read; the control plane knows of another one before.
            for job in lab.settle() {
                let action = restart_of(&job);
                let known = lab.snapshot();
                let inventory = known.inventory(&Scope::Cluster(CLUSTER.into())).unwrap();
                let others = inventory.nodes.values().filter(|n| n.meta.name != action.node && n.takes_new_pods());
                prop_assert!(!action.avoid_node || others.count() > 0, "{action:?}");
            }
        }
    }
}

/// A sibling that is ready between two crashes, or only since a moment ago, is no witness against a node.
#[test]
fn a_sibling_between_two_crashes_is_not_well() {
    for (restarts, ready_for, crashed) in [(2, 3, 43), (9, 31, 71), (2, 590, 595), (1, 60, 70)] {
        let mut lab = crash_loop();
        let mut other = pod("web-1", "1", "node-b");
        other.ready_since_us = nimbus_protocol::to_micros(at(-ready_for));
        let c = &mut other.containers[0];
        (c.restart_count, c.last_reason, c.last_exit_code) = (restarts, "Error".into(), 1);
        c.last_finished_at_us = nimbus_protocol::to_micros(at(-crashed));
        lab.see(Body::Pod(other));
        let held = lab.settle().iter().any(|job| restart_of(job).avoid_node);
        assert!(!held, "{restarts} {ready_for}");
        if restarts > 1 {
            let incident = lab.open(IncidentKind::PodCrashLoop);
            assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
            assert!(incident.reason.contains("all 2 of its running pods fail"), "{}", incident.reason);
        }
    }
}

#[test]
fn a_sibling_that_was_well_for_longer_than_the_other_runs_is_a_witness() {
    let mut lab = crash_loop();
    let mut other = fresh(&lab, "web-1", "1", "node-b");
    // It crashed once, long ago.
    other.containers[0].restart_count = 1;
    other.containers[0].last_finished_at_us = nimbus_protocol::to_micros(at(-3_600));
    lab.see(Body::Pod(other));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert!(incident.reason.contains("is seen in"), "{}", incident.reason);
    lab.pass(31);
    let jobs = lab.settle();
    assert!(jobs.len() == 1 && restart_of(&jobs[0]).avoid_node, "{jobs:?}");
}

/// The failing one runs for 100 s: one that is ready for a minute tells no more than that.
#[test]
fn a_witness_has_to_outlast_the_run_of_the_one_that_fails() {
    let mut lab = crash_loop();
    let mut failing = crashing(pod("web-1", "0", "node-a"), 4);
    failing.containers[0].last_started_at_us = nimbus_protocol::to_micros(at(-140));
    failing.containers[0].last_finished_at_us = nimbus_protocol::to_micros(at(-40));
    lab.see(Body::Pod(failing));
    let mut other = pod("web-1", "1", "node-b");
    other.ready_since_us = nimbus_protocol::to_micros(at(-60));
    lab.see(Body::Pod(other));
    assert!(lab.settle().iter().all(|job| !restart_of(job).avoid_node));
}

/// What the clock here says after a jump tells nothing of times that the cluster's clock says.
#[test]
fn after_a_jump_of_the_clock_a_sibling_between_two_crashes_is_still_not_well() {
    for by in [7_200, -7_200] {
        let mut lab = crash_loop();
        let mut other = pod("web-1", "1", "node-b");
        other.ready_since_us = nimbus_protocol::to_micros(at(-20));
        let c = &mut other.containers[0];
        (c.restart_count, c.last_reason, c.last_exit_code) = (3, "Error".into(), 1);
        c.last_finished_at_us = nimbus_protocol::to_micros(at(-50));
        lab.see(Body::Pod(other));
        let mut failing = crashing(pod("web-1", "0", "node-a"), 4);
        failing.containers[0].last_finished_at_us = nimbus_protocol::to_micros(at(-5));
        lab.see(Body::Pod(failing));
        let by = SignedDuration::from_secs(by);
        lab.now += by;
        lab.world.clock_jumped(by, lab.now);
        assert!(lab.settle().iter().all(|job| !restart_of(job).avoid_node), "{by:?}");
    }
}
