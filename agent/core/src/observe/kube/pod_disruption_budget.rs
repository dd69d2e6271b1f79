//! The slim PodDisruptionBudget: which pods it guards, and how many of them may go now.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;
use serde_json::Value;

use super::selector::SlimSelector;
use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// A PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimPodDisruptionBudget {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    min_available: Option<Value>,
    max_unavailable: Option<Value>,
    selector: Option<SlimSelector>,
    unhealthy_pod_eviction_policy: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    disruptions_allowed: i32,
    current_healthy: i32,
    desired_healthy: i32,
    expected_pods: i32,
}

impl Slim for SlimPodDisruptionBudget {
    const KIND: ObjectKind = ObjectKind::PodDisruptionBudget;
    const PATH: &'static str = "/apis/policy/v1/poddisruptionbudgets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (spec, status) = (&self.spec, &self.status);
        let told = spec.selector.as_ref().map(SlimSelector::observe);
        let selector_complete = told.as_ref().is_none_or(|(_, complete)| *complete);
        v1::observation::Body::PodDisruptionBudget(v1::PodDisruptionBudget {
            meta: Some(self.metadata.observe()),
            generation: self.metadata.generation,
            observed_generation: status.observed_generation,
            selector: told.map(|(selector, _)| selector),
            selector_complete,
            min_available: written(spec.min_available.as_ref()),
            max_unavailable: written(spec.max_unavailable.as_ref()),
            unhealthy_pod_eviction_policy: bounded(
                spec.unhealthy_pod_eviction_policy.as_deref().unwrap_or_default(),
            ),
            disruptions_allowed: status.disruptions_allowed,
            current_healthy: status.current_healthy,
            desired_healthy: status.desired_healthy,
            expected_pods: status.expected_pods,
        })
    }
}

/// A number or a percentage, as it is written.
fn written(bound: Option<&Value>) -> String {
    let Some(bound) = bound else { return String::new() };
    bound.as_str().map_or_else(|| bounded(&bound.to_string()), bounded)
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    fn seen(object: Value) -> v1::PodDisruptionBudget {
        let body = serde_json::from_value::<SlimPodDisruptionBudget>(object).unwrap().observe();
        let Body::PodDisruptionBudget(seen) = body else { panic!() };
        seen
    }

    #[test]
    fn its_bounds_its_selector_and_its_figures_are_told() {
        let budget = seen(json!({
            "metadata": {"uid": "b", "name": "web-guard", "namespace": "shop", "generation": 3},
            "spec": {
                "minAvailable": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
            "status": {
                "observedGeneration": 2, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2,
                "expectedPods": 4, "conditions": [],
            },
        }));
        let expected = v1::PodDisruptionBudget {
            meta: budget.meta.clone(),
            generation: 3,
            observed_generation: 2,
            selector: Some(v1::LabelSelector {
                match_labels: vec![v1::Label { key: "app".into(), value: "web".into() }],
                match_expressions: Vec::new(),
            }),
            selector_complete: true,
            min_available: "2".into(),
            max_unavailable: String::new(),
            unhealthy_pod_eviction_policy: "AlwaysAllow".into(),
            disruptions_allowed: 1,
            current_healthy: 3,
            desired_healthy: 2,
            expected_pods: 4,
        };
        assert_eq!(budget, expected);
        assert_eq!(budget.meta.unwrap().name, "web-guard");
    }

    #[test]
    fn no_selector_is_another_thing_than_an_empty_one() {
        let without = seen(json!({"metadata": {"uid": "b"}, "spec": {"maxUnavailable": "25%"}}));
        assert_eq!((without.selector, without.selector_complete), (None, true));
        assert_eq!((without.min_available.as_str(), without.max_unavailable.as_str()), ("", "25%"));
        let empty = seen(json!({"metadata": {"uid": "b"}, "spec": {"selector": {}}}));
        assert_eq!((empty.selector, empty.selector_complete), (Some(v1::LabelSelector::default()), true));
    }
}
