//! The slim HorizontalPodAutoscaler: what it scales, within which bounds, and whether it would go beyond them.
//!
//! What it measures changes all the time, and is told only while the autoscaler is held at its maximum, in steps of a tenth of the
//! aim. Messages, which name another pod each time, are not told at all. So an autoscaler within its bounds costs an observation for each
//! change of its replicas or of a condition's word, and no more.

use nimbus_protocol::{ObjectKind, quantity, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition, count};
use crate::observe::bounded;

/// The reason of `ScalingLimited` by which Kubernetes says that more replicas are wanted than there may be.
const AT_MAXIMUM: &str = "TooManyReplicas";
/// Most metrics that are told of one autoscaler; that there are more is told as one that is not known.
const MOST_METRICS: usize = 16;
/// In which steps a measured figure is told, thousandths of the aim. It is rounded up, so that what is reckoned from it is not too little.
const STEP: u64 = 100;
/// So much or more is told as this, thousandths of the aim.
const MOST: u64 = 100_000;

/// A HorizontalPodAutoscaler of `autoscaling/v2`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimHorizontalPodAutoscaler {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    scale_target_ref: Target,
    min_replicas: Option<i64>,
    max_replicas: Option<i64>,
    metrics: Option<Vec<Metric>>,
    behavior: Behavior,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Behavior {
    scale_up: Rules,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rules {
    select_policy: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    api_version: String,
    kind: String,
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    current_replicas: Option<i64>,
    desired_replicas: Option<i64>,
    conditions: Option<Vec<Condition>>,
    current_metrics: Option<Vec<Metric>>,
}

/// What is aimed at in the specification, or what is measured in the status: one of these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metric {
    resource: Option<Source>,
    container_resource: Option<Source>,
    pods: Option<Source>,
    object: Option<Source>,
    external: Option<Source>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Source {
    name: String,
    container: String,
    metric: Named,
    target: Option<Figure>,
    current: Option<Figure>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// Of these the one that is aimed at is compared with the same one that is measured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Figure {
    average_utilization: Option<i64>,
    average_value: Option<String>,
    value: Option<String>,
}

impl Figure {
    /// What `self` measures in thousandths of what `aim` names; `None` where not both are told.
    fn of_aim(&self, aim: &Self) -> Option<u64> {
        let of = |text: Option<&String>| quantity::scaled(text?, 1_000);
        let pairs = [
            (self.average_utilization, aim.average_utilization),
            (of(self.average_value.as_ref()), of(aim.average_value.as_ref())),
            (of(self.value.as_ref()), of(aim.value.as_ref())),
        ];
        let (measured, aim) = pairs.into_iter().find_map(|(measured, aim)| Some((measured?, aim?)))?;
        let (measured, aim) =
            (u64::try_from(measured).ok()?, u64::try_from(aim).ok().filter(|aim| *aim > 0)?);
        let exact = u128::from(measured) * 1_000 / u128::from(aim);
        Some(u64::try_from(exact).unwrap_or(MOST).min(MOST))
    }
}

impl Metric {
    /// Its kind, and what it says.
    fn source(&self) -> Option<(&'static str, &Source)> {
        let all = [
            ("resource", &self.resource),
            ("container", &self.container_resource),
            ("pods", &self.pods),
            ("object", &self.object),
            ("external", &self.external),
        ];
        all.into_iter().find_map(|(kind, source)| Some((kind, source.as_ref()?)))
    }
}

/// What it is called, such as `cpu` or `pods/requests_per_second`.
fn name(kind: &str, source: &Source) -> String {
    match kind {
        "resource" => source.name.clone(),
        "container" => format!("{} of container {}", source.name, source.container),
        _ => format!("{kind}/{}", source.metric.name),
    }
}

/// Each metric that is aimed at, with what is measured of it. The controller tells them in the order of the specification, and
/// leaves the place of one that it could not read empty.
fn metrics(spec: &Spec, status: &Status) -> Vec<v1::AutoscalerMetric> {
    let current = status.current_metrics.as_deref().unwrap_or_default();
    let unknown = |name: &str| v1::AutoscalerMetric { name: bounded(name), of_aim_permille: 0 };
    let tell = |(at, aimed): (usize, &Metric)| {
        let Some((kind, source)) = aimed.source() else {
            return unknown("a metric of a sort that is not known");
        };
        let name = name(kind, source);
        let measured = || {
            let (is, measured) = current.get(at)?.source()?;
            let same = is == kind && self::name(is, measured) == name;
            measured.current.as_ref().filter(|_| same)?.of_aim(source.target.as_ref()?)
        };
        // Nothing used is told as hardly anything: 0 is what was not told.
        let told = measured().map(|exact| exact.max(1).next_multiple_of(STEP).min(MOST));
        v1::AutoscalerMetric { of_aim_permille: told.unwrap_or(0), ..unknown(&name) }
    };
    let all = spec.metrics.as_deref().unwrap_or_default();
    let mut told: Vec<v1::AutoscalerMetric> = all.iter().enumerate().take(MOST_METRICS).map(tell).collect();
    told.extend((all.len() > MOST_METRICS).then(|| unknown("the other metrics")));
    told
}

fn number(value: Option<i64>, without: i32) -> i32 {
    value.map_or(without, |value| i32::try_from(value).unwrap_or(i32::MAX))
}

impl Slim for SlimHorizontalPodAutoscaler {
    const KIND: ObjectKind = ObjectKind::HorizontalPodAutoscaler;
    const PATH: &'static str = "/apis/autoscaling/v2/horizontalpodautoscalers";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (spec, status) = (&self.spec, &self.status);
        let (manager, evidence) = self.metadata.manager_of_bounds().unwrap_or_default();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let able = condition(conditions, "AbleToScale");
        let active = condition(conditions, "ScalingActive");
        let limited = condition(conditions, "ScalingLimited").filter(|one| one.status == "True");
        let is_at_maximum = limited.is_some_and(|one| one.reason == AT_MAXIMUM);
        let inactive = active.filter(|one| one.status != "True");
        v1::observation::Body::HorizontalPodAutoscaler(v1::HorizontalPodAutoscaler {
            meta: Some(self.metadata.observe()),
            target_api_version: bounded(&spec.scale_target_ref.api_version),
            target_kind: bounded(&spec.scale_target_ref.kind),
            target_name: bounded(&spec.scale_target_ref.name),
            min_replicas: number(spec.min_replicas, 1),
            max_replicas: number(spec.max_replicas, 0),
            current_replicas: i32::try_from(count(status.current_replicas)).unwrap_or(i32::MAX),
            desired_replicas: i32::try_from(count(status.desired_replicas)).unwrap_or(i32::MAX),
            able_to_scale: bounded(able.map_or("Unknown", |one| one.status.as_str())),
            scaling_active: bounded(active.map_or("Unknown", |one| one.status.as_str())),
            inactive_reason: bounded(inactive.map_or("", |one| one.reason.as_str())),
            limited_reason: bounded(limited.map_or("", |one| one.reason.as_str())),
            metrics: if is_at_maximum { metrics(spec, status) } else { Vec::new() },
            manager: manager.to_owned(),
            manager_evidence: bounded(&evidence),
            generation: self.metadata.generation,
            observed_generation: status.observed_generation,
            bounds_writer: bounded(self.metadata.bounds_writer().unwrap_or_default()),
            never_scales_up: spec.behavior.scale_up.select_policy == "Disabled",
            raised_to: self.metadata.raised_maximum().map_or(0, |(to, _)| to),
        })
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::{Value, json};

    use super::*;

    fn seen(object: Value) -> v1::HorizontalPodAutoscaler {
        let slim: SlimHorizontalPodAutoscaler = serde_json::from_value(object).unwrap();
        let Body::HorizontalPodAutoscaler(seen) = slim.observe() else { panic!() };
        seen
    }

    /// One at its maximum, with these aims and measurements.
    fn at_maximum(aims: &Value, measured: &Value) -> Value {
        json!({
            "metadata": {"uid": "h", "name": "web", "namespace": "shop", "generation": 3},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "maxReplicas": 10, "metrics": aims,
            },
            "status": {
                "currentReplicas": 10, "desiredReplicas": 10, "currentMetrics": measured, "observedGeneration": 3,
                "conditions": [
                    {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"},
                    {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"},
                    {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas",
                     "lastTransitionTime": "2026-11-30T10:00:00Z"},
                ],
            },
        })
    }

    fn permille(aim: &Value, measured: &Value) -> u64 {
        let (aims, measured) = (json!([aim]), json!([measured]));
        seen(at_maximum(&aims, &measured)).metrics[0].of_aim_permille
    }

    #[test]
    fn one_at_its_maximum_says_what_it_measures() {
        let aim = json!([{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]);
        let measured = json!([{"type": "Resource", "resource": {
            "name": "cpu", "current": {"averageUtilization": 95, "averageValue": "475m"}}}]);
        let seen = seen(at_maximum(&aim, &measured));
        assert_eq!((seen.min_replicas, seen.max_replicas, seen.current_replicas), (1, 10, 10));
        assert_eq!((seen.target_kind.as_str(), seen.target_name.as_str()), ("Deployment", "web"));
        let conditions =
            (seen.able_to_scale.as_str(), seen.scaling_active.as_str(), seen.limited_reason.as_str());
        assert_eq!(conditions, ("True", "True", "TooManyReplicas"));
        assert_eq!(seen.metrics, [v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: 1_600 }]);
    }

    #[test]
    fn each_sort_of_metric_is_compared_with_its_own_aim() {
        for (aim, measured, expected) in [
            (
                json!({"pods": {"metric": {"name": "rps"}, "target": {"averageValue": "100"}}}),
                json!({"pods": {"metric": {"name": "rps"}, "current": {"averageValue": "250"}}}),
                2_500,
            ),
            (
                json!({"external": {"metric": {"name": "queue"}, "target": {"value": "2k"}}}),
                json!({"external": {"metric": {"name": "queue"}, "current": {"value": "3k"}}}),
                1_500,
            ),
            (
                json!({"containerResource": {"name": "memory", "container": "app", "target": {"averageValue": "1Gi"}}}),
                json!({"containerResource": {"name": "memory", "container": "app", "current": {"averageValue": "1100Mi"}}}),
                1_100,
            ),
            // Half idle, and hardly anything at all: neither is not told.
            (
                json!({"resource": {"name": "cpu", "target": {"averageUtilization": 80}}}),
                json!({"resource": {"name": "cpu", "current": {"averageUtilization": 40}}}),
                500,
            ),
            (
                json!({"resource": {"name": "cpu", "target": {"averageUtilization": 80}}}),
                json!({"resource": {"name": "cpu", "current": {"averageUtilization": 0}}}),
                100,
            ),
            // A queue that holds a thousand times of what is aimed at.
            (
                json!({"external": {"metric": {"name": "queue"}, "target": {"averageValue": "5"}}}),
                json!({"external": {"metric": {"name": "queue"}, "current": {"averageValue": "5k"}}}),
                MOST,
            ),
        ] {
            assert_eq!(permille(&aim, &measured), expected, "{aim}");
        }
    }

    /// Absent is unknown, and never that nothing is used.
    #[test]
    fn what_is_not_measured_or_of_another_sort_is_not_told() {
        let aim = json!({"resource": {"name": "cpu", "target": {"averageUtilization": 60}}});
        for measured in [
            json!({}),
            json!({"type": ""}),
            json!({"resource": {"name": "memory", "current": {"averageUtilization": 90}}}),
            json!({"resource": {"name": "cpu", "current": {"averageValue": "475m"}}}),
            json!({"resource": {"name": "cpu"}}),
            json!({"resource": {"name": "cpu", "current": {"averageUtilization": -5}}}),
            json!({"pods": {"metric": {"name": "cpu"}, "current": {"averageUtilization": 95}}}),
        ] {
            assert_eq!(permille(&aim, &measured), 0, "{measured}");
        }
        let nothing = json!({"resource": {"name": "cpu", "target": {"averageUtilization": 0}}});
        let measured = json!({"resource": {"name": "cpu", "current": {"averageUtilization": 95}}});
        assert_eq!(permille(&nothing, &measured), 0);
        let none = seen(at_maximum(&json!(null), &json!(null)));
        assert_eq!(none.metrics, []);
        // A sort of metric that came later, and more of them than are told.
        let unknown = |object: Value| {
            let all = seen(object).metrics;
            (all.len(), all.last().map(|metric| (metric.name.clone(), metric.of_aim_permille)))
        };
        let later = at_maximum(&json!([{"type": "Later", "later": {}}]), &json!([{}]));
        assert_eq!(unknown(later), (1, Some(("a metric of a sort that is not known".to_owned(), 0))));
        let many = at_maximum(&json!(vec![aim; MOST_METRICS + 1]), &json!([]));
        assert_eq!(unknown(many), (MOST_METRICS + 1, Some(("the other metrics".to_owned(), 0))));
    }

    #[test]
    fn one_within_its_bounds_or_without_metrics_says_so_and_no_figures() {
        let mut object = at_maximum(&json!([]), &json!([]));
        object["status"]["conditions"] = json!([
            {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics API"},
            {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"},
        ]);
        let inside = seen(object.clone());
        let words =
            (inside.able_to_scale.as_str(), inside.limited_reason.as_str(), inside.inactive_reason.as_str());
        assert_eq!(words, ("Unknown", "", "FailedGetResourceMetric"));
        object["status"] = json!({});
        let new = seen(object);
        assert_eq!((new.scaling_active.as_str(), new.observed_generation), ("Unknown", 0));
    }

    #[test]
    fn whoever_writes_the_bounds_or_owns_it_keeps_it() {
        let managed = |manager: &str, field: &str| {
            let mut object = at_maximum(&json!([]), &json!([]));
            object["metadata"]["managedFields"] =
                json!([{"manager": manager, "fieldsV1": {"f:spec": {field: {}}}}]);
            seen(object).manager
        };
        assert_eq!(managed("argocd-controller", "f:maxReplicas"), "argocd");
        assert_eq!(managed("argocd-controller", "f:metrics"), "");
        assert_eq!(managed("kubectl-client-side-apply", "f:maxReplicas"), "");
        let mut keda = at_maximum(&json!([]), &json!([]));
        keda["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "s", "controller": true}]);
        let keda = seen(keda);
        assert!(!keda.manager.is_empty() && keda.manager_evidence.contains("ScaledObject"), "{keda:?}");
    }
}
