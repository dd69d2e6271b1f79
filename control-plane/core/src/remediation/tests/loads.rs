//! Scenes of a workload that asks to be scaled out: when it gets more pods, when it gives them back, and when neither.
//!
//! | situation | right |
//! |---|---|
//! | 90 % of its CPU for five minutes, all pods ready, room on the nodes | scaled out at once, to between busy and calm; nobody is asked |
//! | busy for four minutes; busy now and then | nothing |
//! | no label | nothing is told of it |
//! | four times what it asks for | twice as many, and that more would do is said |
//! | its label, the ceiling, the nodes or a rule allow fewer | as many as they allow |
//! | as many as its label allows, or no room on any node | recommend |
//! | a pod was not measured; the metrics API is gone; figures are old | nothing, and what is open stays open |
//! | an autoscaler, KEDA, Argo CD or a VerticalPodAutoscaler has the say | recommend, and who |
//! | a rollout is under way; a pod crash-loops or is not ready | wait |
//! | scaled out, and calm for a quarter of an hour | scaled in by steps, to what it had and no further |
//! | scaled out, and somebody set another number since | neither |
//! | somebody set it back after it was scaled out, and it is busy | recommend: Nimbus does not write against that |
//! | scaled out a minute ago, and busy again | wait until the cool-down is over |
//! | none of the pods that were added became ready | put back; a person is told |
//! | the label is taken away while it is scaled out | scaled in all the same |
//! | out and in again and again; from one to sixteen and back | each time: to follow the load is no attempt at a fault |
//! | a pod is not measured, or not ready, for a moment while it is asked | nothing is taken back |
//! | it could give none back | no incident |
//! | two workloads are busy at once | one after the other: the same room is not given twice |

use nimbus_protocol::action::MORE_REPLICAS;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

fn scale(job: &v1::Job) -> (u32, u32, u32) {
    let Some(ActionBody::ScaleWorkload(action)) = action_of(job) else { panic!("{job:?}") };
    (action.from_replicas, action.to_replicas, action.base_replicas)
}

/// `web` with so many pods that ask for a CPU each and use so many percent of it.
fn load(replicas: u32, percent: u64) -> v1::WorkloadLoad {
    v1::WorkloadLoad {
        meta: Some(meta("dep", "web", None)),
        kind: "Deployment".into(),
        replicas,
        ready: replicas,
        settled: true,
        pods: replicas,
        measured: replicas,
        used_milli: u64::from(replicas) * percent * 10,
        asked_milli: u64::from(replicas) * 1_000,
        scale_to: 10,
        ..v1::WorkloadLoad::default()
    }
}

/// A cluster with `web` of so many pods.
fn web(replicas: u32) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", replicas, 1);
    lab
}

/// Its agent looks every half of a minute for so long, or until something is begun.
fn looks(lab: &mut Lab, told: &v1::WorkloadLoad, seconds: i64) -> Vec<v1::Job> {
    for _ in 0..seconds / 30 {
        lab.pass(30);
        lab.see(Body::WorkloadLoad(told.clone()));
        let jobs = lab.settle();
        if !jobs.is_empty() {
            return jobs;
        }
    }
    Vec::new()
}

/// Scaled to `to`, with all of them ready then, and this busy; its annotation says so.
fn scaled(lab: &mut Lab, job: &v1::Job, percent: u64) -> v1::WorkloadLoad {
    let (_, to, base) = scale(job);
    lab.apply(job);
    lab.see(Body::Deployment(deployment("web", to, 1)));
    for n in 0..to {
        lab.see(Body::Pod(pod("web-1", &n.to_string(), "node-a")));
    }
    let mut told = load(to, percent);
    if to > base {
        (told.scaled_from, told.scaled_to) = (base, to);
    }
    lab.see(Body::WorkloadLoad(told.clone()));
    lab.report(job, Phase::Succeeded, "", "");
    lab.settle();
    told
}

/// The reason of the open incident, for which nothing is asked and nothing is done.
fn left_alone(lab: &mut Lab, told: &v1::WorkloadLoad) -> String {
    assert!(
        looks(lab, told, 600).is_empty(),
        "{:?}",
        lab.incidents.values().map(|i| &i.doc.reason).collect::<Vec<_>>()
    );
    let incident = lab.open(IncidentKind::LoadHigh);
    assert_eq!(incident.approval_id, None, "{}", incident.reason);
    incident.reason.clone()
}

#[test]
fn one_that_is_busy_for_five_minutes_is_scaled_out_and_back_in_once_it_is_calm() {
    let mut lab = web(3);
    assert!(looks(&mut lab, &load(3, 90), 300).is_empty());
    let jobs = looks(&mut lab, &load(3, 90), 60);
    assert_eq!(jobs.len(), 1, "{:?}", lab.incidents);
    // Three at 90 % are five at 54 %.
    assert_eq!(scale(&jobs[0]), (3, 5, 3));
    assert!(!jobs[0].needs_approval);
    let incident = lab.open(IncidentKind::LoadHigh);
    assert!(
        incident.evidence[0].contains("its 3 pods use 90 % of the CPU that they ask for (2700m of 3000m)"),
        "{incident:?}"
    );
    let told = scaled(&mut lab, &jobs[0], 54);
    assert!(looks(&mut lab, &told, 600).is_empty(), "neither busy nor calm");
    assert_eq!(lab.last(IncidentKind::LoadHigh).state, IncidentState::Resolved);
    // Calm, and nothing for a quarter of an hour.
    let calm = v1::WorkloadLoad { used_milli: 1_000, ..told };
    assert!(looks(&mut lab, &calm, 900).is_empty());
    let jobs = looks(&mut lab, &calm, 60);
    assert_eq!(scale(&jobs[0]), (5, 3, 3), "no fewer than it had");
    assert_eq!(lab.open(IncidentKind::ScaledOut).severity, Severity::Info);
    let told = scaled(&mut lab, &jobs[0], 33);
    assert_eq!(
        lab.last(IncidentKind::ScaledOut).state,
        IncidentState::Resolved,
        "{}",
        lab.last(IncidentKind::ScaledOut).reason
    );
    assert!(looks(&mut lab, &told, 7_200).is_empty(), "three are what it had");
}

/// Every step of it follows the load, and none is an attempt at a fault.
#[test]
fn it_goes_out_and_in_again_and_again_and_far() {
    let mut lab = web(3);
    let mut told = load(3, 90);
    for cycle in 0..4 {
        let jobs = looks(&mut lab, &told, 390);
        assert_eq!(jobs.len(), 1, "out {cycle}: {:?}", lab.open(IncidentKind::LoadHigh).reason);
        told = scaled(&mut lab, &jobs[0], 20);
        let jobs = looks(&mut lab, &told, 990);
        assert_eq!(jobs.len(), 1, "in {cycle}: {:?}", lab.open(IncidentKind::ScaledOut).reason);
        assert_eq!(scale(&jobs[0]), (5, 3, 3), "{cycle}");
        told = scaled(&mut lab, &jobs[0], 33);
        looks(&mut lab, &told, 300);
        told = load(3, 90);
    }
    let mut lab = web(1);
    lab.settings.load.ceiling_replicas = 16;
    let mut told = v1::WorkloadLoad { scale_to: 16, ..load(1, 400) };
    for to in [2, 4, 8, 16] {
        let jobs = looks(&mut lab, &told, 690);
        let why: Vec<_> =
            lab.incidents.values().map(|i| (&i.doc.kind, &i.doc.state, &i.doc.reason)).collect();
        assert_eq!(jobs.first().map(|job| scale(job).1), Some(to), "{why:?}");
        told = v1::WorkloadLoad { scale_to: 16, ..scaled(&mut lab, &jobs[0], 400) };
    }
    told.used_milli = 100;
    for to in [8, 4, 2, 1] {
        let jobs = looks(&mut lab, &told, 1_600);
        let why: Vec<_> =
            lab.incidents.values().map(|i| (&i.doc.kind, &i.doc.state, &i.doc.reason)).collect();
        assert_eq!(jobs.first().map(|job| scale(job).1), Some(to), "{why:?}");
        told = v1::WorkloadLoad { scale_to: 16, used_milli: 100, ..scaled(&mut lab, &jobs[0], 1) };
    }
}

#[test]
fn what_could_give_none_back_is_no_incident() {
    let mut lab = web(2);
    let told = v1::WorkloadLoad { scaled_from: 1, scaled_to: 2, ..load(2, 40) };
    assert!(looks(&mut lab, &told, 7_200).is_empty(), "one alone would be at 80 %");
    assert!(lab.incidents.is_empty(), "{:?}", lab.incidents);
}

#[test]
fn what_is_busy_for_a_moment_or_does_not_ask_for_it_is_left() {
    let mut lab = web(3);
    for _ in 0..10 {
        assert!(looks(&mut lab, &load(3, 95), 240).is_empty());
        assert!(looks(&mut lab, &load(3, 60), 30).is_empty());
    }
    assert!(looks(&mut lab, &load(3, 79), 3_600).is_empty());
    assert!(looks(&mut lab, &v1::WorkloadLoad { scale_to: 0, ..load(3, 99) }, 3_600).is_empty());
    assert!(lab.incidents.is_empty(), "{:?}", lab.incidents);
}

#[test]
fn no_more_than_twice_its_label_the_ceiling_the_nodes_and_a_rule_allow() {
    let to = |change: fn(&mut Lab) -> v1::WorkloadLoad| {
        let mut lab = web(3);
        let told = change(&mut lab);
        let jobs = looks(&mut lab, &told, 400);
        let plan = lab.plans.values().next().unwrap().doc.clone();
        (scale(&jobs[0]).1, plan.changes.join("; "))
    };
    let (twice, said) = to(|_| load(3, 400));
    assert!(twice == 6 && said.contains("load.step_percent"), "{twice} {said}");
    let (label, said) = to(|_| v1::WorkloadLoad { scale_to: 4, ..load(3, 400) });
    assert!(label == 4 && said.contains("its label nimbus.dev/scale-to says 4"), "{label} {said}");
    let (ceiling, _) = to(|lab| {
        lab.settings.load.ceiling_replicas = 5;
        load(3, 400)
    });
    assert_eq!(ceiling, 5);
    let (nodes, said) = to(|lab| {
        for name in ["node-a", "node-b"] {
            let facts = v1::NodeFacts { pods: 2, ..node(name).facts.unwrap() };
            lab.see(Body::Node(v1::Node { facts: Some(facts), ..node(name) }));
        }
        lab.see(Body::Pod(pod("web-1", "2", "node-b")));
        load(3, 400)
    });
    assert!(nodes == 4 && said.contains("room for 1 more"), "{nodes} {said}");
}

#[test]
fn a_rule_bounds_how_many_it_may_have() {
    let rule = |most: u32| {
        let built_in = crate::rules::built_in::of(ActionKind::ScaleWorkload).unwrap();
        crate::rulebook::RuleText { condition: format!("action.to_replicas <= {most}"), ..built_in }
    };
    let mut lab = web(3);
    super::rules::set(&mut lab, rule(4));
    let jobs = looks(&mut lab, &load(3, 400), 400);
    assert_eq!(scale(&jobs[0]), (3, 4, 3));
    // Back in, a rule that is narrower than half does not hold it out.
    let mut lab = web(9);
    super::rules::set(&mut lab, rule(4));
    let jobs = looks(&mut lab, &v1::WorkloadLoad { scaled_from: 2, scaled_to: 9, ..load(9, 1) }, 960);
    assert_eq!(scale(&jobs[0]), (9, 4, 2));
    // Never to fewer than the load needs: at half of it nine need seven.
    let mut lab = web(9);
    super::rules::set(&mut lab, rule(4));
    assert!(
        looks(&mut lab, &v1::WorkloadLoad { scaled_from: 2, scaled_to: 9, ..load(9, 50) }, 1_500).is_empty()
    );
    let mut lab = web(3);
    super::rules::set(&mut lab, rule(3));
    let reason = left_alone(&mut lab, &load(3, 400));
    assert!(reason.contains("scale-workload"), "{reason}");
}

/// Two at once would both be given the room that is there for one.
#[test]
fn only_one_workload_of_a_cluster_gets_more_pods_at_a_time() {
    let mut lab = web(3);
    lab.deploy("api", 3, 1);
    let mut jobs = Vec::new();
    for _ in 0..13 {
        lab.pass(30);
        for name in ["web", "api"] {
            let meta = Some(meta("dep", name, None));
            lab.see(Body::WorkloadLoad(v1::WorkloadLoad { meta, ..load(3, 90) }));
        }
        jobs.extend(lab.settle());
    }
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Unknown, "", "");
    for _ in 0..4 {
        lab.pass(30);
        for name in ["web", "api"] {
            let meta = Some(meta("dep", name, None));
            lab.see(Body::WorkloadLoad(v1::WorkloadLoad { meta, ..load(3, 90) }));
        }
        jobs.extend(lab.settle());
    }
    assert_eq!(jobs.len(), 2);
    assert_ne!(action_of(&jobs[0]), action_of(&jobs[1]));
}

#[test]
fn without_room_by_its_label_or_on_a_node_a_person_is_told() {
    let mut lab = web(3);
    let reason = left_alone(&mut lab, &v1::WorkloadLoad { scale_to: 3, ..load(3, 90) });
    assert!(reason.contains("as many as its label nimbus.dev/scale-to (3)"), "{reason}");
    let mut lab = web(3);
    for name in ["node-a", "node-b"] {
        lab.see(Body::Node(v1::Node { unschedulable: true, ..node(name) }));
    }
    let reason = left_alone(&mut lab, &load(3, 90));
    assert!(
        reason.contains("no node has room for one more") && reason.contains("node-a is cordoned"),
        "{reason}"
    );
}

/// Absent is unknown, and never zero: neither busy nor calm.
#[test]
fn what_was_not_measured_opens_closes_and_scales_nothing() {
    let unknown = [
        v1::WorkloadLoad { measured: 2, ..load(3, 90) },
        v1::WorkloadLoad { measured: 0, used_milli: 0, asked_milli: 0, ..load(3, 0) },
        v1::WorkloadLoad { pods: 0, measured: 0, ..load(3, 0) },
    ];
    for told in unknown {
        let mut lab = web(3);
        assert!(looks(&mut lab, &told, 3_600).is_empty());
        assert!(lab.incidents.is_empty());
        // What is open stays so, and what was scaled out stays out.
        let reason = left_alone(&mut lab, &v1::WorkloadLoad { scale_to: 3, ..load(3, 90) });
        assert!(reason.contains("label"), "{reason}");
        assert!(looks(&mut lab, &told, 3_600).is_empty());
        lab.open(IncidentKind::LoadHigh);
        let mut lab = web(5);
        let out = v1::WorkloadLoad { replicas: 5, scaled_from: 3, scaled_to: 5, ready: 5, ..told };
        assert!(looks(&mut lab, &out, 7_200).is_empty());
        assert!(lab.incidents.is_empty());
    }
    // Nobody looks any more.
    let mut lab = web(3);
    assert!(looks(&mut lab, &load(3, 90), 270).is_empty());
    lab.pass(3_600);
    assert!(lab.settle().is_empty());
    assert!(lab.incidents.is_empty());
}

#[test]
fn where_somebody_else_has_the_say_that_is_told() {
    let who = |change: fn(&mut Lab, &mut v1::WorkloadLoad)| {
        let mut lab = web(3);
        let mut told = load(3, 90);
        change(&mut lab, &mut told);
        left_alone(&mut lab, &told)
    };
    let reason = who(|_, it| (it.manager, it.manager_evidence) = ("argocd".into(), "Application web".into()));
    assert!(reason.contains("Argo CD keeps how many pods it has (Application web)"), "{reason}");
    let reason = who(|_, it| {
        (it.manager, it.manager_evidence) = ("operator".into(), "owned by ScaledObject web".into());
    });
    assert!(reason.contains("ScaledObject"), "{reason}");
    let reason = who(|_, it| it.vertical = "annotation vpaUpdates".into());
    assert!(reason.contains("VerticalPodAutoscaler"), "{reason}");
    let reason = who(|lab, _| {
        lab.see(Body::HorizontalPodAutoscaler(autoscaler("web", 10)));
    });
    assert!(reason.contains("HorizontalPodAutoscaler web decides"), "{reason}");
}

#[test]
fn what_is_not_well_or_brings_something_out_waits() {
    let mut lab = web(3);
    let reason = left_alone(&mut lab, &v1::WorkloadLoad { settled: false, ..load(3, 90) });
    assert!(reason.contains("is not out"), "{reason}");
    let reason = left_alone(&mut lab, &v1::WorkloadLoad { ready: 2, ..load(3, 90) });
    assert!(reason.contains("2 of 3 pods are ready"), "{reason}");
    let mut lab = web(3);
    lab.see(Body::Deployment(v1::Deployment { updated: 1, ..deployment("web", 3, 1) }));
    let reason = left_alone(&mut lab, &load(3, 90));
    assert!(reason.contains("is not out"), "{reason}");
    let mut lab = web(3);
    lab.see(Body::Deployment(v1::Deployment { paused: true, ..deployment("web", 3, 1) }));
    let reason = left_alone(&mut lab, &load(3, 90));
    assert!(reason.contains("it is paused"), "{reason}");
}

#[test]
fn what_somebody_set_since_is_theirs() {
    // Another number than Nimbus set: nothing to take back.
    let mut lab = web(6);
    let told = v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, ..load(6, 10) };
    assert!(looks(&mut lab, &told, 7_200).is_empty());
    assert!(lab.incidents.is_empty(), "{:?}", lab.incidents);
    // Set back while it is busy: two that write against each other help nobody.
    let mut lab = web(3);
    let reason = left_alone(&mut lab, &v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, ..load(3, 90) });
    assert!(reason.contains("Nimbus gave it 5 replicas before, and somebody set 3 since"), "{reason}");
    // More than Nimbus set: that is what it has from then on.
    let mut lab = web(6);
    let jobs = looks(&mut lab, &v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, ..load(6, 90) }, 400);
    assert_eq!(scale(&jobs[0]), (6, 9, 6));
}

#[test]
fn its_label_may_go_while_it_is_scaled_out() {
    let mut lab = web(5);
    let told = v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, scale_to: 0, ..load(5, 30) };
    let jobs = looks(&mut lab, &told, 960);
    assert_eq!(scale(&jobs[0]), (5, 3, 3));
}

#[test]
fn large_ones_are_scaled_in_by_half_at_most() {
    let mut lab = web(9);
    let told = v1::WorkloadLoad { scaled_from: 2, scaled_to: 9, ..load(9, 1) };
    let jobs = looks(&mut lab, &told, 960);
    assert_eq!(scale(&jobs[0]), (9, 5, 2));
    let told = scaled(&mut lab, &jobs[0], 2);
    let jobs = looks(&mut lab, &told, 960);
    assert_eq!(scale(&jobs[0]), (5, 3, 2));
}

#[test]
fn what_is_busy_again_waits_for_the_cool_down_and_goes_on_from_what_it_had_first() {
    let mut lab = web(3);
    lab.settings.load.cool_down_s = 1_800;
    let jobs = looks(&mut lab, &load(3, 90), 360);
    let told = scaled(&mut lab, &jobs[0], 90);
    let reason = left_alone(&mut lab, &told);
    assert!(reason.contains("was scaled lately"), "{reason}");
    let jobs = looks(&mut lab, &told, 1_300);
    assert_eq!(scale(&jobs[0]), (5, 7, 3), "and goes back to three one day");
}

#[test]
fn what_did_not_help_or_has_no_quota_is_told() {
    let mut lab = web(3);
    let jobs = looks(&mut lab, &load(3, 90), 360);
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Compensated, "", "found: 3 of 5 are ready");
    let reason = left_alone(&mut lab, &load(3, 90));
    assert!(reason.contains("did not help") && reason.contains("3 of 5 are ready"), "{reason}");

    // A dip of minutes ends the incident, and what did not help is tried no sooner for that.
    looks(&mut lab, &load(3, 60), 300);
    assert_eq!(lab.last(IncidentKind::LoadHigh).state, IncidentState::Resolved);
    assert!(left_alone(&mut lab, &load(3, 90)).contains("did not help"));

    // What was put back inwards says nothing of outwards.
    let mut lab = web(5);
    let out = v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, ..load(5, 20) };
    let jobs = looks(&mut lab, &out, 960);
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Compensated, "", "found: 2 of 3 are ready");
    let jobs = looks(&mut lab, &v1::WorkloadLoad { scaled_from: 3, scaled_to: 5, ..load(5, 95) }, 900);
    assert_eq!(scale(&jobs[0]), (5, 8, 3));

    let mut lab = web(3);
    let jobs = looks(&mut lab, &load(3, 90), 360);
    let why = format!("{MORE_REPLICAS} of Deployment web, found: ResourceQuota team allows 3 of pods");
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", &why);
    let reason = left_alone(&mut lab, &load(3, 90));
    assert!(reason.contains("ResourceQuota team") && reason.contains("make room there"), "{reason}");
}

#[test]
fn a_cluster_that_recommends_asks_and_a_denial_holds_while_it_moves() {
    let mut lab = web(3);
    lab.clusters.values_mut().next().unwrap().doc.mode = Mode::Recommend;
    assert!(looks(&mut lab, &load(3, 90), 360).is_empty());
    let incident = lab.open(IncidentKind::LoadHigh);
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    let plan = incident.plan_id;
    // It moves, up and down, and the same is asked.
    for percent in [85, 140, 70, 95] {
        assert!(looks(&mut lab, &load(3, percent), 60).is_empty());
        assert_eq!(lab.open(IncidentKind::LoadHigh).plan_id, plan, "{percent}");
    }
    // Nor does a pod take it back that is not measured, or not ready, for a moment.
    for odd in [v1::WorkloadLoad { measured: 2, ..load(3, 90) }, v1::WorkloadLoad { ready: 2, ..load(3, 90) }]
    {
        assert!(looks(&mut lab, &odd, 30).is_empty());
        assert_eq!(lab.open(IncidentKind::LoadHigh).plan_id, plan);
    }
    assert_eq!(lab.approvals.len(), 1);
    lab.decide("operator", crate::approval::Decision::Deny, "not now").unwrap();
    for percent in [85, 140, 95, 300] {
        assert!(looks(&mut lab, &load(3, percent), 600).is_empty());
        assert_eq!(lab.live_approvals(), 0, "{percent}");
    }
}

#[test]
fn thresholds_are_whole_multiples_of_what_is_news() {
    assert_eq!(u64::from(crate::settings::load::WHOLE_PERCENT) * 10, crate::world::LOAD_STEP);
}

/// Its incident is over, and so is its plan no more looked at: what its job does tells that it holds no node.
#[test]
fn what_ended_unknown_keeps_no_node_from_being_held() {
    let mut lab = web(3);
    let jobs = looks(&mut lab, &load(3, 90), 360);
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Unknown, "", "found that it has another number");
    looks(&mut lab, &v1::WorkloadLoad { scale_to: 0, ..load(3, 90) }, 60);
    assert_eq!(lab.last(IncidentKind::LoadHigh).state, IncidentState::Resolved);
    lab.deploy("api", 2, 1);
    lab.see(Body::Pod(pod("api-1", "1", "node-b")));
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-a"), 4)));
    let jobs = lab.settle();
    let Some(ActionBody::RestartPod(action)) = jobs.first().and_then(action_of) else {
        panic!("{}", lab.open(IncidentKind::PodCrashLoop).reason)
    };
    assert!(action.avoid_node);
}

/// A load that goes on for days is no fault of the workload: what helped against its faults is forgotten all the same.
#[test]
fn restarts_that_helped_are_forgotten_while_a_workload_is_busy() {
    let mut lab = web(3);
    let at_most = v1::WorkloadLoad { scale_to: 3, ..load(3, 95) };
    assert!(looks(&mut lab, &at_most, 600).is_empty());
    let busy = lab.open(IncidentKind::LoadHigh).clone();
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 9)));
    lab.settle();
    let faults = |lab: &Lab| {
        lab.incidents.values().any(|it| it.doc.kind == IncidentKind::PodCrashLoop && it.doc.is_open())
    };
    assert!(faults(&lab));
    let mut job = crate::testing::job(crate::testing::lab::agent_id());
    job.id = nimbus_protocol::ids::JobId::new(&mut lab.ids);
    (job.action, job.state) = (ActionKind::RestartPod, JobState::Succeeded);
    (job.scope, job.workload) = (busy.scope.clone(), busy.workload.clone());
    (job.applied_at, job.finished_at) = (Some(lab.now), Some(lab.now));
    let restart = job.id;
    lab.jobs.insert(restart.to_string(), Versioned { version: 1, doc: job });
    lab.see(Body::Pod(pod("web-1", "0", "node-a")));
    for _ in 0..4 {
        lab.pass(300);
        lab.settle();
    }
    assert!(!faults(&lab) && lab.open(IncidentKind::LoadHigh).is_open());
    let of = |lab: &Lab| lab.jobs.values().find(|one| one.doc.id == restart).unwrap().doc.attempts_reset_at;
    assert!(of(&lab).is_some(), "what helped is forgotten");
    // Nor does a load that comes anew bring it back.
    looks(&mut lab, &load(3, 10), 300);
    assert_eq!(lab.last(IncidentKind::LoadHigh).state, IncidentState::Resolved);
    looks(&mut lab, &at_most, 600);
    lab.open(IncidentKind::LoadHigh);
    assert!(of(&lab).is_some());
}

#[test]
fn one_that_needs_what_it_has_after_all_is_over_though_it_is_calm() {
    let mut lab = web(4);
    let out = |percent| v1::WorkloadLoad { scaled_from: 1, scaled_to: 4, ..load(4, percent) };
    lab.settings.load.cool_down_s = 10_000;
    looks(&mut lab, &out(20), 960);
    lab.open(IncidentKind::ScaledOut);
    // Four at half of it need all four; that is calm all the same.
    looks(&mut lab, &out(50), 300);
    let ended = lab.last(IncidentKind::ScaledOut);
    assert_eq!(ended.state, IncidentState::Resolved, "{}", ended.reason);
}

#[test]
fn what_was_planned_while_it_needed_fewer_is_not_done_once_it_needs_more() {
    let mut lab = web(9);
    lab.clusters.values_mut().next().unwrap().doc.mode = Mode::Recommend;
    let out = |percent| v1::WorkloadLoad { scaled_from: 2, scaled_to: 9, ..load(9, percent) };
    assert!(looks(&mut lab, &out(5), 960).is_empty());
    let asked = |lab: &Lab| {
        let plan = lab.open(IncidentKind::ScaledOut).plan_id.expect("a plan");
        lab.plans.values().find(|one| one.doc.id == plan).unwrap().doc.summary.clone()
    };
    assert!(asked(&lab).contains("in from 9 to 5"), "{}", asked(&lab));
    looks(&mut lab, &out(45), 960);
    assert!(asked(&lab).contains("in from 9 to 7"), "{}", asked(&lab));
}
