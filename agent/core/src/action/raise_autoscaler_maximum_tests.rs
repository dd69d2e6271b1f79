use serde_json::json;

use super::super::object::tests::{meta, target};
use super::*;
use crate::refusal::Code;

fn raise() -> v1::RaiseAutoscalerMaximum {
    v1::RaiseAutoscalerMaximum {
        autoscaler: target("h1"),
        target_kind: "Deployment".into(),
        target_name: "web".into(),
        from_replicas: 10,
        to_replicas: 15,
    }
}

fn autoscaler() -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        meta: meta("h1", ""),
        target_api_version: "apps/v1".into(),
        target_kind: "Deployment".into(),
        target_name: "web".into(),
        min_replicas: 2,
        max_replicas: 10,
        current_replicas: 10,
        desired_replicas: 10,
        able_to_scale: "True".into(),
        scaling_active: "True".into(),
        limited_reason: "TooManyReplicas".into(),
        metrics: vec![v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: 1_500 }],
        generation: 3,
        observed_generation: 3,
        ..v1::HorizontalPodAutoscaler::default()
    }
}

fn scaled(ready: u64) -> Value {
    json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 10 },
            "status": { "observedGeneration": 2, "replicas": 10, "updatedReplicas": 10, "readyReplicas": ready } })
}

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn asked(
    it: &v1::HorizontalPodAutoscaler,
    value: &Value,
    scaled: &Value,
    quotas: &[Value],
) -> Result<(), Refusal> {
    let pods = [PodAsks::default()];
    let found = AutoscalerNow {
        autoscaler: Some((it, value)),
        scaled: Some(scaled),
        pods: &pods,
        quotas,
        now: now(),
    };
    raise().preconditions(found)
}

#[test]
fn one_that_is_held_back_as_it_was_planned_on_may_be_raised() {
    assert_eq!(asked(&autoscaler(), &json!({}), &scaled(10), &[]), Ok(()));
    // Before Kubernetes 1.37 it does not say what it has seen.
    let older = v1::HorizontalPodAutoscaler { observed_generation: 0, ..autoscaler() };
    assert_eq!(asked(&older, &json!({}), &scaled(10), &[]), Ok(()));
}

#[test]
fn whatever_is_not_as_planned_keeps_its_maximum() {
    type Change = fn(&mut v1::HorizontalPodAutoscaler);
    let changes: [(&str, Change); 17] = [
        ("taken back by somebody", |it| it.raised_to = 15),
        ("one that never scales up", |it| it.never_scales_up = true),
        ("another object of that name", |it| it.meta.as_mut().unwrap().uid = "h2".into()),
        ("on its way out", |it| it.meta.as_mut().unwrap().deleting_since_us = 1),
        ("raised by somebody else", |it| it.max_replicas = 12),
        ("a maximum that makes no sense", |it| it.max_replicas = -1),
        ("of another Deployment", |it| it.target_name = "api".into()),
        ("of another kind", |it| it.target_kind = "StatefulSet".into()),
        ("of another group", |it| it.target_api_version = "example.com/v1".into()),
        ("pinned", |it| it.min_replicas = 10),
        ("not able to scale", |it| it.able_to_scale = "False".into()),
        ("switched off", |it| it.scaling_active = "False".into()),
        ("not looked at since it was changed", |it| it.observed_generation = 2),
        ("within its bounds", |it| it.limited_reason.clear()),
        ("at its minimum", |it| it.limited_reason = "TooFewReplicas".into()),
        ("load that went down", |it| it.metrics[0].of_aim_permille = 1_000),
        ("a metric that is not known", |it| it.metrics[0].of_aim_permille = 0),
    ];
    for (what, change) in changes {
        let mut other = autoscaler();
        change(&mut other);
        let refusal = asked(&other, &json!({}), &scaled(10), &[]).expect_err(what);
        assert_eq!(refusal.code, Code::PreconditionFailed, "{what}");
    }
    let managed = v1::HorizontalPodAutoscaler { manager: "keda".into(), ..autoscaler() };
    assert!(asked(&managed, &json!({}), &scaled(10), &[]).unwrap_err().to_string().contains("keda"));
    let pods = [PodAsks::default()];
    let (it, value, full) = (autoscaler(), json!({}), scaled(10));
    let found = AutoscalerNow {
        autoscaler: Some((&it, &value)),
        scaled: Some(&full),
        pods: &pods,
        quotas: &[],
        now: now(),
    };
    assert!(raise().preconditions(AutoscalerNow { autoscaler: None, ..found }).is_err());
    assert!(raise().preconditions(AutoscalerNow { scaled: None, ..found }).is_err());
    assert!(raise().preconditions(AutoscalerNow { pods: &[], ..found }).is_err());
}

#[test]
fn pods_that_are_not_ready_and_quotas_without_room_are_named() {
    let refused = |scaled: &Value, quotas: &[Value]| {
        asked(&autoscaler(), &json!({}), scaled, quotas).unwrap_err().to_string()
    };
    assert!(refused(&scaled(9), &[]).contains("expected 10 pods of Deployment web that are ready, found 9"));
    let mut behind = scaled(10);
    behind["metadata"]["generation"] = json!(3);
    assert!(refused(&behind, &[]).contains("without a rollout"));
    let mut paused = scaled(10);
    paused["spec"]["paused"] = json!(true);
    assert!(refused(&paused, &[]).contains("it is paused"));
    let going = json!({ "metadata": { "generation": 2, "deletionTimestamp": "2026-12-01T00:00:00Z" }, "status": scaled(10)["status"] });
    assert!(refused(&going, &[]).contains("being deleted"));
    let quota = json!({ "metadata": { "name": "team" }, "status": { "hard": { "pods": "14" }, "used": { "pods": "10" } } });
    let reason = refused(&scaled(10), &[quota]);
    assert!(reason.contains(MORE_REPLICAS) && reason.contains("5 more pods need 5"), "{reason}");
}

#[test]
fn it_is_raised_no_sooner_than_five_minutes_after_it_was_raised_last() {
    for (at, may) in [
        ("2026-12-01T11:54:00Z", true),
        ("2026-12-01T11:56:00Z", false),
        ("2026-12-01T12:04:00Z", false),
        ("2028-12-01T12:00:00Z", true),
        ("long ago", true),
    ] {
        let raised = json!({"metadata": {"annotations": {RAISED_MAXIMUM: format!("10 {at}")}}});
        assert_eq!(asked(&autoscaler(), &raised, &scaled(10), &[]).is_ok(), may, "{at}");
    }
}

#[test]
fn a_step_is_at_most_twice_and_to_a_thousand() {
    assert_eq!(raise().well_formed(), Ok(()));
    for (from_replicas, to_replicas) in [(10, 10), (10, 9), (10, 21), (0, 1), (600, 1_001)] {
        let raise = v1::RaiseAutoscalerMaximum { from_replicas, to_replicas, ..raise() };
        assert!(raise.well_formed().is_err(), "{from_replicas} {to_replicas}");
    }
    assert!(v1::RaiseAutoscalerMaximum { target_kind: "Rollout".into(), ..raise() }.well_formed().is_err());
    assert!(v1::RaiseAutoscalerMaximum { target_name: String::new(), ..raise() }.well_formed().is_err());
    assert!(v1::RaiseAutoscalerMaximum { autoscaler: None, ..raise() }.well_formed().is_err());
}
