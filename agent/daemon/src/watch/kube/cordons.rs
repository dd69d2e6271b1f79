//! The nodes that Nimbus's jobs keep from new pods, and how a cordon of an older version is removed. A cordon of anybody
//! else is never changed.
//!
//! A node is held by a taint (see [`super::holds`]); versions before that cordoned it. Either belongs to a job, which lifts
//! it. Where a crash or a lost replica left one behind, the leader lifts it once the job is done, once the taint's time is
//! over, or after [`FOREIGN`] when this agent does not know the job.

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

/// How a job keeps a node from new pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// By our taint.
    Taint,
    /// By a cordon, as older versions did.
    Cordon,
}

/// What keeps a node from new pods, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    job: String,
    since: Instant,
    /// Seconds since 1970; 0 where it does not say until when it may stay.
    until_s: i64,
}

/// What was left behind on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOver {
    /// The node.
    pub node: String,
    /// The job that put it there.
    pub job: String,
    /// What it is.
    pub kind: Kind,
}

/// The cordons and taints of agents that the watch saw, by node; bounded by twice the number of nodes.
#[derive(Debug, Default)]
pub struct Cordons(Mutex<BTreeMap<(String, Kind), Mark>>);

impl Cordons {
    /// Notes the state of a node that was seen.
    pub fn note(&self, node: &v1::Node) {
        let Some(meta) = &node.meta else { return };
        let held = node.facts.as_ref().map(|facts| (facts.held_by.as_str(), facts.held_until_us / 1_000_000));
        let found = [(Kind::Cordon, (node.cordoned_by.as_str(), 0)), (Kind::Taint, held.unwrap_or_default())];
        let mut seen = self.lock();
        for (kind, (job, until_s)) in found {
            let key = (meta.name.clone(), kind);
            if job.is_empty() {
                seen.remove(&key);
            } else if seen.get(&key).is_none_or(|mark| mark.job != job || mark.until_s != until_s) {
                seen.insert(key, Mark { job: job.to_owned(), since: Instant::now(), until_s });
            }
        }
    }

    /// What was left behind. `finished` says whether a job is done; `None`: it is not known here. `now_s` is the time in
    /// seconds since 1970.
    pub fn left_over(
        &self,
        now: Instant,
        now_s: i64,
        finished: impl Fn(&str) -> Option<bool>,
    ) -> Vec<LeftOver> {
        let seen = self.lock();
        let over = seen.iter().filter(|(_, mark)| match finished(&mark.job) {
            Some(true) => true,
            // A job that is under way lifts it itself, and its taint says for how long at most.
            Some(false) => mark.until_s != 0 && mark.until_s < now_s,
            None => (mark.until_s != 0 && mark.until_s < now_s) || now.duration_since(mark.since) >= FOREIGN,
        });
        over.map(|((node, kind), mark)| LeftOver { node: node.clone(), job: mark.job.clone(), kind: *kind })
            .collect()
    }

    /// True while no node has such a mark.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Kind), Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    fn tainted(name: &str, job: &str, until_s: i64) -> v1::Node {
        let facts = v1::NodeFacts {
            held_by: job.into(),
            held_until_us: until_s * 1_000_000,
            ..v1::NodeFacts::default()
        };
        v1::Node { facts: Some(facts), ..node(name, "") }
    }

    fn known(job: &str) -> Option<bool> {
        match job {
            "done" => Some(true),
            "running" => Some(false),
            _ => None,
        }
    }

    #[test]
    fn a_cordon_is_left_over_when_its_job_is_done_or_nobody_knows_it_for_long() {
        let cordons = Cordons::default();
        for (name, job) in [("a", "done"), ("b", "running"), ("c", "foreign"), ("d", "")] {
            cordons.note(&node(name, job));
        }
        let nodes = |now| cordons.left_over(now, 0, known).into_iter().map(|l| l.node).collect::<Vec<_>>();
        let now = Instant::now();
        assert_eq!(nodes(now), ["a"]);
        assert_eq!(nodes(now + FOREIGN + Duration::from_secs(1)), ["a", "c"]);
        cordons.note(&node("a", ""));
        assert!(nodes(now).is_empty());
    }

    #[test]
    fn a_taint_is_left_over_when_its_job_is_done_or_its_time_is_over_whoever_put_it_there() {
        let cordons = Cordons::default();
        for (name, job, until_s) in
            [("a", "done", 1_000), ("b", "running", 1_000), ("c", "foreign", 1_000), ("d", "foreign", 0)]
        {
            cordons.note(&tainted(name, job, until_s));
        }
        let left = |now, now_s| {
            cordons.left_over(now, now_s, known).into_iter().map(|l| (l.node, l.kind)).collect::<Vec<_>>()
        };
        let (now, of) = (Instant::now(), |name: &str| (name.to_owned(), Kind::Taint));
        assert_eq!(left(now, 1_000), [of("a")]);
        assert_eq!(left(now, 1_001), [of("a"), of("b"), of("c")]);
        assert_eq!(left(now + FOREIGN + Duration::from_secs(1), 0), [of("a"), of("c"), of("d")]);
        cordons.note(&tainted("a", "", 0));
        assert_eq!(left(now, 0), []);
    }
}
