//! Tests of the independent checker: for each invariant, a change that violates it and the number that the checker must
//! name.

use nimbus_protocol::ids::PlanId;
use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::*;
use crate::testing::ActionBody;
use crate::testing::lab::{Lab, agent_id};
use crate::testing::objects::*;

mod certificates;
mod evictions;
mod expanded_volumes;
mod held_nodes;
mod more_pods;
mod raised_limits;
mod rollback;

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

#[test]
fn a_refusal_counts_where_the_agent_counts_it_and_one_too_many_closes_the_hour() {
    let (mut lab, plan) = ready();
    let (now, other) = (lab.now, job(&lab, &plan, JobState::Refused));
    let refused = |reason: &str| Job { reason: reason.to_owned(), finished_at: Some(now), ..other.clone() };
    let too_many = refused("hourly_budget: 60 jobs an hour, found 60");
    let cases: [(Job, Option<u32>, &[u8]); 5] = [
        (refused("precondition_failed: no"), Some(1), &[4]),
        (refused("precondition_failed: no"), Some(2), &[]),
        (refused("policy_forbids: no"), Some(1), &[]),
        (too_many.clone(), Some(9), &[4]),
        (too_many.clone(), None, &[4]),
    ];
    for (job, budget, expected) in cases {
        let mut lab = lab.clone();
        lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = budget;
        let reason = job.reason.clone();
        with_job(&mut lab, job);
        assert_eq!(numbers(&lab, &plan), expected, "{reason}, {budget:?}");
    }
    with_job(&mut lab, too_many);
    lab.pass(3_599);
    assert_eq!(numbers(&lab, &plan), [4]);
    lab.pass(1);
    assert!(numbers(&lab, &plan).is_empty(), "an hour later");
}

#[test]
fn what_was_refused_before_has_half_of_the_hour() {
    let (mut lab, plan) = ready();
    let other = job(&lab, &plan, JobState::Refused);
    for n in 0..2 {
        let id = format!("job_{:032x}", 900 + n).parse().unwrap();
        let reason = "eviction_refused: no".to_owned();
        let finished_at = Some(lab.now);
        with_job(&mut lab, Job { id, reason, finished_at, again: 1, ..other.clone() });
    }
    let found = |refused: Option<PlanId>, budget: Option<u32>, after: i64| {
        let mut lab = lab.clone();
        let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
        incident.doc.refused = refused.map(|plan_id| RefusedPlan { plan_id, times: 1 });
        lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = budget;
        lab.pass(after);
        numbers(&lab, &plan)
    };
    let (this, another) = (Some(plan.id), format!("pln_{:032x}", 99).parse().ok());
    let cases: [(Option<u32>, &[u8]); 4] = [(None, &[]), (Some(6), &[]), (Some(5), &[4]), (Some(3), &[4])];
    for (budget, expected) in cases {
        assert_eq!(found(this, budget, 3_599), expected, "{budget:?}");
        assert!(found(this, budget, 3_600).is_empty(), "an hour later");
        assert!(found(None, budget, 0).is_empty() && found(another, budget, 0).is_empty(), "never tried");
    }
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
    // Where its agent says nothing of it, neither is known: whether it may be disturbed, and whether it ever was ready.
    let (mut lab, plan) = ready();
    lab.see(Body::Pod(v1::Pod { facts: None, ..crashing(pod("web-1", "0", "node-a"), 4) }));
    assert_eq!(numbers(&lab, &plan), [3, 9]);
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
