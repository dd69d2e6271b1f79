use serde_json::json;

use super::super::object::tests::{meta, target};
use super::*;
use crate::observe::kube::load::{SCALE_TO, SCALED};
use crate::refusal::Code;

fn out() -> v1::ScaleWorkload {
    v1::ScaleWorkload {
        workload: target("d1"),
        kind: "Deployment".into(),
        from_replicas: 2,
        to_replicas: 4,
        base_replicas: 2,
    }
}

fn load() -> v1::WorkloadLoad {
    v1::WorkloadLoad {
        meta: meta("d1", ""),
        kind: "Deployment".into(),
        replicas: 2,
        ready: 2,
        settled: true,
        pods: 2,
        measured: 2,
        used_milli: 1_900,
        asked_milli: 2_000,
        scale_to: 6,
        ..v1::WorkloadLoad::default()
    }
}

fn object(replicas: u32, scaled: &str) -> Value {
    json!({ "metadata": { "uid": "d1", "labels": { SCALE_TO: "6" }, "annotations": { SCALED: scaled } }, "spec": { "replicas": replicas } })
}

fn pod(ready: &str) -> LoadedPod {
    let pod = json!({ "metadata": { "name": "a" }, "spec": { "containers": [{ "resources": { "requests": { "cpu": "1" } } }] },
                      "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }] } });
    serde_json::from_value(pod).unwrap()
}

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn asked(action: &v1::ScaleWorkload, load: &v1::WorkloadLoad, value: &Value) -> Result<(), Refusal> {
    let pods = vec![pod("True"); usize::try_from(load.replicas).unwrap()];
    action.preconditions(ScaledNow {
        workload: Some((load, value)),
        pods: &pods,
        autoscalers: &[],
        quotas: &[],
        now: now(),
    })
}

#[test]
fn one_that_is_as_planned_gets_more_and_later_fewer() {
    assert_eq!(asked(&out(), &load(), &object(2, "")), Ok(()));
    // Once more, and back.
    let again = v1::ScaleWorkload { from_replicas: 4, to_replicas: 6, ..out() };
    let four = v1::WorkloadLoad { replicas: 4, ..load() };
    let scaled = object(4, "2 4 2026-12-01T11:00:00Z d1");
    assert_eq!(asked(&again, &four, &scaled), Ok(()));
    let back = v1::ScaleWorkload { from_replicas: 4, to_replicas: 3, ..out() };
    assert_eq!(asked(&back, &four, &scaled), Ok(()));
    // Somebody set a smaller number since: two that write against each other help nobody.
    let taken_back = object(2, "2 4 2026-12-01T11:00:00Z d1");
    assert!(asked(&out(), &load(), &taken_back).unwrap_err().to_string().contains("took back"));
    // Its label went meanwhile: what was added goes back all the same.
    assert_eq!(asked(&back, &v1::WorkloadLoad { scale_to: 0, ..four }, &scaled), Ok(()));
}

#[test]
fn what_nimbus_did_not_scale_out_gets_no_fewer() {
    let back = v1::ScaleWorkload { from_replicas: 4, to_replicas: 3, ..out() };
    let four = v1::WorkloadLoad { replicas: 4, ..load() };
    for scaled in [
        "",
        "2 5 2026-12-01T11:00:00Z d1",
        "2 3 2026-12-01T11:00:00Z d1",
        "1 4 2026-12-01T11:00:00Z d1",
        "4 4 2026-12-01T11:00:00Z d1",
        "2 4 2026-12-01T11:00:00Z d2",
    ] {
        assert!(asked(&back, &four, &object(4, scaled)).is_err(), "{scaled}");
    }
}

#[test]
fn whatever_is_not_as_planned_keeps_its_number() {
    type Change = fn(&mut v1::WorkloadLoad);
    let changes: [(&str, Change); 7] = [
        ("another object of that name", |it| it.meta.as_mut().unwrap().uid = "d2".into()),
        ("on its way out", |it| it.meta.as_mut().unwrap().deleting_since_us = 1),
        ("scaled by somebody else", |it| it.replicas = 3),
        ("a rollout", |it| it.settled = false),
        ("a smaller bound", |it| it.scale_to = 3),
        ("no bound", |it| it.scale_to = 0),
        ("set vertically", |it| it.vertical = "annotation vpaUpdates".into()),
    ];
    for (what, change) in changes {
        let mut other = load();
        change(&mut other);
        let refusal = asked(&out(), &other, &object(2, "")).expect_err(what);
        assert_eq!(refusal.code, Code::PreconditionFailed, "{what}");
    }
    let managed = v1::WorkloadLoad { manager: "keda".into(), ..load() };
    assert!(asked(&out(), &managed, &object(2, "")).unwrap_err().to_string().contains("keda"));
    let (load, value, two) = (load(), object(2, ""), [pod("True"), pod("True")]);
    let found =
        ScaledNow { workload: Some((&load, &value)), pods: &two, autoscalers: &[], quotas: &[], now: now() };
    assert_eq!(out().preconditions(found), Ok(()));
    assert!(out().preconditions(ScaledNow { workload: None, ..found }).is_err());
    let one = [pod("True"), pod("False")];
    assert!(out().preconditions(ScaledNow { pods: &one, ..found }).is_err(), "a pod is not ready");
    let hpa = |kind: &str, name: &str| {
        [
            json!({ "metadata": { "name": "web" }, "spec": { "scaleTargetRef": { "kind": kind, "name": name } } }),
        ]
    };
    let name = out().workload.unwrap().name;
    let refusal =
        out().preconditions(ScaledNow { autoscalers: &hpa("Deployment", &name), ..found }).unwrap_err();
    assert!(refusal.to_string().contains("HorizontalPodAutoscaler web"), "{refusal}");
    assert_eq!(out().preconditions(ScaledNow { autoscalers: &hpa("StatefulSet", &name), ..found }), Ok(()));
    assert_eq!(out().preconditions(ScaledNow { autoscalers: &hpa("Deployment", "api"), ..found }), Ok(()));
    let quota = [
        json!({ "metadata": { "name": "team" }, "status": { "hard": { "requests.cpu": "3" }, "used": { "requests.cpu": "2" } } }),
    ];
    let refusal = out().preconditions(ScaledNow { quotas: &quota, ..found }).unwrap_err().to_string();
    assert!(refusal.contains(MORE_REPLICAS) && refusal.contains("2 more pods need 2"), "{refusal}");
}

#[test]
fn it_is_scaled_no_sooner_than_a_minute_after_it_was_scaled_last() {
    for (at, may) in [
        ("2026-12-01T11:58:30Z", true),
        ("2026-12-01T11:59:30Z", false),
        ("2026-12-01T12:00:30Z", false),
        ("2028-12-01T12:00:00Z", true),
    ] {
        let value = object(2, &format!("1 2 {at} d1"));
        let again = v1::ScaleWorkload { base_replicas: 1, ..out() };
        assert_eq!(asked(&again, &load(), &value).is_ok(), may, "{at}");
    }
}

#[test]
fn a_step_is_at_most_twice_and_never_below_what_it_had() {
    assert_eq!(out().well_formed(), Ok(()));
    let steps =
        [(2, 2, 2), (2, 5, 2), (2, 1, 2), (4, 1, 2), (0, 1, 0), (2, 4, 0), (2, 4, 3), (600, 1_001, 2)];
    for (from_replicas, to_replicas, base_replicas) in steps {
        let scale = v1::ScaleWorkload { from_replicas, to_replicas, base_replicas, ..out() };
        assert!(scale.well_formed().is_err(), "{from_replicas} {to_replicas} {base_replicas}");
    }
    assert!(v1::ScaleWorkload { kind: "DaemonSet".into(), ..out() }.well_formed().is_err());
    assert!(v1::ScaleWorkload { workload: None, ..out() }.well_formed().is_err());
}
