//! Reads again, right before an eviction, whether anything above the pod asks to leave it alone: its namespace or a
//! controller that is being deleted, or a Deployment that is paused.

use kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::super::remedy::precondition;
use super::path;
use crate::watch::kube::request::{self, RequestError};

/// Refused where the namespace of `owner`, the controller itself (`resource` is its plural) or its Deployment is on its way
/// out or paused.
pub(in super::super) async fn undisturbed(
    client: &Client,
    resource: &str,
    owner: &v1::Target,
) -> Result<(), Refusal> {
    let unread =
        |error: RequestError| precondition(format!("expected to read what owns the pod, found: {error}"));
    let segment = request::segment(&owner.namespace);
    let segment = segment.ok_or_else(|| precondition("expected a namespace's name, found something else"))?;
    let namespace: Option<Value> =
        request::get_optional(client, &format!("/api/v1/namespaces/{segment}")).await.map_err(unread)?;
    let leaving = namespace.as_ref().is_none_or(|found| {
        found["metadata"]["deletionTimestamp"].is_string() || found["status"]["phase"] == json!("Terminating")
    });
    if leaving {
        return Err(precondition(format!(
            "expected namespace {segment} to stay, found that it is being deleted; its pods end with it"
        )));
    }
    let controller = path("/apis/apps/v1", &owner.namespace, resource, &owner.name)?;
    let controller: Option<Value> = request::get_optional(client, &controller).await.map_err(unread)?;
    let Some(controller) = controller else {
        return Err(precondition(format!("expected controller {}, found that it is gone", owner.name)));
    };
    is_staying(&controller, &owner.name)?;
    let above = controller["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    for deployment in above.filter(|owner| owner["kind"] == json!("Deployment")) {
        let name = deployment["name"].as_str().unwrap_or_default();
        let of = path("/apis/apps/v1", &owner.namespace, "deployments", name)?;
        let found: Option<Value> = request::get_optional(client, &of).await.map_err(unread)?;
        let Some(found) = found else {
            return Err(precondition(format!("expected Deployment {name}, found that it is gone")));
        };
        is_staying(&found, name)?;
        if found["spec"]["paused"] == json!(true) {
            return Err(precondition(format!(
                "expected Deployment {name} to be at work, found it paused: whoever paused it is at work on it"
            )));
        }
    }
    Ok(())
}

fn is_staying(object: &Value, name: &str) -> Result<(), Refusal> {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Err(precondition(format!("expected {name} to stay, found that it is being deleted")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::test_support::api;
    use super::*;

    async fn asked(change: fn(&str, &mut Value)) -> Result<(), Refusal> {
        let client = api(move |path, _| {
            let of = json!([{ "kind": "Deployment", "name": "web", "controller": true }]);
            let mut object = match path.as_str() {
                "/api/v1/namespaces/shop" => json!({ "metadata": {}, "status": { "phase": "Active" } }),
                "/apis/apps/v1/namespaces/shop/replicasets/web-1" => {
                    json!({ "metadata": { "ownerReferences": of } })
                }
                _ => json!({ "metadata": {}, "spec": {} }),
            };
            change(path.rsplit_once('/').unwrap().1, &mut object);
            (http::StatusCode::OK, object)
        })
        .await;
        let owner = v1::Target { namespace: "shop".into(), name: "web-1".into(), uid: "u".into() };
        undisturbed(&client, "replicasets", &owner).await
    }

    /// Changes the object of that name.
    type Change = fn(&str, &mut Value);

    #[tokio::test]
    async fn whatever_is_going_or_paused_above_the_pod_is_named() {
        const GOING: &str = "2026-01-02T03:04:05Z";
        assert_eq!(asked(|_, _| ()).await, Ok(()));
        let table: [(&str, Change); 4] = [
            ("namespace shop", |of, o| {
                if of == "shop" {
                    o["status"]["phase"] = json!("Terminating");
                }
            }),
            ("web-1 to stay", |of, o| {
                if of == "web-1" {
                    o["metadata"]["deletionTimestamp"] = json!(GOING);
                }
            }),
            ("web to stay", |of, o| {
                if of == "web" {
                    o["metadata"]["deletionTimestamp"] = json!(GOING);
                }
            }),
            ("paused", |of, o| {
                if of == "web" {
                    o["spec"]["paused"] = json!(true);
                }
            }),
        ];
        for (word, change) in table {
            let refusal = asked(change).await.unwrap_err();
            assert!(refusal.reason.contains(word), "{word}: {}", refusal.reason);
        }
    }
}
