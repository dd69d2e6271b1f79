//! Whether a namespace lets pods have a higher memory limit: its LimitRanges and ResourceQuotas, as they are now.
//!
//! The API server takes a changed pod template whatever they say, and then makes no pod of it. So this is asked before: what
//! cannot be read is no room, and a quota that counts only some pods is taken to count these.

use nimbus_protocol::quantity;
use serde_json::Value;

/// What a pod of the changed template asks for, in bytes, and how many pods of it there may be at once.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The container's limit and request, as the template will say; a request that is not stated is the limit.
    pub container: Sums,
    /// Those of a pod in all, as the template says now.
    pub before: Sums,
    /// Those of a pod in all, as the template will say.
    pub after: Sums,
    /// Pods that the Deployment wants.
    pub pods: u64,
    /// Pods that a rollout may make beside them.
    pub surge: u64,
}

/// A limit and a request, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// `limits.memory`.
    pub limit: u64,
    /// `requests.memory`.
    pub request: u64,
}

impl Sums {
    /// Of both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            limit: self.limit.saturating_add(other.limit),
            request: self.request.saturating_add(other.request),
        }
    }

    fn or_more(self, other: Self) -> Self {
        Self { limit: self.limit.max(other.limit), request: self.request.max(other.request) }
    }
}

/// What a container gets that states nothing, by the namespace's LimitRanges; of several the largest.
pub fn defaults(ranges: &[Value]) -> Sums {
    let items = ranges.iter().filter_map(|range| range["spec"]["limits"].as_array()).flatten();
    items.filter(|item| item["type"] == "Container").fold(Sums::default(), |sums, item| {
        let limit = bytes(&item["default"]["memory"]).unwrap_or(0);
        let request = bytes(&item["defaultRequest"]["memory"]).unwrap_or(limit);
        sums.or_more(Sums { limit, request })
    })
}

/// What a pod of this spec asks for in all, as the API server counts it: its containers and the init containers that stay, or
/// what one init container needs beside those that stay already, where that is more; and what its RuntimeClass adds.
pub fn of_pod(spec: &Value, defaults: Sums, overhead: u64) -> Sums {
    let all = |of: &str| spec[of].as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
    let mut staying = Sums::default();
    let mut beginning = Sums::default();
    for container in all("initContainers") {
        let own = of_container(&container, defaults);
        if container["restartPolicy"] == "Always" {
            staying = staying.plus(own);
            beginning = beginning.or_more(staying);
        } else {
            beginning = beginning.or_more(staying.plus(own));
        }
    }
    let running = all("containers").iter().fold(staying, |sums, one| sums.plus(of_container(one, defaults)));
    running.or_more(beginning).plus(Sums { limit: overhead, request: overhead })
}

fn of_container(container: &Value, defaults: Sums) -> Sums {
    let said = |of: &str| bytes(&container["resources"][of]["memory"]);
    let (limit, request) = (said("limits"), said("requests"));
    // A limit that is stated without a request is the request too, before any default.
    Sums { limit: limit.unwrap_or(defaults.limit), request: request.or(limit).unwrap_or(defaults.request) }
}

/// What stands in the way of it, if anything does: which object, what it allows, and what would be asked for.
pub fn obstacle(wanted: Wanted, ranges: &[Value], quotas: &[Value]) -> Option<String> {
    ranges.iter().find_map(|range| of_range(wanted, range)).or_else(|| {
        quotas.iter().find_map(|quota| {
            // Old and new pods stand beside each other during a rollout.
            let all = |before: u64, after: u64| {
                let grows = after.saturating_sub(before).saturating_mul(wanted.pods);
                grows.saturating_add(after.saturating_mul(wanted.surge))
            };
            let limit = all(wanted.before.limit, wanted.after.limit);
            let request = all(wanted.before.request, wanted.after.request);
            of_quota(quota, "limits.memory", limit)
                .or_else(|| of_quota(quota, "requests.memory", request))
                .or_else(|| of_quota(quota, "memory", request))
        })
    })
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("without a name")
}

fn of_range(wanted: Wanted, range: &Value) -> Option<String> {
    let items = range["spec"]["limits"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().find_map(|item| {
        let asked = match item["type"].as_str() {
            Some("Container") => wanted.container,
            Some("Pod") => wanted.after,
            // Of claims, and of kinds that Kubernetes does not have today.
            Some(_) | None => return None,
        };
        let kind = item["type"].as_str().unwrap_or_default();
        let most = &item["max"]["memory"];
        if !most.is_null() {
            let Some(most) = bytes(most) else {
                return Some(unread("LimitRange", name(range), "max.memory"));
            };
            if asked.limit > most {
                return Some(format!(
                    "LimitRange {} allows a {kind} {} of memory, and it would be {}",
                    name(range),
                    quantity::binary(most),
                    quantity::binary(asked.limit)
                ));
            }
        }
        let ratio = &item["maxLimitRequestRatio"]["memory"];
        if ratio.is_null() {
            return None;
        }
        let Some(thousandths) = thousandths(ratio) else {
            return Some(unread("LimitRange", name(range), "maxLimitRequestRatio.memory"));
        };
        (u128::from(asked.limit) * 1_000 > u128::from(asked.request) * u128::from(thousandths)).then(|| {
            format!(
                "LimitRange {} allows a {kind} a limit of {ratio} times the request, and it would be {} to {}",
                name(range),
                quantity::binary(asked.limit),
                quantity::binary(asked.request)
            )
        })
    })
}

fn of_quota(quota: &Value, what: &str, more: u64) -> Option<String> {
    let hard = &quota["status"]["hard"][what];
    // One that was just made has no status yet.
    let hard = if hard.is_null() { &quota["spec"]["hard"][what] } else { hard };
    if hard.is_null() || more == 0 {
        return None;
    }
    let used = &quota["status"]["used"][what];
    let (Some(hard), Some(used)) = (bytes(hard), bytes(used)) else {
        return Some(unread("ResourceQuota", name(quota), what));
    };
    (used.saturating_add(more) > hard).then(|| {
        format!(
            "ResourceQuota {} allows {} of {what}, of which {} are used, and the rollout needs {} more",
            name(quota),
            quantity::binary(hard),
            quantity::binary(used),
            quantity::binary(more)
        )
    })
}

fn unread(kind: &str, name: &str, what: &str) -> String {
    format!("{what} of {kind} {name} cannot be read, so whether there is room is not known")
}

/// An amount of memory in a manifest, in bytes.
pub fn bytes(value: &Value) -> Option<u64> {
    scaled(value, 1)
}

fn thousandths(value: &Value) -> Option<u64> {
    scaled(value, 1_000)
}

fn scaled(value: &Value, per: u32) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    u64::try_from(quantity::scaled(&text, per)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MI: u64 = 1 << 20;

    /// 64Mi become 96Mi beside a container of 32Mi, three pods and one more.
    fn wanted() -> Wanted {
        Wanted {
            container: Sums { limit: 96 * MI, request: 64 * MI },
            before: Sums { limit: 96 * MI, request: 96 * MI },
            after: Sums { limit: 128 * MI, request: 96 * MI },
            pods: 3,
            surge: 1,
        }
    }

    /// As the API server counts: what stays beside the containers, the defaults of a LimitRange, and a RuntimeClass's overhead.
    #[test]
    fn a_pod_asks_for_all_that_it_ever_has_at_once() {
        let container =
            |name: &str, limit: &str| json!({ "name": name, "resources": { "limits": { "memory": limit } } });
        let mut sidecar = container("proxy", "1Gi");
        sidecar["restartPolicy"] = json!("Always");
        let spec = json!({
            "containers": [container("app", "64Mi"), { "name": "side" }],
            "initContainers": [container("early", "900Mi"), sidecar, container("late", "100Mi")],
        });
        let default = json!({ "spec": { "limits": [
            { "type": "Container", "default": { "memory": "512Mi" }, "defaultRequest": { "memory": "256Mi" } },
            { "type": "Pod", "default": { "memory": "9Gi" } },
        ] } });
        assert_eq!(
            of_pod(&spec, Sums::default(), 0).limit,
            (1024 + 100) * MI,
            "the last init container beside the sidecar"
        );
        let defaults = defaults(&[default, json!({})]);
        assert_eq!(defaults, Sums { limit: 512 * MI, request: 256 * MI });
        let all = of_pod(&spec, defaults, 16 * MI);
        assert_eq!(all.limit, (1024 + 64 + 512 + 16) * MI);
        assert_eq!(all.request, (1024 + 64 + 256 + 16) * MI);
        let early = json!({ "containers": [container("app", "64Mi")], "initContainers": [container("early", "900Mi")] });
        assert_eq!(
            of_pod(&early, defaults, 0).limit,
            900 * MI,
            "its init container needs more than all that runs"
        );
    }

    fn range(item: &Value) -> Value {
        json!({ "metadata": { "name": "bounds" }, "spec": { "limits": [item] } })
    }

    fn quota(hard: &Value, used: &Value) -> Value {
        json!({ "metadata": { "name": "team" }, "spec": { "hard": hard }, "status": { "hard": hard, "used": used } })
    }

    #[test]
    fn a_limit_range_binds_the_container_the_pod_and_the_ratio() {
        for (item, refused) in [
            (json!({ "type": "Container", "max": { "memory": "96Mi" } }), None),
            (json!({ "type": "Container", "max": { "memory": "95Mi" } }), Some("allows a Container 95Mi")),
            (json!({ "type": "Pod", "max": { "memory": "128Mi" } }), None),
            (json!({ "type": "Pod", "max": { "memory": "127Mi" } }), Some("would be 128Mi")),
            (json!({ "type": "Container", "maxLimitRequestRatio": { "memory": 2 } }), None),
            (json!({ "type": "Container", "maxLimitRequestRatio": { "memory": "1" } }), Some("to 64Mi")),
            (json!({ "type": "Container", "maxLimitRequestRatio": { "memory": "1500m" } }), None),
            (json!({ "type": "Container", "maxLimitRequestRatio": { "memory": "1499m" } }), Some("1499m")),
            // The pod's own: 128Mi to 96Mi.
            (json!({ "type": "Pod", "maxLimitRequestRatio": { "memory": "1400m" } }), None),
            (json!({ "type": "Pod", "maxLimitRequestRatio": { "memory": "1300m" } }), Some("128Mi to 96Mi")),
            (json!({ "type": "Container", "max": { "memory": "much" } }), Some("cannot be read")),
            (json!({ "type": "PersistentVolumeClaim", "max": { "storage": "1Gi" } }), None),
            (json!({ "type": "Container", "max": { "cpu": "1" } }), None),
        ] {
            let found = obstacle(wanted(), &[range(&item)], &[]);
            match refused {
                None => assert_eq!(found, None, "{item}"),
                Some(words) => assert!(found.as_ref().is_some_and(|why| why.contains(words)), "{found:?}"),
            }
        }
    }

    #[test]
    fn a_quota_has_room_for_all_pods_and_for_the_rollout_beside_them() {
        // Three times 32Mi more, and one pod of 128Mi beside them: 224Mi.
        for (hard, used, refused) in [
            (json!({ "limits.memory": "512Mi" }), json!({ "limits.memory": "288Mi" }), false),
            (json!({ "limits.memory": "511Mi" }), json!({ "limits.memory": "288Mi" }), true),
            // Requests stay: only the pod beside them asks for its 96Mi.
            (json!({ "requests.memory": "384Mi" }), json!({ "requests.memory": "288Mi" }), false),
            (json!({ "memory": "383Mi" }), json!({ "memory": "288Mi" }), true),
            (json!({ "pods": "1" }), json!({ "pods": "1" }), false),
            (json!({ "limits.memory": "1Gi" }), json!({}), true),
        ] {
            let found = obstacle(wanted(), &[], &[quota(&hard, &used)]);
            assert_eq!(found.is_some(), refused, "{hard}: {found:?}");
        }
    }
}
