//! What the executors of the Kubernetes remedies share: the check that this replica leads, and fresh reads of slim
//! objects.

pub(super) mod evict;
pub(super) mod patch;
pub(super) mod pushed_out;
pub(super) mod put_back;
pub(super) mod stable;
pub(super) mod undisturbed;

use std::time::Duration;

use kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::observe::kube::{Slim, SlimPod};
use nimbus_protocol::v1::{self, observation};
use serde_json::Value;

use super::Shared;
use super::remedy::precondition;
use crate::watch::kube::lease::Leadership;
use crate::watch::kube::request::{self, RequestError};

pub(super) use crate::watch::kube::pages::{all, label_selector};

/// Longest wait for the election to be decided: an agent that just started may be about to lead again.
const ELECTION: Duration = Duration::from_secs(5);

/// A client, if this replica may act on the cluster now; waits a moment for an undecided election.
pub(super) async fn may_act(shared: &Shared) -> Result<Client, Refusal> {
    let mut changes = shared.cluster.leadership_changes();
    let decided = |now: &Leadership| *now != Leadership::Unknown;
    let _ = tokio::time::timeout(ELECTION, changes.wait_for(decided)).await;
    let cluster = shared.cluster.cluster();
    match (cluster, shared.cluster.term()) {
        (Some(cluster), Some(_)) => Ok(cluster.client),
        (None, _) => {
            Err(precondition("expected the cluster to answer, found that it did not since the agent started"))
        }
        (Some(_), None) => Err(precondition(
            "expected to hold the watch lease, found that this replica does not; only the leader acts",
        )),
    }
}

/// A client for reading, and for lifting what this agent itself put up; the lease is not needed for that.
pub(super) fn client(shared: &Shared) -> Result<Client, String> {
    shared
        .cluster
        .cluster()
        .map(|cluster| cluster.client)
        .ok_or_else(|| "the cluster did not answer yet".to_owned())
}

/// The path of a namespaced object.
pub(super) fn path(collection: &str, namespace: &str, kind: &str, name: &str) -> Result<String, Refusal> {
    match (request::segment(namespace), request::segment(name)) {
        (Some(namespace), Some(name)) => Ok(format!("{collection}/namespaces/{namespace}/{kind}/{name}")),
        _ => Err(precondition(format!("expected a namespace and a name, found {namespace:?} and {name:?}"))),
    }
}

/// The path of the first page of a namespace's core objects of one resource.
pub(super) fn list_path(namespace: &str, resource: &str, most: usize) -> Result<String, Refusal> {
    let segment = request::segment(namespace);
    let segment =
        segment.ok_or_else(|| precondition(format!("expected a namespace's name, found {namespace:?}")))?;
    Ok(format!("/api/v1/namespaces/{segment}/{resource}?limit={most}"))
}

/// A path for a pod.
pub(super) fn pod_path(target: &v1::Target) -> Result<String, Refusal> {
    path("/api/v1", &target.namespace, "pods", &target.name)
}

/// A pod as it is now.
pub(super) async fn pod(client: &Client, path: &str) -> Result<Option<v1::Pod>, RequestError> {
    Ok(request::get_optional::<SlimPod>(client, path).await?.as_ref().and_then(as_pod))
}

fn as_pod(slim: &SlimPod) -> Option<v1::Pod> {
    match slim.observe() {
        observation::Body::Pod(pod) => Some(pod),
        _ => None,
    }
}

/// All pods that a ReplicaSet or StatefulSet (`resource` is its plural) owns; an error where its labels have more than
/// a bound of pages of them.
pub(super) async fn pods_of(
    client: &Client,
    resource: &str,
    owner: &v1::Target,
) -> Result<Vec<v1::Pod>, RequestError> {
    let unusable = |what: &str| RequestError::Unanswered(format!("expected {what}, found something else"));
    let namespace = request::segment(&owner.namespace).ok_or_else(|| unusable("a namespace's name"))?;
    let name = request::segment(&owner.name).ok_or_else(|| unusable("a controller's name"))?;
    let owner_path = format!("/apis/apps/v1/namespaces/{namespace}/{resource}/{name}");
    let controller: Option<Value> = request::get_optional(client, &owner_path).await?;
    // Without its controller no pod is its.
    let Some(controller) = controller else { return Ok(Vec::new()) };
    let selector = label_selector(&controller["spec"]["selector"]["matchLabels"]);
    let found: Vec<SlimPod> = all(client, "/api/v1", namespace, "pods", &selector).await?;
    let its = |pod: &v1::Pod| pod.meta.as_ref().is_some_and(|meta| meta.owner_uid == owner.uid);
    Ok(found.iter().filter_map(as_pod).filter(its).collect())
}

/// All objects of this resource in a namespace, such as its quotas. More than a page of them is no list.
pub(super) async fn listed(client: &Client, namespace: &str, resource: &str) -> Result<Vec<Value>, Refusal> {
    const MOST: usize = 100;
    let path = list_path(namespace, resource, MOST)?;
    let unread = |error: RequestError| {
        precondition(format!("expected to read the {resource} of {namespace}, found: {error}"))
    };
    let found: Option<Value> = request::get_optional(client, &path).await.map_err(unread)?;
    let Some(found) = found else {
        return Err(precondition(format!("expected the {resource} of {namespace}, found none such")));
    };
    let more = found["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty());
    match found["items"].as_array() {
        Some(items) if !more => Ok(items.clone()),
        Some(_) => Err(precondition(format!(
            "expected at most {MOST} {resource} in {namespace}, found more: whether there is room is not known"
        ))),
        // An empty list is written as nothing by some.
        None if found["items"].is_null() && found["kind"].is_string() => Ok(Vec::new()),
        None => {
            Err(precondition(format!("expected a list of {resource} in {namespace}, found something else")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::kube::pages::MAX_PAGES;

    /// An API server with a ReplicaSet, and one pod on each page of so many.
    async fn serve(pages: usize) -> Client {
        let answer = move |uri: http::Uri| async move {
            let query = uri.query().unwrap_or_default();
            if !uri.path().ends_with("/pods") {
                return serde_json::json!({ "spec": {} }).to_string();
            }
            let page: usize = query.rsplit_once("continue=p%2F").map_or(0, |(_, page)| page.parse().unwrap());
            let more = if page + 1 < pages { format!("p/{}", page + 1) } else { String::new() };
            let owner =
                serde_json::json!({ "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": true });
            let meta = serde_json::json!({ "name": format!("web-{page}"), "uid": format!("pod-{page}"),
                                           "ownerReferences": [owner] });
            serde_json::json!({ "metadata": { "continue": more }, "items": [{ "metadata": meta }] })
                .to_string()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn every_page_of_a_replica_sets_pods_is_read_up_to_a_bound() {
        let owner = v1::Target { namespace: "shop".to_owned(), name: "web".to_owned(), uid: "rs".to_owned() };
        assert_eq!(pods_of(&serve(1).await, "replicasets", &owner).await.unwrap().len(), 1);
        assert_eq!(pods_of(&serve(MAX_PAGES).await, "replicasets", &owner).await.unwrap().len(), MAX_PAGES);
        let error =
            pods_of(&serve(MAX_PAGES + 1).await, "replicasets", &owner).await.unwrap_err().to_string();
        assert!(error.contains("at most 10000 pods"), "{error}");
    }
}
