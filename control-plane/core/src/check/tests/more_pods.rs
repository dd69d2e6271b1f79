//! The checker against plans that give a workload more pods: each that is not what is there, or too much, is refused by itself.

use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::Plan;
use crate::testing::ActionBody;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

type Change<T> = fn(&mut T);

/// The numbers of the invariants that a plan would break if it went out now, with its action changed so. That no person approved it yet is
/// left out.
fn broken(lab: &Lab, change: impl FnOnce(&mut ActionBody)) -> Vec<u8> {
    let mut plan: Plan = lab.plans.values().next().unwrap().doc.clone();
    let mut action = plan.action.body().unwrap().clone();
    change(&mut action);
    plan.action = action.into();
    plan.digest = plan.computed_digest();
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    found.iter().map(|violation| violation.invariant).filter(|number| [3, 4, 5, 9].contains(number)).collect()
}

fn at_maximum() -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        limited_reason: "TooManyReplicas".into(),
        metrics: vec![v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: 1_500 }],
        ..autoscaler("web", 10)
    }
}

/// A plan from 10 to 15 replicas.
fn held_back() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 10, 1);
    lab.see(Body::HorizontalPodAutoscaler(at_maximum()));
    lab.pass(360);
    lab.diagnose();
    lab.plan();
    lab
}

fn raises(change: Change<v1::RaiseAutoscalerMaximum>) -> impl FnOnce(&mut ActionBody) {
    move |action| {
        let ActionBody::RaiseAutoscalerMaximum(action) = action else { panic!("{action:?}") };
        change(action);
    }
}

#[test]
fn a_raise_that_says_something_else_than_what_is_there_is_refused() {
    let lab = held_back();
    assert!(broken(&lab, |_| {}).is_empty(), "{:?}", broken(&lab, |_| {}));
    let changes: [Change<v1::RaiseAutoscalerMaximum>; 8] = [
        |a| a.autoscaler.as_mut().unwrap().uid.push('x'),
        |a| a.target_kind = "StatefulSet".into(),
        |a| a.target_name = "api".into(),
        |a| a.from_replicas = 9,
        |a| a.to_replicas = 10,
        |a| a.to_replicas = 9,
        |a| a.to_replicas = 21,
        |a| a.autoscaler = None,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert!(!broken(&lab, raises(change)).is_empty(), "{at}");
    }
    let mut low = held_back();
    low.settings.autoscalers.ceiling_replicas = 14;
    assert_eq!(broken(&low, |_| {}), [3]);
}

#[test]
fn a_raise_needs_an_autoscaler_that_wants_it_now_and_is_nobody_elses() {
    let changes: [(Change<v1::HorizontalPodAutoscaler>, u8); 12] = [
        (|it| it.max_replicas = 12, 3),
        (|it| it.manager = "argocd".into(), 9),
        (|it| it.raised_to = 15, 9),
        (|it| it.min_replicas = 10, 9),
        (|it| it.never_scales_up = true, 3),
        (|it| it.target_api_version = "example.com/v1".into(), 3),
        (|it| it.meta.as_mut().unwrap().deleting_since_us = 1, 3),
        (|it| it.metrics[0].of_aim_permille = 1_000, 3),
        (|it| it.metrics.clear(), 3),
        (|it| it.limited_reason.clear(), 3),
        (|it| it.scaling_active = "Unknown".into(), 3),
        (|it| it.generation = 9, 3),
    ];
    for (at, (change, number)) in changes.into_iter().enumerate() {
        let mut lab = held_back();
        let mut told = at_maximum();
        change(&mut told);
        lab.see(Body::HorizontalPodAutoscaler(told));
        assert!(broken(&lab, |_| {}).contains(&number), "{at}: {:?}", broken(&lab, |_| {}));
    }
}

#[test]
fn a_raise_needs_pods_that_are_ready_a_rollout_that_is_over_and_a_node() {
    let changes: [Change<Lab>; 5] = [
        |lab| {
            lab.see(Body::Pod(v1::Pod { ready: false, ..pod("web-1", "1", "node-a") }));
        },
        |lab| {
            lab.see(gone("Pod", "pod-web-1-9"));
        },
        |lab| {
            lab.see(Body::Deployment(v1::Deployment { updated: 9, ..deployment("web", 10, 1) }));
        },
        |lab| {
            lab.see(Body::Deployment(v1::Deployment { paused: true, ..deployment("web", 10, 1) }));
        },
        |lab| {
            for name in ["node-a", "node-b"] {
                let facts = v1::NodeFacts { pods: 0, ..node(name).facts.unwrap() };
                lab.see(Body::Node(v1::Node { facts: Some(facts), ..node(name) }));
            }
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut lab = held_back();
        change(&mut lab);
        assert!(broken(&lab, |_| {}).contains(&3), "{at}");
    }
    // One that is on its way out is no pod of it any more.
    let mut lab = held_back();
    let going = pod("web-1", "going", "node-a");
    let meta = v1::ObjectMeta { deleting_since_us: 1, ..going.meta.clone().unwrap() };
    lab.see(Body::Pod(v1::Pod { meta: Some(meta), ready: false, ..going }));
    assert!(broken(&lab, |_| {}).is_empty());
}

fn load(percent: u64) -> v1::WorkloadLoad {
    v1::WorkloadLoad {
        meta: Some(meta("dep", "web", None)),
        kind: "Deployment".into(),
        replicas: 3,
        ready: 3,
        settled: true,
        pods: 3,
        measured: 3,
        used_milli: 30 * percent,
        asked_milli: 3_000,
        scale_to: 10,
        ..v1::WorkloadLoad::default()
    }
}

/// A plan from three to five replicas, or, where Nimbus scaled it out, back to one.
fn scaled(told: &v1::WorkloadLoad, seconds: i64) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    for _ in 0..=seconds / 30 {
        lab.see(Body::WorkloadLoad(told.clone()));
        lab.pass(30);
    }
    lab.diagnose();
    lab.plan();
    lab
}

fn out() -> Lab {
    scaled(&load(90), 330)
}

fn calm() -> v1::WorkloadLoad {
    v1::WorkloadLoad { scaled_from: 1, scaled_to: 3, ..load(10) }
}

fn scales(change: Change<v1::ScaleWorkload>) -> impl FnOnce(&mut ActionBody) {
    move |action| {
        let ActionBody::ScaleWorkload(action) = action else { panic!("{action:?}") };
        change(action);
    }
}

#[test]
fn a_scale_that_says_something_else_than_what_is_there_is_refused() {
    let lab = out();
    assert!(broken(&lab, |_| {}).is_empty(), "{:?}", broken(&lab, |_| {}));
    let changes: [Change<v1::ScaleWorkload>; 8] = [
        |a| a.workload.as_mut().unwrap().uid.push('x'),
        |a| a.workload = None,
        |a| a.kind = "StatefulSet".into(),
        |a| a.from_replicas = 4,
        |a| a.to_replicas = 3,
        |a| a.to_replicas = 2,
        |a| a.to_replicas = 7,
        |a| a.base_replicas = 2,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert!(!broken(&lab, scales(change)).is_empty(), "{at}");
    }
    let mut low = out();
    low.settings.load.ceiling_replicas = 4;
    assert_eq!(broken(&low, |_| {}), [3]);
    // Back in: no further than what it had.
    let lab = scaled(&calm(), 930);
    assert!(broken(&lab, |_| {}).is_empty(), "{:?}", broken(&lab, |_| {}));
    assert!(!broken(&lab, scales(|a| (a.to_replicas, a.base_replicas) = (0, 0))).is_empty());
}

#[test]
fn a_scale_needs_a_load_that_wants_it_now_and_is_nobody_elses() {
    let changes: [(Change<v1::WorkloadLoad>, u8); 11] = [
        (|it| it.used_milli = 2_399, 3),
        (|it| it.measured = 2, 3),
        (|it| it.pods = 4, 3),
        (|it| it.asked_milli = 0, 3),
        (|it| it.settled = false, 3),
        (|it| it.ready = 2, 3),
        (|it| it.replicas = 4, 3),
        (|it| it.scale_to = 4, 3),
        (|it| it.manager = "keda".into(), 9),
        (|it| it.vertical = "annotation vpaUpdates".into(), 9),
        (|it| (it.scaled_from, it.scaled_to) = (3, 5), 9),
    ];
    for (at, (change, number)) in changes.into_iter().enumerate() {
        let mut lab = out();
        let mut told = load(90);
        change(&mut told);
        lab.see(Body::WorkloadLoad(told));
        assert!(broken(&lab, |_| {}).contains(&number), "{at}: {:?}", broken(&lab, |_| {}));
    }
    let mut lab = out();
    lab.see(Body::HorizontalPodAutoscaler(autoscaler("web", 10)));
    assert!(broken(&lab, |_| {}).contains(&9));
    let mut lab = out();
    lab.pass(200);
    assert!(broken(&lab, |_| {}).contains(&3), "nobody looked for minutes");
    let mut lab = scaled(&calm(), 930);
    lab.see(Body::WorkloadLoad(v1::WorkloadLoad { used_milli: 1_600, ..calm() }));
    assert!(broken(&lab, |_| {}).contains(&3), "it is not calm");
    let mut lab = scaled(&calm(), 930);
    lab.see(Body::WorkloadLoad(v1::WorkloadLoad { scaled_to: 4, ..calm() }));
    assert!(broken(&lab, |_| {}).contains(&9), "somebody set another number");
    let mut lab = scaled(&calm(), 930);
    lab.see(Body::WorkloadLoad(v1::WorkloadLoad { scaled_to: 2, ..calm() }));
    assert!(broken(&lab, |_| {}).contains(&9), "somebody set a greater number");
}

/// A job of this plan that took effect so long ago.
fn done(lab: &mut Lab, seconds: i64, times: usize) {
    let plan = lab.plans.values().next().unwrap().doc.clone();
    for _ in 0..times {
        let mut job = crate::testing::job(crate::testing::lab::agent_id());
        job.id = nimbus_protocol::ids::JobId::new(&mut lab.ids);
        (job.action, job.object, job.scope) =
            (plan.action.kind().unwrap(), plan.object.clone(), plan.scope.clone());
        (job.state, job.attempts_reset_at) = (crate::model::JobState::Succeeded, Some(lab.now));
        job.applied_at = Some(lab.now - jiff::SignedDuration::from_secs(seconds));
        job.finished_at = job.applied_at;
        lab.jobs.insert(job.id.to_string(), crate::model::Versioned { version: 1, doc: job });
    }
}

#[test]
fn neither_is_done_too_soon_nor_too_often() {
    for (make, least, most) in [(held_back as fn() -> Lab, 1_800, 3), (out as fn() -> Lab, 300, 12)] {
        let mut lab = make();
        done(&mut lab, least - 1, 1);
        assert!(broken(&lab, |_| {}).contains(&5));
        let mut lab = make();
        done(&mut lab, least, most - 1);
        assert!(broken(&lab, |_| {}).is_empty(), "{:?}", broken(&lab, |_| {}));
        done(&mut lab, least, 1);
        assert!(broken(&lab, |_| {}).contains(&5));
    }
}

#[test]
fn a_scale_needs_a_node_a_rollout_that_is_over_a_load_that_lasts_and_nobody_else_who_adds() {
    let changes: [(Change<Lab>, u8); 5] = [
        (
            |lab| {
                for name in ["node-a", "node-b"] {
                    let facts = v1::NodeFacts { pods: 0, ..node(name).facts.unwrap() };
                    lab.see(Body::Node(v1::Node { facts: Some(facts), ..node(name) }));
                }
            },
            3,
        ),
        (
            |lab| {
                lab.see(Body::Deployment(v1::Deployment { updated: 2, ..deployment("web", 3, 1) }));
            },
            3,
        ),
        (|lab| lab.settings.load.busy_s = 3_600, 3),
        (|lab| lab.settings.load.step_percent = 33, 3),
        (
            |lab| {
                let scope = lab.plans.values().next().unwrap().doc.scope.clone();
                let mut job = crate::testing::job(crate::testing::lab::agent_id());
                job.id = nimbus_protocol::ids::JobId::new(&mut lab.ids);
                (job.action, job.scope) = (crate::model::ActionKind::RaiseAutoscalerMaximum, scope);
                job.state = crate::model::JobState::Running;
                job.plan_id = nimbus_protocol::ids::PlanId::new(&mut lab.ids);
                lab.jobs.insert(job.id.to_string(), crate::model::Versioned { version: 1, doc: job });
            },
            4,
        ),
    ];
    for (at, (change, number)) in changes.into_iter().enumerate() {
        let mut lab = out();
        change(&mut lab);
        assert!(broken(&lab, |_| {}).contains(&number), "{at}: {:?}", broken(&lab, |_| {}));
    }
}
