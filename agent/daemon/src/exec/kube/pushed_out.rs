//! Who had to go so that a replacement could be placed: pods that the scheduler preempted on its node.

use kube::Client;
use serde_json::{Value, json};

use crate::watch::kube::request;

/// Most pods of a node that are read; a node takes 110 by default.
const MOST: usize = 1_000;

/// The pods of `node` that the scheduler removes at this moment, with the reason; `None` where they could not be read.
pub(in super::super) async fn pushed_out(client: &Client, node: &str) -> Option<Vec<String>> {
    let name = request::segment(node)?;
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{name}&limit={MOST}");
    let found: Value = request::get(client, &path).await.ok()?;
    let pods = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Some(pods.iter().filter_map(preempted).collect())
}

fn preempted(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let by_scheduler = |condition: &&Value| {
        condition["type"] == json!("DisruptionTarget")
            && condition["status"] == json!("True")
            && condition["reason"] == json!("PreemptionByScheduler")
    };
    conditions.iter().find(by_scheduler)?;
    let text = |of: &str| pod["metadata"][of].as_str().unwrap_or_default().to_owned();
    Some(format!("{}/{}", text("namespace"), text("name")))
}

#[cfg(test)]
mod tests {
    use super::super::super::test_support::api;
    use super::*;

    #[tokio::test]
    async fn only_what_the_scheduler_removes_was_pushed_out() {
        let pod = |name: &str, reason: &str, status: &str| {
            let condition = json!({ "type": "DisruptionTarget", "status": status, "reason": reason });
            json!({ "metadata": { "namespace": "shop", "name": name }, "status": { "conditions": [condition] } })
        };
        let items = [
            pod("low", "PreemptionByScheduler", "True"),
            pod("evicted", "EvictionByEvictionAPI", "True"),
            pod("spared", "PreemptionByScheduler", "False"),
            json!({ "metadata": { "name": "well" } }),
        ];
        let client = api(move |path, _| {
            assert!(path.contains("spec.nodeName%3Dn1"), "{path}");
            (http::StatusCode::OK, json!({ "items": items }))
        })
        .await;
        assert_eq!(pushed_out(&client, "n1").await.unwrap(), ["shop/low"]);
        assert_eq!(pushed_out(&client, "../n1").await, None);
    }
}
