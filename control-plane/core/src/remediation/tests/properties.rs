//! Property tests over random histories: the independent checker judges every job that is dispatched.

use std::collections::BTreeMap;

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};
use proptest::prelude::*;

use super::*;
use crate::approval::Decision;
use crate::check;
use crate::model::*;
use crate::remediation;
use crate::remedies::NIMBUS;
use crate::testing::ActionBody;
use crate::testing::lab::agent_id;

const OWNERS: [&str; 4] = ["a", "b", "c", "d"];

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    Pod { owner: usize, n: u32, node: bool, state: u8 },
    Rollout { owner: usize, state: u8 },
    Node { name: bool, ready: bool, closed: bool },
    File { n: u8, state: u8 },
    Connected(bool),
    Listing(bool),
    Mode(u8),
    Paused { fleet: bool, on: bool },
    Pass(i64),
    Report { nth: usize, phase: u8 },
    Answer(bool),
    Accept,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4_usize, 0..6_u32, any::<bool>(), 0..6_u8)
            .prop_map(|(owner, n, node, state)| Event::Pod { owner, n, node, state }),
        2 => (0..4_usize, 0..3_u8).prop_map(|(owner, state)| Event::Rollout { owner, state }),
        1 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(name, ready, closed)| Event::Node { name, ready, closed }),
        2 => (0..3_u8, 0..4_u8).prop_map(|(n, state)| Event::File { n, state }),
        1 => (0..4_u8).prop_map(|n| Event::Connected(n > 0)),
        1 => (0..4_u8).prop_map(|n| Event::Listing(n == 0)),
        1 => (0..6_u8).prop_map(Event::Mode),
        1 => (any::<bool>(), 0..3_u8).prop_map(|(fleet, n)| Event::Paused { fleet, on: n == 0 }),
        4 => prop_oneof![1..5_i64, 5..40_i64, 100..700_i64].prop_map(Event::Pass),
        8 => (0..8_usize, 0..7_u8).prop_map(|(nth, phase)| Event::Report { nth, phase }),
        3 => any::<bool>().prop_map(Event::Answer),
        1 => Just(Event::Accept),
    ]
}

fn start() -> Lab {
    let mut lab = Lab::new();
    // Loose enough to reach many states, tight enough that every cap is met.
    lab.settings.caps.per_cluster = 3;
    lab.settings.caps.per_namespace = 2;
    lab.settings.caps.fleet = 3;
    lab.settings.storm.min_pods = 12;
    lab.settings.storm.incidents = 6;
    for owner in OWNERS {
        lab.deploy(owner, 4, 1);
        lab.see(Body::Deployment(limited(deployment(owner, 4, 1))));
    }
    lab
}

/// Its template says a memory limit, so that one that is killed for it may have it raised.
fn limited(mut seen: v1::Deployment) -> v1::Deployment {
    let path = "containers[app].resources.limits.memory".to_owned();
    seen.template.push(v1::TemplateFact { path, value: "64Mi".to_owned(), digest: Vec::new() });
    seen
}

fn happen(lab: &mut Lab, event: &Event) {
    match *event {
        Event::Pod { owner, n, node, state } => {
            let name = OWNERS[owner];
            let place = if node { "node-a" } else { "node-b" };
            let set = format!("{name}-1");
            let base = pod(&set, &n.to_string(), place);
            let body = match state {
                0 => gone("Pod", &format!("pod-{set}-{n}")),
                1 | 2 => Body::Pod(crashing(base, 4)),
                3 => Body::Pod(running_again(base, 4)),
                4 => Body::Pod(out_of_memory(base, 4)),
                _ => Body::Pod(fresh(lab, &set, &n.to_string(), place)),
            };
            lab.see(body);
        }
        Event::Rollout { owner, state } => {
            let name = OWNERS[owner];
            lab.see(Body::ReplicaSet(replica_set(name, 2, 0)));
            lab.see(Body::Deployment(match state {
                0 => limited(deployment(name, 4, 1)),
                1 => stuck(name, 4, 2),
                _ => v1::Deployment {
                    progressing_status: "True".into(),
                    progressing_reason: "ReplicaSetUpdated".into(),
                    ..stuck(name, 4, 2)
                },
            }));
        }
        Event::Node { name, ready, closed } => {
            let ready = if ready { "True" } else { "Unknown" };
            let name = if name { "node-a" } else { "node-b" };
            lab.see(Body::Node(v1::Node { ready: ready.into(), unschedulable: closed, ..node(name) }));
        }
        Event::File { n, state } => {
            let current = match state {
                0 => file_state("absent", 0, 0),
                content => file_state("file", 0o644, content),
            };
            let path = format!("/srv/etc/{n}");
            lab.see_host(Body::File(file(&path, file_state("file", 0o644, 1), current)));
        }
        Event::Connected(true) => lab.connected.insert(agent_id()),
        Event::Connected(false) => lab.connected.clear(),
        Event::Listing(begins) => {
            if begins {
                lab.see(begin("Node", 1));
            } else {
                for name in ["node-a", "node-b"] {
                    lab.see(Body::Node(node(name)));
                }
                lab.see(end("Node", 1));
            }
        }
        Event::Mode(n) => {
            let cluster = lab.clusters[CLUSTER].clone();
            let changes = match n {
                0 => remediation::disable(&cluster, &[], true, "operator", lab.now),
                1 => remediation::disable(&cluster, &[], false, "operator", lab.now),
                2 => remediation::enable(&cluster, &[], Some(Mode::Recommend), "operator", lab.now),
                _ => remediation::enable(&cluster, &[], Some(Mode::Act), "operator", lab.now),
            };
            let changes = changes.unwrap();
            lab.commit(changes);
        }
        Event::Paused { fleet, on: true } => _ = paused::pause(lab, fleet, ""),
        Event::Paused { fleet, on: false } => _ = paused::resume(lab, fleet),
        Event::Pass(seconds) => lab.pass(seconds),
        Event::Report { nth, phase } => report(lab, nth, phase),
        Event::Answer(yes) => {
            if lab.approvals.values().any(|a| a.doc.state == ApprovalState::Pending) {
                let decision = if yes { Decision::Approve } else { Decision::Deny };
                // A request whose time is over by now may not be answered any more; that is its own test.
                let _ = lab.decide("operator", decision, "");
            }
        }
        Event::Accept => {
            let drift =
                lab.incidents.values().find(|i| i.doc.kind == IncidentKind::FileDrift && i.doc.is_open());
            if let Some(id) = drift.map(|i| i.doc.id) {
                let mut ids = lab.ids.clone();
                let accepted =
                    remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids);
                lab.ids = ids;
                if let Ok(changes) = accepted {
                    lab.commit(changes);
                }
            }
        }
    }
}

fn report(lab: &mut Lab, nth: usize, phase: u8) {
    let Some(job) = lab.jobs.values().nth(nth).map(|j| j.doc.clone()) else { return };
    let job =
        v1::Job { job_id: job.id.to_string(), agent_id: job.agent_id.to_string(), ..Default::default() };
    let (phase, code) = match phase {
        0 => (Phase::Accepted, ""),
        1 => (Phase::Applied, ""),
        2 => (Phase::Succeeded, ""),
        3 => (Phase::Failed, ""),
        4 => (Phase::Refused, "precondition_failed"),
        5 => (Phase::Refused, "stale_epoch"),
        _ => (Phase::Unknown, ""),
    };
    lab.report(&job, phase, code, "said so");
}

/// Counted by hand, from the jobs alone.
fn caps_hold(lab: &Lab) {
    let flying: Vec<&Job> = lab.jobs.values().map(|j| &j.doc).filter(|j| !j.state.is_final()).collect();
    let mut owners: BTreeMap<String, u32> = BTreeMap::new();
    let mut spaces: BTreeMap<String, u32> = BTreeMap::new();
    let mut nodes: BTreeMap<String, u32> = BTreeMap::new();
    let mut incidents: BTreeMap<String, u32> = BTreeMap::new();
    for job in &flying {
        *incidents.entry(job.incident_id.to_string()).or_default() += 1;
        let subject = job.workload.as_ref().map_or(job.object.name(), |o| o.uid()).to_owned();
        *owners.entry(subject).or_default() += 1;
        *spaces.entry(job.object.namespace().to_owned()).or_default() +=
            u32::from(job.scope.cluster_uid().is_some());
        if let Some(ActionBody::RestartPod(v1::RestartPod { node, .. })) = lab.plan_of(job).action.body() {
            *nodes.entry(node.clone()).or_default() += 1;
        }
    }
    let caps = &lab.settings.caps;
    assert!(flying.len() <= caps.fleet as usize);
    assert!(owners.values().all(|n| *n <= caps.per_owner), "{owners:?}");
    assert!(spaces.values().all(|n| *n <= caps.per_namespace), "{spaces:?}");
    assert!(nodes.values().all(|n| *n <= caps.per_node), "{nodes:?}");
    assert!(incidents.values().all(|n| *n == 1), "{incidents:?}");
}

/// Every step, and every step once more without anything to do.
fn work(lab: &mut Lab) {
    for _ in 0..3 {
        lab.expire();
        assert!(!lab.expire(), "expire twice");
        lab.diagnose();
        assert!(!lab.diagnose(), "diagnose twice");
        lab.plan();
        assert!(
            !lab.plan(),
            "plan twice: {:#?}",
            lab.incidents.values().map(|i| (&i.doc.id, &i.doc.state, &i.doc.reason)).collect::<Vec<_>>()
        );
        let in_storm = lab.incidents.values().any(|i| i.doc.kind == IncidentKind::Storm && i.doc.is_open());
        let known =
            |kinds: &[ObjectKind]| lab.snapshot().known(&Scope::Cluster(CLUSTER.into()), kinds).is_ok();
        // A restart needs to know everything, a rollback not the nodes, a cordon nothing else.
        let nodes = known(&[ObjectKind::Node]);
        let (all, rollout) = (
            known(ObjectKind::ALL),
            known(&[ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Pod]),
        );
        let with_nodes = rollout && nodes;
        let autoscalers = known(&[ObjectKind::HorizontalPodAutoscaler, ObjectKind::StatefulSet]);
        let claims = known(&[ObjectKind::PersistentVolumeClaim, ObjectKind::StorageClass]);
        let certificates = known(&[ObjectKind::Certificate, ObjectKind::Issuer, ObjectKind::ClusterIssuer]);
        let mode = lab.clusters[CLUSTER].doc.mode;
        let paused = !lab.pauses.is_empty();
        for job in lab.dispatch() {
            let in_cluster = !job.cluster_uid.is_empty();
            let is_known = match crate::testing::action_of(&job) {
                Some(ActionBody::RestartPod(_)) => all,
                Some(ActionBody::RollbackDeployment(_)) => rollout,
                Some(ActionBody::RaiseMemoryLimit(_)) => with_nodes,
                Some(ActionBody::UncordonNode(_)) => nodes,
                Some(ActionBody::ExpandVolume(_)) => claims,
                Some(ActionBody::RenewCertificate(_)) => certificates,
                Some(ActionBody::RaiseAutoscalerMaximum(_) | ActionBody::ScaleWorkload(_)) => {
                    with_nodes && autoscalers
                }
                Some(
                    ActionBody::RestoreFile(_)
                    | ActionBody::AcceptBaseline(_)
                    | ActionBody::WithdrawBaseline(_)
                    | ActionBody::RestartUnit(_),
                ) => true,
                None => false,
            };
            let by_rule = job.approvals.iter().any(|a| a.by.starts_with("policy:"));
            let may = match mode {
                Mode::Off | Mode::Observe => false,
                Mode::Recommend => !by_rule,
                Mode::Act => true,
            };
            assert!(is_known && (!in_cluster || may), "{job:?}");
            assert!(!paused, "{job:?}");
            assert!(!in_storm || !by_rule, "automatic in a storm: {job:?}");
            assert_eq!(job.approvals.len(), usize::from(job.requested_by == NIMBUS || job.needs_approval));
            for approval in &job.approvals {
                assert_eq!(approval.plan_digest, job.plan_digest);
                assert_ne!(approval.by, job.requested_by);
            }
        }
        assert!(lab.dispatch().is_empty(), "dispatch twice");
        caps_hold(lab);
    }
}

/// No approval carries two jobs that took effect, none is given by its requester, every plan says the same twice.
fn history_holds(lab: &Lab) {
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    for job in lab.jobs.values().map(|j| &j.doc) {
        let refused = job.state == JobState::Refused;
        if let Some(id) = job.approval_id.as_ref().filter(|_| !refused) {
            *effects.entry(id.to_string()).or_default() += 1;
            let approval = &lab.approvals[&id.to_string()].doc;
            assert_eq!(approval.plan_digest, job.plan_digest);
            assert_ne!(approval.decided_by.as_deref(), Some(approval.requested_by.as_str()));
        }
        let plan = lab.plan_of(job);
        assert!(!plan.needs_approval || job.approval_id.is_some());
        assert_eq!(plan.digest, plan.computed_digest());
    }
    assert!(effects.values().all(|n| *n == 1), "{effects:?}");
    let signed = lab.audited("job.signed");
    assert_eq!(signed, lab.jobs.len(), "each job has its row");
    assert_eq!(lab.audited("incident.opened"), lab.incidents.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_invariants(events in proptest::collection::vec(event(), 5..80)) {
        let mut lab = start();
        for event in &events {
            happen(&mut lab, event);
            work(&mut lab);
        }
        history_holds(&lab);
    }

    #[test]
    fn any_changed_field_of_a_plan_is_another_digest_and_is_judged(which in 0..6_usize) {
        let mut lab = crash_loop();
        lab.diagnose();
        lab.plan();
        let plan = lab.plans.values().next().unwrap().doc.clone();
        prop_assert_eq!(check::check(&plan, &lab.snapshot(), lab.now), []);
        let mut other = plan.clone();
        let Some(ActionBody::RestartPod(mut action)) = other.action.body().cloned() else { unreachable!() };
        match which {
            0 => action.pod.as_mut().unwrap().uid.push('x'),
            1 => action.owner.as_mut().unwrap().uid.push('x'),
            2 => action.node.push('x'),
            3 => action.avoid_node = !action.avoid_node,
            4 => action.container.push('x'),
            _ => action.min_restarts += 1,
        }
        other.action = ActionBody::RestartPod(action).into();
        prop_assert_ne!(other.computed_digest(), plan.digest.clone());
        let found = check::check(&other, &lab.snapshot(), lab.now);
        prop_assert!(found.iter().any(|v| v.invariant == 2), "{:?}", found);
    }
}
