//! Tests of the independent checker: for each invariant, a change that violates it and the number that the checker must
//! name.

use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::*;
use crate::testing::ActionBody;
use crate::testing::lab::{Lab, agent_id};
use crate::testing::objects::*;

/// A crash loop whose plan is made and could go out.
fn ready() -> (Lab, Plan) {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    (lab, plan)
}

/// The same, with the template well on node-b: node-a is suspect and would be held back.
fn suspect() -> (Lab, Plan) {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    lab.diagnose();
    lab.plan();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    (lab, plan)
}

/// A rollback that a person approved.
fn approved() -> (Lab, Plan) {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    lab.see(Body::Deployment(stuck("web", 3, 7)));
    lab.see(Body::ReplicaSet(replica_set("web", 7, 0)));
    lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 6)));
    lab.diagnose();
    lab.plan();
    lab.decide("operator", crate::approval::Decision::Approve, "").unwrap();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    (lab, plan)
}

fn numbers(lab: &Lab, plan: &Plan) -> Vec<u8> {
    let mut found: Vec<u8> =
        check::check(plan, &lab.snapshot(), lab.now).iter().map(|v| v.invariant).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn job(lab: &Lab, plan: &Plan, state: JobState) -> Job {
    let mut other = lab.clone();
    let job = other.dispatch().remove(0);
    let job = other.jobs[&job.job_id].doc.clone();
    let incident_id = format!("inc_{:032x}", 99).parse().unwrap();
    Job { state, incident_id, plan_id: plan.id, ..job }
}

#[test]
fn the_hour_of_the_agent_that_acts_has_room() {
    let (mut lab, plan) = ready();
    let other = job(&lab, &plan, JobState::Succeeded);
    let Some(Workload::Deployment(of)) = other.workload.clone() else { panic!("{:?}", other.workload) };
    let done = Job {
        workload: Some(Workload::Deployment(KubeRef { uid: "elsewhere".into(), ..of })),
        applied_at: Some(lab.now),
        finished_at: Some(lab.now),
        ..other
    };
    with_job(&mut lab, done);
    let cases: [(Option<u32>, &[u8]); 4] = [(None, &[]), (Some(2), &[]), (Some(1), &[4]), (Some(0), &[4])];
    for (budget, expected) in cases {
        lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = budget;
        assert_eq!(numbers(&lab, &plan), expected, "{budget:?}");
    }
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(1);
    lab.pass(3_600);
    assert!(numbers(&lab, &plan).is_empty(), "an hour later");
}

fn rename(job: &mut Job, change: impl FnOnce(&mut KubeRef)) {
    let ObjectRef::Kubernetes(object) = &mut job.object else { panic!("{:?}", job.object) };
    change(object);
}

fn with_job(lab: &mut Lab, job: Job) {
    lab.jobs.insert(job.id.to_string(), Versioned { version: 1, doc: job });
}

#[test]
fn a_fine_plan_breaks_nothing() {
    for (lab, plan) in [ready(), suspect(), approved()] {
        assert_eq!(check::check(&plan, &lab.snapshot(), lab.now), []);
    }
}

#[test]
fn each_change_of_a_restart_names_its_invariant() {
    type Change = fn(&mut Lab, &mut Plan);
    let table: &[(&str, u8, Change)] = &[
        ("another digest", 2, |_, plan| plan.digest = "00".into()),
        ("the pod is gone", 3, |lab, _| _ = lab.see(gone("Pod", "pod-web-1-0"))),
        ("the pod is well", 3, |lab, _| _ = lab.see(Body::Pod(pod("web-1", "0", "node-a")))),
        ("the pod is elsewhere", 3, |lab, _| {
            lab.see(Body::Pod(crashing(pod("web-1", "0", "node-b"), 4)));
        }),
        ("too few restarts", 3, |lab, _| _ = lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 2)))),
        ("it runs right now", 3, |lab, _| {
            lab.see(Body::Pod(running_again(pod("web-1", "0", "node-a"), 4)));
        }),
        ("a listing is under way", 3, |lab, _| _ = lab.see(begin("ReplicaSet", 1))),
        ("the Deployment is gone", 9, |lab, _| _ = lab.see(gone("Deployment", "dep-web"))),
        ("the Deployment is paused", 9, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { paused: true, ..deployment("web", 2, 1) }));
        }),
        ("the pod asks not to be disturbed", 9, |lab, _| {
            let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
            pod.facts.as_mut().unwrap().do_not_disturb = vec!["karpenter.sh/do-not-disrupt: true".into()];
            lab.see(Body::Pod(pod));
        }),
        ("whether it may be disturbed is not known", 9, |lab, _| {
            lab.see(Body::Pod(v1::Pod { facts: None, ..crashing(pod("web-1", "0", "node-a"), 4) }));
        }),
        ("its container finishes", 3, |lab, _| {
            let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
            pod.containers[0].last_exit_code = 0;
            pod.containers[0].last_reason = "Completed".into();
            lab.see(Body::Pod(pod));
        }),
        ("every pod of it fails, on two nodes", 3, |lab, _| {
            lab.see(Body::Pod(crashing(pod("web-1", "1", "node-b"), 4)));
        }),
        ("the cluster only observes", 12, |lab, _| {
            lab.clusters.get_mut(CLUSTER).unwrap().doc.mode = Mode::Observe;
        }),
        ("the rule is not enabled", 12, |lab, _| {
            lab.clusters.get_mut(CLUSTER).unwrap().doc.enabled = vec![ActionKind::RollbackDeployment];
        }),
        ("the agent does not allow it", 12, |lab, _| {
            lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions =
                vec!["restore_file".into()];
        }),
        ("the agent is revoked", 12, |lab, _| {
            lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.revoked_at = Some(lab.now);
        }),
        ("the incident is silenced", 10, |lab, plan| {
            let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
            incident.doc.state = IncidentState::Silenced;
        }),
        ("a storm is declared", 6, |lab, plan| {
            let mut storm = lab.incidents[&plan.incident_id.to_string()].clone();
            storm.doc.id = format!("inc_{:032x}", 98).parse().unwrap();
            storm.doc.kind = IncidentKind::Storm;
            storm.doc.key = "storm".into();
            lab.incidents.insert("storm".into(), storm);
        }),
        ("a storm rages unseen", 6, |lab, _| {
            lab.deploy("api", 20, 1);
            for n in 0..8 {
                lab.see(Body::Pod(crashing(pod("api-1", &n.to_string(), "node-b"), 1)));
            }
        }),
    ];
    for (what, invariant, change) in table {
        let (mut lab, mut plan) = ready();
        change(&mut lab, &mut plan);
        assert_eq!(numbers(&lab, &plan), [*invariant], "{what}");
    }
}

/// The pod of [`suspect`] with other facts.
fn suspect_pod(change: impl FnOnce(&mut v1::PodFacts)) -> v1::Pod {
    let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
    change(pod.facts.as_mut().unwrap());
    pod
}

#[test]
fn a_node_is_held_back_only_where_nothing_speaks_against_it() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("no other node is schedulable", |lab| {
            lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-b") }));
        }),
        ("the other has a taint", |lab| {
            let mut other = node("node-b");
            let taint = v1::Taint { key: "gpu".into(), value: String::new(), effect: "NoSchedule".into() };
            other.facts.as_mut().unwrap().taints = vec![taint];
            lab.see(Body::Node(other));
        }),
        ("what the other offers is not known", |lab| {
            lab.see(Body::Node(v1::Node { facts: None, ..node("node-b") }));
        }),
        ("the node is of the control plane", |lab| {
            lab.see(Body::Node(v1::Node { control_plane: true, ..node("node-a") }));
        }),
        ("the node is cordoned", |lab| {
            lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-a") }));
        }),
        ("kured is at work on the node", |lab| {
            lab.see(Body::Node(marked_node("node-a", "kured: annotation x")));
        }),
        ("the autoscaler removes the other", |lab| {
            lab.see(Body::Node(marked_node("node-b", "cluster autoscaler: taint x")));
        }),
        ("a third node is held", |lab| _ = lab.see(Body::Node(held_node("node-c", "job_1")))),
        ("an older version cordoned a third", |lab| {
            lab.see(Body::Node(v1::Node {
                unschedulable: true,
                cordoned_by: "job_1".into(),
                ..node("node-c")
            }));
        }),
        ("what its pod refers to was just written", |lab| {
            let mut refers = crashing(pod("web-1", "0", "node-a"), 4);
            refers.facts.as_mut().unwrap().config_maps = vec!["settings".into()];
            lab.see(Body::Pod(refers));
            let at = nimbus_protocol::to_micros(lab.now);
            lab.see(Body::ConfigMap(config_map("settings", "kubectl-edit", at)));
        }),
        ("the template is well on the node too", |lab| {
            lab.see(Body::Pod(pod("web-1", "2", "node-a")));
        }),
        ("it fails elsewhere too", |lab| {
            lab.see(Body::Node(node("node-c")));
            lab.see(Body::Pod(crashing(pod("web-1", "2", "node-c"), 4)));
        }),
        ("the template is well nowhere else", |lab| _ = lab.see(gone("Pod", "pod-web-1-1"))),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

#[test]
fn a_node_is_held_back_only_where_its_pod_is_as_those_that_are_well_and_fits_elsewhere() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("it is not known what all its pod refers to", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.references_complete = false)));
        }),
        ("its pod refers to a Secret, and those are not looked at", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.secrets = vec!["keys".into()])));
        }),
        ("the other does not fit the pod's affinity", |lab| {
            let rack = v1::NodeRequirement { key: "rack".into(), operator: "Exists".into(), values: vec![] };
            let term = v1::NodeTerm { requirements: vec![rack] };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().node_terms = vec![term];
            })));
        }),
        ("a word of the pod's affinity is not known", |lab| {
            let near = v1::NodeRequirement {
                key: "metadata.name".into(),
                operator: "Near".into(),
                values: vec!["node-b".into()],
            };
            let term = v1::NodeTerm { requirements: vec![near] };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().node_terms = vec![term];
            })));
        }),
        ("the other has a taint, and a word of the toleration is not known", |lab| {
            let mut other = node("node-b");
            let taint = v1::Taint { key: "gpu".into(), value: "1".into(), effect: "NoSchedule".into() };
            other.facts.as_mut().unwrap().taints = vec![taint];
            lab.see(Body::Node(other));
            let toleration = v1::Toleration {
                key: "gpu".into(),
                operator: "Gt".into(),
                value: "1".into(),
                effect: String::new(),
            };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().tolerations = vec![toleration];
            })));
        }),
        ("the other has no room", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.placement.as_mut().unwrap().cpu_milli = i64::MAX)));
        }),
        ("what a pod of the other asks for is not known", |lab| {
            lab.see(Body::Pod(v1::Pod { facts: None, ..pod("cache-1", "0", "node-b") }));
        }),
        ("its image's name stands for another image where it is well", |lab| {
            let mut other = pod("web-1", "1", "node-b");
            other.containers[0].image_id = "sha256:2".into();
            lab.see(Body::Pod(other));
        }),
        ("which image it runs is not known", |lab| {
            let mut pod = suspect_pod(|_| ());
            pod.containers[0].image_id = String::new();
            lab.see(Body::Pod(pod));
        }),
        ("what its pod refers to was written after the others started", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.config_maps = vec!["settings".into()])));
            lab.see(Body::ConfigMap(config_map(
                "settings",
                "ci",
                nimbus_protocol::to_micros(crate::testing::at(-5 * 60)),
            )));
        }),
        ("what its pod refers to is not there", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.config_maps = vec!["settings".into()])));
        }),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

#[test]
fn with_nobody_connected_nothing_is_seen_and_nobody_can_act() {
    let (mut lab, plan) = ready();
    lab.connected.clear();
    assert_eq!(numbers(&lab, &plan), [3, 12]);
    // Connected, and no longer the one that watches.
    let (mut lab, plan) = ready();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.leading = false;
    assert_eq!(numbers(&lab, &plan), [3, 12]);
}

#[test]
fn jobs_in_flight_count_at_every_level() {
    type Change = fn(&mut Job);
    let table: &[(&str, Change)] =
        &[("object", |job| job.workload = None), ("workload", |job| rename(job, |o| o.name.push('x')))];
    for (level, change) in table {
        let (mut lab, plan) = ready();
        let mut other = job(&lab, &plan, JobState::Running);
        change(&mut other);
        with_job(&mut lab, other);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert!(found.iter().any(|v| v.invariant == 4 && v.text.contains(level)), "{level}: {found:?}");
    }
    for (level, cap) in [("namespace", 5), ("node", 2), ("cluster or host", 10), ("fleet", 50)] {
        for (count, broken) in [(cap - 1, false), (cap, true)] {
            let (mut lab, plan) = ready();
            let template = job(&lab, &plan, JobState::Dispatched);
            for n in 0..count {
                let mut other = template.clone();
                other.id = format!("job_{n:032x}").parse().unwrap();
                let owner = KubeRef::new("apps/v1", "Deployment", "shop", "web", &format!("owner-{n}"));
                other.workload = Some(Workload::of(owner));
                rename(&mut other, |o| o.uid = format!("pod-{n}"));
                if level != "namespace" {
                    rename(&mut other, |o| o.namespace = format!("ns-{n}"));
                }
                if level == "fleet" {
                    other.scope = Scope::Cluster(format!("cluster-{n}"));
                }
                if level != "node" {
                    let mut elsewhere = plan.clone();
                    elsewhere.id = format!("pln_{n:032x}").parse().unwrap();
                    let Some(ActionBody::RestartPod(action)) = elsewhere.action.body().cloned() else {
                        panic!()
                    };
                    let action = v1::RestartPod { node: format!("node-{n}"), avoid_node: false, ..action };
                    elsewhere.action = ActionBody::RestartPod(action).into();
                    other.plan_id = elsewhere.id;
                    lab.plans.insert(elsewhere.id.to_string(), Versioned { version: 1, doc: elsewhere });
                }
                with_job(&mut lab, other);
            }
            let found = check::check(&plan, &lab.snapshot(), lab.now);
            let hit = found.iter().any(|v| v.invariant == 4 && v.text.contains(level));
            assert_eq!(hit, broken, "{count} in one {level}: {found:?}");
            assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree on {level}");
        }
    }
}

#[test]
fn one_node_of_a_cluster_is_held_at_a_time_and_the_planner_knows_it_too() {
    let closing = |plan: &Plan, node: &str, avoid_node| {
        let Some(ActionBody::RestartPod(action)) = plan.action.body().cloned() else { panic!() };
        let action = v1::RestartPod { node: node.into(), avoid_node, ..action };
        Plan { action: ActionBody::RestartPod(action).into(), ..plan.clone() }
    };
    let unreadable = |plan: &Plan| Plan { id: format!("pln_{:032x}", 9).parse().unwrap(), ..plan.clone() };
    let table = [
        ("another node is being held", Some(("node-z", true)), true),
        ("the same node is being held", Some(("node-a", true)), true),
        ("a pod of another node is replaced without holding it", Some(("node-z", false)), false),
        ("what the other job does is not known", None, true),
    ];
    for (what, other, broken) in table {
        let (mut lab, plan) = suspect();
        let elsewhere = unreadable(&plan);
        let mut job = job(&lab, &elsewhere, JobState::Running);
        rename(&mut job, |o| (o.uid, o.namespace) = ("pod-z".into(), "elsewhere".into()));
        job.workload = Some(Workload::of(KubeRef::new("apps/v1", "Deployment", "elsewhere", "z", "owner-z")));
        job.incident_id = format!("inc_{:032x}", 9).parse().unwrap();
        with_job(&mut lab, job);
        lab.settings.caps.per_node = 9;
        if let Some((node, avoid)) = other {
            let doc = closing(&elsewhere, node, avoid);
            lab.plans.insert(doc.id.to_string(), Versioned { version: 1, doc });
        }
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        let hit = found.iter().any(|v| v.invariant == 7 && v.text.contains("holds a node"));
        assert_eq!(hit, broken, "{what}: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {what}");
    }
}

/// A job whose report was lost may hold its node until its taint's time is over; a plan that comes first holds one soon.
#[test]
fn what_may_still_hold_a_node_or_soon_will_counts_too() {
    for (state, node, since, broken) in [
        (JobState::Expired, "node-z", 0, true),
        (JobState::Unknown, "node-z", 119, true),
        (JobState::Unknown, "node-z", 120, false),
        // It is the same node, and no second one.
        (JobState::Unknown, "node-a", 0, false),
        (JobState::Failed, "node-z", 0, false),
        (JobState::Succeeded, "node-z", 0, false),
    ] {
        let (mut lab, plan) = suspect();
        let mut job = job(&lab, &plan, state);
        let Some(ActionBody::RestartPod(action)) = plan.action.body().cloned() else { panic!() };
        let action = ActionBody::RestartPod(v1::RestartPod { node: node.into(), ..action }).into();
        let before = Plan { id: format!("pln_{:032x}", 8).parse().unwrap(), action, ..plan.clone() };
        job.plan_id = before.id;
        lab.plans.insert(before.id.to_string(), Versioned { version: 1, doc: before });
        rename(&mut job, |o| (o.uid, o.namespace) = ("pod-z".into(), "elsewhere".into()));
        job.workload = Some(Workload::of(KubeRef::new("apps/v1", "Deployment", "elsewhere", "z", "owner-z")));
        job.finished_at = Some(lab.now);
        job.expires_at = lab.now;
        with_job(&mut lab, job);
        lab.pass(since);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert_eq!(found.iter().any(|v| v.invariant == 7), broken, "{state:?} for {since} s: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {state:?}");
    }
    for (state, earlier, broken) in [
        (IncidentState::Open, true, true),
        (IncidentState::Open, false, false),
        (IncidentState::Escalated, true, false),
    ] {
        let (mut lab, plan) = suspect();
        let mut other = plan.clone();
        other.id = format!("pln_{:032x}", 9).parse().unwrap();
        let mut incident = lab.incidents[&plan.incident_id.to_string()].clone();
        let by = jiff::SignedDuration::from_secs(if earlier { -1 } else { 1 });
        incident.doc.created_at += by;
        incident.doc.id = format!("inc_{:032x}", 9).parse().unwrap();
        (incident.doc.state, incident.doc.plan_id) = (state, Some(other.id));
        lab.plans.insert(other.id.to_string(), Versioned { version: 1, doc: other });
        lab.incidents.insert(incident.doc.id.to_string(), incident);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert_eq!(found.iter().any(|v| v.invariant == 7), broken, "{state:?} {earlier}: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {state:?}");
    }
}

#[test]
fn a_job_for_the_same_incident_is_enough() {
    let (mut lab, plan) = ready();
    let mut other = job(&lab, &plan, JobState::Pending);
    other.incident_id = plan.incident_id;
    with_job(&mut lab, other);
    assert!(numbers(&lab, &plan).contains(&1));
}

#[test]
fn attempts_and_their_waits_are_counted_from_the_jobs() {
    for (made, seconds, broken) in
        [(1, 29, true), (1, 30, false), (2, 59, true), (2, 60, false), (3, 90_000, true)]
    {
        let (mut lab, plan) = ready();
        let template = job(&lab, &plan, JobState::Failed);
        for n in 0..made {
            let id = format!("job_{n:032x}").parse().unwrap();
            let finished_at = Some(lab.now);
            with_job(&mut lab, Job { id, finished_at, ..template.clone() });
        }
        lab.pass(seconds);
        assert_eq!(numbers(&lab, &plan) == [5], broken, "{made} attempts, {seconds} s ago");
        // Once the owner was healthy for long enough they are forgotten.
        lab.jobs.values_mut().for_each(|j| j.doc.attempts_reset_at = Some(lab.now));
        assert_eq!(numbers(&lab, &plan), [0_u8; 0]);
    }
}

#[test]
fn each_change_of_a_rollback_names_its_invariant() {
    type Change = fn(&mut Lab, &mut Plan);
    let table: &[(&str, u8, Change)] = &[
        ("an agent that binds the generation", 3, |lab, _| {
            let older = v1::Deployment { strategy: String::new(), ..stuck("web", 3, 7) };
            lab.see(Body::Deployment(older));
        }),
        ("a ConfigMap that the older template needs is gone", 3, |lab, _| {
            lab.see(gone("ConfigMap", &config_map("web-env", "", 0).meta.unwrap().uid));
        }),
        ("no pod of the present revision can start", 3, |lab, _| {
            let pods = lab.world.clusters[CLUSTER].pods.values();
            let unready: Vec<String> =
                pods.filter(|pod| !pod.ready).map(|pod| pod.meta.uid.clone()).collect();
            assert!(!unready.is_empty());
            for uid in unready {
                let wanted = pod("web-7", uid.rsplit_once('-').unwrap().1, "");
                let waits = v1::Pod { unschedulable: "0/2 nodes".into(), ready: false, ..wanted };
                assert_eq!(waits.meta.as_ref().unwrap().uid, uid);
                lab.see(Body::Pod(waits));
            }
        }),
        ("it lasted itself", 3, |lab, _| {
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            let history = histories.get_mut("dep-web").unwrap();
            history.revisions.last_mut().unwrap().longest_ms = 600_000;
        }),
        ("it is on its way and nothing of it has failed", 3, |lab, _| {
            let progressing = v1::Deployment {
                progressing_status: "True".into(),
                progressing_reason: "ReplicaSetUpdated".into(),
                ..stuck("web", 3, 7)
            };
            lab.see(Body::Deployment(progressing));
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            histories.get_mut("dep-web").unwrap().revisions.last_mut().unwrap().trouble = None;
        }),
        ("it lasted for a moment less than the soak time", 3, |lab, _| {
            for n in 0..3 {
                lab.see(gone("Pod", &format!("pod-web-6-{n}")));
            }
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            histories.get_mut("dep-web").unwrap().revisions[0].held_ms = 599_999;
        }),
        ("another template", 3, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { template_hash: hash(9), ..stuck("web", 3, 7) }));
        }),
        ("the old ReplicaSet is gone", 3, |lab, _| _ = lab.see(gone("ReplicaSet", "rs-web-6"))),
        ("no evidence any more", 3, |lab, _| {
            lab.see(Body::ReplicaSet(replica_set("web", 6, 0)));
            for n in 0..3 {
                lab.see(gone("Pod", &format!("pod-web-6-{n}")));
            }
            lab.world.clusters.get_mut(CLUSTER).unwrap().histories.clear();
        }),
        ("managed by another", 9, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { manager: "flux".into(), ..stuck("web", 3, 7) }));
        }),
        ("paused", 9, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { paused: true, ..stuck("web", 3, 7) }));
        }),
        ("no approval", 2, |lab, _| lab.approvals.clear()),
        ("an approval of another plan", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.plan_digest.push('0'));
        }),
        ("a used approval", 2, |lab, _| {
            let used = format!("job_{:032x}", 5).parse().ok();
            lab.approvals.values_mut().for_each(|a| a.doc.used_by.clone_from(&used));
        }),
        ("an expired approval", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.expires_at = lab.now);
        }),
        ("approved by the requester", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.decided_by = Some("nimbus".into()));
        }),
        ("still pending", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.state = ApprovalState::Pending);
        }),
        ("denied by a person", 12, |lab, plan| {
            let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
            incident.doc.denied_digest = Some(plan.digest.clone());
        }),
        ("it could not be carried out before", 5, |lab, plan| {
            let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
            incident.doc.failed_digest = Some(plan.digest.clone());
        }),
        ("no approval asked for", 12, |_, plan| {
            plan.needs_approval = false;
            plan.digest = plan.computed_digest();
        }),
    ];
    for (what, invariant, change) in table {
        let (mut lab, mut plan) = approved();
        change(&mut lab, &mut plan);
        assert_eq!(numbers(&lab, &plan), [*invariant], "{what}");
    }
}

#[test]
fn scaling_breaks_no_rollback() {
    let (mut lab, plan) = approved();
    let scaled = stuck("web", 5, 7);
    lab.see(Body::Deployment(v1::Deployment { generation: 12, observed_generation: 12, ..scaled }));
    assert_eq!(numbers(&lab, &plan), [0_u8; 0]);
}

const STALE: &str = "job_00000000000000000000000000000099";

/// A cordon of a job that nobody knows, which a person approved to be lifted.
fn stale_cordon() -> (Lab, Plan) {
    let mut lab = Lab::new();
    closed_by(&mut lab, STALE);
    lab.diagnose();
    lab.plan();
    lab.decide("operator", crate::approval::Decision::Approve, "").unwrap();
    let plan = lab.plans.values().next().unwrap().doc.clone();
    (lab, plan)
}

fn closed_by(lab: &mut Lab, job: &str) {
    lab.see(Body::Node(v1::Node { unschedulable: true, cordoned_by: job.into(), ..node("node-a") }));
}

#[test]
fn each_change_of_an_uncordon_names_its_invariant() {
    type Change = fn(&mut Lab, &mut Plan);
    let table: &[(&str, &[u8], Change)] = &[
        ("as it was approved", &[], |_, _| ()),
        ("the node is gone", &[3], |lab, _| _ = lab.see(gone("Node", "node-node-a"))),
        ("somebody else cordoned it", &[9], |lab, _| closed_by(lab, "")),
        ("a later job of ours closed it", &[9], |lab, _| {
            closed_by(lab, "job_00000000000000000000000000000098");
        }),
        ("it is schedulable already", &[3, 9], |lab, _| _ = lab.see(Body::Node(node("node-a")))),
        ("nodes are being listed", &[3], |lab, _| _ = lab.see(begin("Node", 1))),
        ("the cluster only observes", &[12], |lab, _| {
            lab.clusters.get_mut(CLUSTER).unwrap().doc.mode = Mode::Observe;
        }),
        ("nobody approved it", &[2], |lab, _| lab.approvals.clear()),
        ("another digest", &[2], |_, plan| plan.digest = "00".into()),
    ];
    for (what, invariants, change) in table {
        let (mut lab, mut plan) = stale_cordon();
        change(&mut lab, &mut plan);
        assert_eq!(numbers(&lab, &plan), *invariants, "{what}");
    }
    // Its job turns up after all, and is in flight: the cordon is in use.
    let (mut lab, plan) = stale_cordon();
    let out = Job { id: STALE.parse().unwrap(), ..job(&lab, &plan, JobState::Running) };
    with_job(&mut lab, out);
    assert!(numbers(&lab, &plan).contains(&9));
}

#[test]
fn a_baseline_nobody_asked_for_and_a_changed_file_are_noticed() {
    let mut lab = Lab::new();
    let (good, bad) = (file_state("file", 0o644, 1), file_state("file", 0o644, 2));
    lab.see_host(Body::File(file("/srv/etc/a", good.clone(), bad)));
    lab.diagnose();
    let incident = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let changes =
        crate::remediation::accept_baseline(&lab.snapshot(), incident, "operator", lab.now, &mut ids)
            .unwrap();
    lab.commit(changes);
    let mut plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(numbers(&lab, &plan), [0_u8; 0]);
    lab.see_host(Body::File(file("/srv/etc/a", good, file_state("file", 0o644, 3))));
    assert_eq!(numbers(&lab, &plan), [3]);
    plan.requested_by = "nimbus".into();
    plan.digest = plan.computed_digest();
    assert_eq!(numbers(&lab, &plan), [3, 12]);
}
