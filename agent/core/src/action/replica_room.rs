//! Whether a namespace's ResourceQuotas have room for more pods of a sort, as they are now.
//!
//! The API server takes a greater maximum whatever they say, and then refuses the pods one by one. So this is asked before: what cannot
//! be read is no room, and a quota that counts only some pods is taken to count these.

use nimbus_protocol::quantity;
use serde_json::Value;

use crate::observe::kube::pod_asks::{Counted, PodAsks, amount};

/// What so many more pods meet that a quota counts.
#[derive(Debug, Clone, Copy)]
pub struct More<'a> {
    /// How many.
    pub pods: u32,
    /// Pods of that sort as they are: the one that asks for most is what is reckoned with.
    pub like: &'a [PodAsks],
    /// Does each bring claims of its own?
    pub with_claims: bool,
}

/// What stands in the way of them, if anything does: which quota, what it allows, and what would be asked for.
pub fn obstacle(more: More<'_>, quotas: &[Value]) -> Option<String> {
    quotas.iter().find_map(|quota| of_quota(more, quota))
}

fn of_quota(more: More<'_>, quota: &Value) -> Option<String> {
    let name = quota["metadata"]["name"].as_str().unwrap_or("without a name");
    let counted = [&quota["status"]["hard"], &quota["spec"]["hard"]];
    // One that was just made has no status yet.
    let hard = counted.into_iter().find_map(|hard| hard.as_object().filter(|hard| !hard.is_empty()))?;
    hard.iter().find_map(|(what, hard)| {
        let unread = || {
            Some(format!("{what} of ResourceQuota {name} cannot be read, so whether there is room is not known"))
        };
        if more.with_claims && (what.contains("requests.storage") || what.contains("persistentvolumeclaims")) {
            return Some(format!(
                "ResourceQuota {name} counts {what}, and each replica brings claims of its own: whether there is room is not judged"
            ));
        }
        let (resource, each) = match what.as_str() {
            "pods" | "count/pods" => ("pods", Some(1)),
            "cpu" | "memory" | "ephemeral-storage" => (what.as_str(), most(more, what, Counted::Requests)),
            other => match (other.strip_prefix("requests."), other.strip_prefix("limits.")) {
                (Some("storage"), _) | (None, None) => return None,
                (Some(resource), _) => (resource, most(more, resource, Counted::Requests)),
                (None, Some(resource)) => (resource, most(more, resource, Counted::Limits)),
            },
        };
        let Some(each) = each else { return unread() };
        if each == 0 {
            // What counts CPU or memory takes no pod that states nothing of it.
            let is_needed = matches!(resource, "cpu" | "memory");
            return is_needed.then(|| {
                format!("ResourceQuota {name} counts {what}, of which its pods state nothing, so that no further ones are made")
            });
        }
        let used = &quota["status"]["used"][what];
        let (Some(hard), Some(used)) = (amount(hard, resource), amount(used, resource)) else {
            return unread();
        };
        let wanted = each.saturating_mul(more.pods.into());
        (used.saturating_add(wanted) > hard).then(|| {
            format!(
                "ResourceQuota {name} allows {} of {what}, of which {} are used, and {} more pods need {}",
                shown(hard, resource),
                shown(used, resource),
                more.pods,
                shown(wanted, resource)
            )
        })
    })
}

/// What the pod asks for that asks for most.
fn most(more: More<'_>, resource: &str, counted: Counted) -> Option<i64> {
    let each: Option<Vec<i64>> = more.like.iter().map(|pod| pod.of(resource, counted)).collect();
    each?.into_iter().max()
}

fn shown(amount: i64, resource: &str) -> String {
    match (resource, u64::try_from(amount)) {
        ("cpu", _) if amount % 1_000 != 0 => format!("{amount}m"),
        ("cpu", _) => (amount / 1_000).to_string(),
        ("memory" | "ephemeral-storage", Ok(bytes)) => quantity::binary(bytes),
        _ => amount.to_string(),
    }
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

    fn quota(hard: &Value, used: &Value) -> Value {
        json!({ "metadata": { "name": "team" }, "spec": { "hard": hard }, "status": { "hard": hard, "used": used } })
    }

    #[test]
    fn every_figure_that_a_quota_counts_of_pods_has_to_have_room() {
        let of = |pods: u32, what: &str, hard: &str, used: &str| {
            let quota = quota(&json!({ what: hard }), &json!({ what: used }));
            let like = [web()];
            obstacle(More { pods, like: &like, with_claims: false }, &[quota])
        };
        assert_eq!(of(3, "pods", "10", "7"), None);
        assert!(
            of(4, "pods", "10", "7")
                .unwrap()
                .contains("allows 10 of pods, of which 7 are used, and 4 more pods need 4")
        );
        assert!(of(4, "count/pods", "10", "7").is_some());
        assert_eq!(of(5, "requests.cpu", "10", "7"), None);
        assert!(of(6, "requests.cpu", "10", "7").unwrap().contains("6 more pods need 3600m"));
        assert!(of(1, "cpu", "1", "500m").is_some());
        assert_eq!(of(1, "limits.memory", "1Gi", "896Mi"), None);
        assert!(of(2, "limits.memory", "1Gi", "896Mi").unwrap().contains("need 256Mi"));
        assert_eq!(of(900, "requests.nvidia.com/gpu", "0", "0"), None, "it asks for none");
        assert!(of(1, "limits.cpu", "9", "0").unwrap().contains("state nothing"), "it has no limit of CPU");
        assert_eq!(of(900, "services", "1", "1"), None);
        assert_eq!(of(900, "requests.storage", "1Gi", "1Gi"), None);
        assert!(of(1, "pods", "many", "7").unwrap().contains("cannot be read"));
        let fresh = json!({ "metadata": { "name": "team" }, "spec": { "hard": { "pods": "10" } } });
        let like = [web()];
        assert!(
            obstacle(More { pods: 1, like: &like, with_claims: false }, &[fresh])
                .unwrap()
                .contains("cannot be read")
        );
    }

    #[test]
    fn replicas_that_bring_claims_are_not_judged_where_a_quota_counts_those() {
        let like = [web()];
        let quota = quota(&json!({ "requests.storage": "1Ti" }), &json!({ "requests.storage": "1Gi" }));
        let found = obstacle(More { pods: 1, like: &like, with_claims: true }, &[quota]).unwrap();
        assert!(found.contains("claims of its own"), "{found}");
    }
}
