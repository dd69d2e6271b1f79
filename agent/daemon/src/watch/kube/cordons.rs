//! The nodes that Nimbus's jobs have cordoned, and how such a cordon is removed. A cordon of anybody else is never
//! changed.
//!
//! A cordon belongs to a job, which lifts it. Where a crash or a lost replica left one behind, the leader lifts it once the
//! job is done, or after [`FOREIGN`] when this agent does not know the job.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::request::{self, RequestError};

/// The annotation that marks a cordon as an agent's; its value is the job.
pub const ANNOTATION: &str = "nimbus.dev/cordoned-by";
const ANNOTATION_POINTER: &str = "/metadata/annotations/nimbus.dev~1cordoned-by";
/// A cordon whose job this agent does not know may be another replica's work in progress for this long.
const FOREIGN: Duration = Duration::from_mins(5);
/// Attempts to change a node that others write at the same time.
const TRIES: usize = 6;

/// The cordons of agents that the watch saw, by node; bounded by the number of nodes.
#[derive(Debug, Default)]
pub struct Cordons(Mutex<BTreeMap<String, (String, Instant)>>);

impl Cordons {
    /// Notes the state of a node that was seen.
    pub fn note(&self, node: &v1::Node) {
        let Some(meta) = &node.meta else { return };
        let mut seen = self.lock();
        if node.cordoned_by.is_empty() {
            seen.remove(&meta.name);
        } else if seen.get(&meta.name).is_none_or(|(job, _)| *job != node.cordoned_by) {
            seen.insert(meta.name.clone(), (node.cordoned_by.clone(), Instant::now()));
        }
    }

    /// Nodes whose cordon was left behind, with its job. `finished` says whether a job is done; `None`: it is not known here.
    pub fn left_over(&self, now: Instant, finished: impl Fn(&str) -> Option<bool>) -> Vec<(String, String)> {
        let seen = self.lock();
        let over = seen.iter().filter(|(_, (job, since))| match finished(job) {
            Some(done) => done,
            None => now.duration_since(*since) >= FOREIGN,
        });
        over.map(|(node, (job, _))| (node.clone(), job.clone())).collect()
    }

    /// True while no node has such a cordon.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of cordoning a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cordoned {
    /// The node is cordoned for this job.
    Ours,
    /// Somebody else had cordoned it before; nothing was changed.
    AlreadyClosed,
}

/// Cordons `node` for `job`, unless it is cordoned already.
pub async fn cordon(client: &Client, node: &str, job: &str) -> Result<Cordoned, RequestError> {
    let url = node_path(node)?;
    let mut last = None;
    for _ in 0..TRIES {
        let found: Value = request::get(client, &url).await?;
        if found["metadata"]["annotations"][ANNOTATION] == json!(job) {
            return Ok(Cordoned::Ours);
        }
        if found["spec"]["unschedulable"] == json!(true) {
            return Ok(Cordoned::AlreadyClosed);
        }
        let mut patch = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"],
        })];
        if !found["metadata"]["annotations"].is_object() {
            patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
        }
        patch.push(json!({ "op": "add", "path": ANNOTATION_POINTER, "value": job }));
        patch.push(json!({ "op": "add", "path": "/spec/unschedulable", "value": true }));
        match request::json_patch::<Value>(client, &url, &Value::Array(patch)).await {
            Ok(_) => return Ok(Cordoned::Ours),
            // The kubelet wrote in between.
            Err(error) if matches!(error.code(), 409 | 422) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| RequestError::Unanswered("the node keeps changing".to_owned())))
}

/// Lifts the cordon of `node` if it is `job`'s; any other stays. Nothing is to be done for a node that is gone.
pub async fn uncordon(client: &Client, node: &str, job: &str) -> Result<(), RequestError> {
    let url = node_path(node)?;
    let patch = json!([
        { "op": "test", "path": ANNOTATION_POINTER, "value": job },
        { "op": "remove", "path": ANNOTATION_POINTER },
        { "op": "add", "path": "/spec/unschedulable", "value": false },
    ]);
    let mut last = None;
    for _ in 0..TRIES {
        match request::json_patch::<Value>(client, &url, &patch).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == 404 => return Ok(()),
            Err(error) if matches!(error.code(), 409 | 422) => {
                let found = request::get_optional::<Value>(client, &url).await?;
                if found.is_none_or(|node| node["metadata"]["annotations"][ANNOTATION] != json!(job)) {
                    return Ok(());
                }
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| RequestError::Unanswered("the node keeps changing".to_owned())))
}

/// The path of a node.
pub fn node_path(node: &str) -> Result<String, RequestError> {
    let name = request::segment(node)
        .ok_or_else(|| RequestError::Unanswered("expected a node's name, found something else".to_owned()))?;
    Ok(format!("/api/v1/nodes/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, job: &str) -> v1::Node {
        let meta = v1::ObjectMeta { name: name.into(), ..v1::ObjectMeta::default() };
        v1::Node { meta: Some(meta), cordoned_by: job.into(), ..v1::Node::default() }
    }

    #[test]
    fn a_cordon_is_left_over_when_its_job_is_done_or_nobody_knows_it_for_long() {
        let cordons = Cordons::default();
        for (name, job) in [("a", "done"), ("b", "running"), ("c", "foreign"), ("d", "")] {
            cordons.note(&node(name, job));
        }
        let known = |job: &str| match job {
            "done" => Some(true),
            "running" => Some(false),
            _ => None,
        };
        let nodes = |now| cordons.left_over(now, known).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        let now = Instant::now();
        assert_eq!(nodes(now), ["a"]);
        assert_eq!(nodes(now + FOREIGN + Duration::from_secs(1)), ["a", "c"]);
        cordons.note(&node("a", ""));
        assert!(nodes(now).is_empty());
    }
}
