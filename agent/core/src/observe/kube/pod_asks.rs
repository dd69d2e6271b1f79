//! What a pod asks for of each resource, as the scheduler and quotas count it.

use std::collections::BTreeMap;

use nimbus_protocol::quantity;
use serde::Deserialize;
use serde_json::Value;

type Amounts = BTreeMap<String, Value>;

/// What a pod asks for, by its specification as the API server has it: the defaults of LimitRanges are in it already.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAsks {
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    overhead: Amounts,
    resources: Resources,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: String,
    resources: Resources,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Resources {
    limits: Amounts,
    requests: Amounts,
}

/// Which of its two figures a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Requests,
    Limits,
}

impl Resources {
    fn of(&self, resource: &str, counted: Counted) -> Option<i64> {
        let amounts = match counted {
            Counted::Requests => &self.requests,
            Counted::Limits => &self.limits,
        };
        match amounts.get(resource) {
            None => Some(0),
            Some(value) => amount(value, resource),
        }
    }
}

impl PodAsks {
    /// What its containers request, and those that stay beside them, in the units of [`amount`]; `None` where one of them requests nothing, or
    /// that cannot be read.
    pub(crate) fn of_those_that_stay(&self, resource: &str) -> Option<i64> {
        let staying = self.init_containers.iter().filter(|one| one.restart_policy == "Always");
        self.containers.iter().chain(staying).try_fold(0_i64, |sum, container| {
            let own = container.resources.requests.get(resource)?;
            Some(sum.saturating_add(amount(own, resource)?))
        })
    }

    /// What it has at once at most, in the units of [`amount`]; `None` where that cannot be read.
    pub(crate) fn of(&self, resource: &str, counted: Counted) -> Option<i64> {
        let (mut staying, mut beginning) = (0_i64, 0_i64);
        for container in &self.init_containers {
            let own = container.resources.of(resource, counted)?;
            if container.restart_policy == "Always" {
                staying = staying.saturating_add(own);
                beginning = beginning.max(staying);
            } else {
                beginning = beginning.max(staying.saturating_add(own));
            }
        }
        let mut running = staying;
        for container in &self.containers {
            running = running.saturating_add(container.resources.of(resource, counted)?);
        }
        // What is stated of the pod as a whole stands for all of its containers.
        let whole = self.resources.of(resource, counted)?;
        let overhead = self.overhead.get(resource).map_or(Some(0), |value| amount(value, resource))?;
        Some(running.max(beginning).max(whole).saturating_add(overhead))
    }
}

/// CPU in thousandths of one, all else in its own unit, rounded up.
pub(crate) fn amount(value: &Value, resource: &str) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    quantity::scaled(&text, if resource == "cpu" { 1_000 } else { 1 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: &Value) -> PodAsks {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// A pod of half a CPU and 64Mi, with a sidecar of a tenth.
    fn web() -> PodAsks {
        pod(&json!({
            "containers": [{ "resources": { "requests": { "cpu": "500m", "memory": "64Mi" }, "limits": { "memory": "128Mi" } } }],
            "initContainers": [
                { "restartPolicy": "Always", "resources": { "requests": { "cpu": "100m" } } },
                { "resources": { "requests": { "cpu": "300m", "memory": "96Mi" } } },
            ],
        }))
    }

    #[test]
    fn a_pod_asks_for_all_that_it_ever_has_at_once() {
        let web = web();
        assert_eq!(web.of("cpu", Counted::Requests), Some(600));
        assert_eq!(web.of("memory", Counted::Requests), Some(96 << 20), "its init container needs more");
        assert_eq!(web.of("memory", Counted::Limits), Some(128 << 20));
        assert_eq!(web.of("nvidia.com/gpu", Counted::Requests), Some(0));
        let whole = pod(
            &json!({ "containers": [{}], "resources": { "requests": { "cpu": "2" } }, "overhead": { "cpu": "250m" } }),
        );
        assert_eq!(whole.of("cpu", Counted::Requests), Some(2_250));
        let odd = pod(&json!({ "containers": [{ "resources": { "requests": { "cpu": "much" } } }] }));
        assert_eq!(odd.of("cpu", Counted::Requests), None);
    }
}
