//! Our taint on a node: how it is put there and taken away. Whatever anybody else marks the node with is never changed.
//!
//! One node of a cluster is held at a time. That is read again from all nodes before and after the taint is set, and jobs of
//! one agent take turns ([`super::ClusterHandle::holding`]).

use kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::hold::{Neighbour, may_hold, taken};
use nimbus_agent_core::observe::kube::{Slim, SlimList, SlimNode, SlimPod, held};
use nimbus_protocol::kind::MOST_NEIGHBOURS;
use nimbus_protocol::v1::{self, observation};
use serde_json::{Value, json};

use super::cordons::node_path;
use super::request::{self, RequestError};

/// Attempts to change a node that others write at the same time.
const TRIES: usize = 6;
/// Nodes or pods in one page of a list.
const PAGE: usize = 500;
/// Most pages that are read: 10,000 nodes, and as many pods of a namespace. With more, none is held.
const MAX_PAGES: usize = MOST_NEIGHBOURS / PAGE;

/// Why a node was not held.
#[derive(Debug)]
pub enum NotHeld {
    /// It may not be.
    Refused(Refusal),
    /// It could not be read or written; the taint may be there.
    Failed(RequestError),
}

impl From<RequestError> for NotHeld {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

/// Holds `node` for the replacement of `pod`, until then at most, if all nodes as they are now allow it. `neighbours` are the
/// pods of its namespace, read a moment ago.
pub async fn hold(
    client: &Client,
    node: &str,
    (pod, neighbours): (&v1::Pod, &[Neighbour]),
    job: &str,
    until_s: i64,
) -> Result<(), NotHeld> {
    let url = node_path(node)?;
    let taint = json!({ "key": held::KEY, "value": held::value(job, until_s), "effect": held::EFFECT });
    let mut last = None;
    for _ in 0..TRIES {
        may_hold(node, pod, &nodes(client).await?, neighbours).map_err(NotHeld::Refused)?;
        // The patch is for the very state that is judged here: whoever marks the node in between makes it fail.
        let found: Value = request::get(client, &url).await?;
        if let Some(why) = observed(&found).as_ref().and_then(taken) {
            let reason = format!("expected node {node} to be nobody else's, found {why}");
            return Err(NotHeld::Refused(Refusal::new(nimbus_agent_core::Code::PreconditionFailed, reason)));
        }
        let mut patch = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"],
        })];
        if found["spec"]["taints"].is_array() {
            patch.push(json!({ "op": "add", "path": "/spec/taints/-", "value": taint }));
        } else {
            patch.push(json!({ "op": "add", "path": "/spec/taints", "value": [taint] }));
        }
        match request::json_patch::<Value>(client, &url, &Value::Array(patch)).await {
            Ok(_) => return only_one(client, node, job).await,
            // The kubelet, or whoever else, wrote in between.
            Err(error) if matches!(error.code(), 409 | 422) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(NotHeld::Failed(
        last.unwrap_or_else(|| RequestError::Unanswered("the node keeps changing".to_owned())),
    ))
}

/// Another agent may have held another node between our look and our taint: then both let go.
async fn only_one(client: &Client, node: &str, job: &str) -> Result<(), NotHeld> {
    let by_us = |other: &v1::Node| {
        !other.cordoned_by.is_empty() || other.facts.as_ref().is_some_and(|facts| !facts.held_by.is_empty())
    };
    let name = |other: &v1::Node| other.meta.as_ref().map(|meta| meta.name.clone()).unwrap_or_default();
    let all = nodes(client).await?;
    let Some(second) = all.iter().find(|other| name(other) != node && by_us(other)) else { return Ok(()) };
    let reason = format!("expected {node} to be the only node that Nimbus holds, found {} too", name(second));
    release(client, node, job).await?;
    Err(NotHeld::Refused(Refusal::new(nimbus_agent_core::Code::PreconditionFailed, reason)))
}

/// Takes the taint of `job` from `node`; any other taint stays. Nothing is to be done for a node that is gone.
pub async fn release(client: &Client, node: &str, job: &str) -> Result<(), RequestError> {
    let url = node_path(node)?;
    let mut last = None;
    for _ in 0..TRIES {
        let Some(found) = request::get_optional::<Value>(client, &url).await? else { return Ok(()) };
        let taints = found["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = |taint: &Value| {
            let value = taint["value"].as_str().unwrap_or_default();
            taint["key"] == json!(held::KEY) && held::parse(value).by == job
        };
        let Some(at) = taints.iter().position(ours) else { return Ok(()) };
        let pointer = format!("/spec/taints/{at}");
        let patch = json!([
            { "op": "test", "path": pointer, "value": taints[at] },
            { "op": "remove", "path": pointer },
        ]);
        match request::json_patch::<Value>(client, &url, &patch).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == 404 => return Ok(()),
            // Another taint came or went in between.
            Err(error) if matches!(error.code(), 409 | 422) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| RequestError::Unanswered("the node keeps changing".to_owned())))
}

/// Who marked `node` while it is held for a job of ours; `None` while nobody did.
pub async fn marked(client: &Client, node: &str) -> Result<Option<String>, RequestError> {
    let found: Option<Value> = request::get_optional(client, &node_path(node)?).await?;
    Ok(found.as_ref().and_then(observed).as_ref().and_then(taken))
}

fn observed(node: &Value) -> Option<v1::Node> {
    use serde::Deserialize as _;
    SlimNode::deserialize(node).ok().as_ref().and_then(as_node)
}

fn as_node(slim: &SlimNode) -> Option<v1::Node> {
    match slim.observe() {
        observation::Body::Node(node) => Some(node),
        _ => None,
    }
}

fn as_neighbour(slim: &SlimPod) -> Option<Neighbour> {
    match slim.observe() {
        observation::Body::Pod(pod) => Neighbour::of(pod),
        _ => None,
    }
}

/// All nodes, as they are now.
async fn nodes(client: &Client) -> Result<Vec<v1::Node>, RequestError> {
    all(client, "/api/v1/nodes", as_node).await
}

/// The pods on nodes of a namespace, as they are now.
pub async fn neighbours(client: &Client, namespace: &str) -> Result<Vec<Neighbour>, RequestError> {
    let namespace = request::segment(namespace).ok_or_else(|| {
        RequestError::Unanswered("expected a namespace's name, found something else".to_owned())
    })?;
    all(client, &format!("/api/v1/namespaces/{namespace}/pods"), as_neighbour).await
}

/// What a collection holds, page by page.
async fn all<S: Slim, T>(
    client: &Client,
    path: &str,
    read: fn(&S) -> Option<T>,
) -> Result<Vec<T>, RequestError> {
    let (mut all, mut more) = (Vec::new(), String::new());
    for _ in 0..MAX_PAGES {
        let found: SlimList<S> = request::get(client, &format!("{path}?limit={PAGE}{more}")).await?;
        all.extend(found.items.iter().filter_map(read));
        if found.metadata.continue_token.is_empty() {
            return Ok(all);
        }
        more = format!("&continue={}", request::escaped(&found.metadata.continue_token));
    }
    Err(RequestError::Unanswered(format!("expected at most {} at {path}, found more", PAGE * MAX_PAGES)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const JOB: &str = "job_00000000000000000000000000000001";

    /// A cluster of these nodes, and what was patched.
    async fn cluster(nodes: &[Value]) -> (Client, Arc<Mutex<Vec<Value>>>) {
        let (nodes, patched) = (nodes.to_vec(), Arc::new(Mutex::new(Vec::new())));
        let seen = patched.clone();
        let answer = move |uri: http::Uri, body: String| async move {
            if let Ok(patch @ Value::Array(_)) = serde_json::from_str(&body) {
                seen.lock().unwrap().push(patch);
                return "{}".to_owned();
            }
            let name = uri.path().strip_prefix("/api/v1/nodes/").unwrap_or_default();
            let one = nodes.iter().find(|node| node["metadata"]["name"] == json!(name));
            one.map_or_else(|| json!({ "items": nodes }).to_string(), Value::to_string)
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap(), patched)
    }

    fn node(name: &str, taints: &Value) -> Value {
        json!({
            "metadata": { "name": name, "uid": format!("u-{name}"), "resourceVersion": "7" },
            "spec": { "taints": taints },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        })
    }

    fn pod() -> v1::Pod {
        let facts = v1::PodFacts { placement: Some(v1::Placement::default()), ..Default::default() };
        let meta = v1::ObjectMeta { namespace: "default".into(), uid: "p".into(), ..Default::default() };
        v1::Pod { meta: Some(meta), facts: Some(facts), ..Default::default() }
    }

    #[tokio::test]
    async fn a_held_node_gets_one_taint_and_nothing_else() {
        let (client, patched) = cluster(&[node("a", &json!(null)), node("b", &json!(null))]).await;
        hold(&client, "a", (&pod(), &[]), JOB, 1_800_000_000).await.unwrap();
        let patch = patched.lock().unwrap().remove(0);
        assert_eq!(patch[0], json!({ "op": "test", "path": "/metadata/resourceVersion", "value": "7" }));
        let taint =
            json!({ "key": "nimbus.dev/held", "value": format!("{JOB}.1800000000"), "effect": "NoSchedule" });
        assert_eq!(patch[1], json!({ "op": "add", "path": "/spec/taints", "value": [taint] }));
        assert_eq!(patch.as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn nothing_is_written_where_another_node_is_held_or_somebody_marked_this_one() {
        let held = json!([{ "key": "nimbus.dev/held", "value": "job_2.1800000000", "effect": "NoSchedule" }]);
        let leaving = json!([{ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" }]);
        let none = json!(null);
        for (own, other) in [(&none, &held), (&held, &none), (&leaving, &none), (&none, &leaving)] {
            let (client, patched) = cluster(&[node("a", own), node("b", other)]).await;
            let found = hold(&client, "a", (&pod(), &[]), JOB, 1).await;
            assert!(matches!(found, Err(NotHeld::Refused(_))), "{found:?}");
            assert!(patched.lock().unwrap().is_empty(), "{own} {other}");
        }
    }

    #[tokio::test]
    async fn only_the_taint_of_that_job_is_taken_away() {
        let ours = json!({ "key": "nimbus.dev/held", "value": format!("{JOB}.1"), "effect": "NoSchedule" });
        let theirs = json!({ "key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule" });
        let (client, patched) = cluster(&[node("a", &json!([theirs, ours]))]).await;
        release(&client, "a", JOB).await.unwrap();
        let patch = patched.lock().unwrap().remove(0);
        assert_eq!(patch[0], json!({ "op": "test", "path": "/spec/taints/1", "value": ours }));
        assert_eq!(patch[1], json!({ "op": "remove", "path": "/spec/taints/1" }));
        release(&client, "a", "job_2").await.unwrap();
        assert!(patched.lock().unwrap().is_empty(), "another job's taint stays");
        assert!(marked(&client, "a").await.unwrap().unwrap().contains("ToBeDeleted"));
    }
}
