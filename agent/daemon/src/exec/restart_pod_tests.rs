//! In which order a restart asks, and what it leaves undone when one of the answers is no.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde_json::{Value, json};

use super::super::test_support::{self, admitted, api};
use super::*;
use crate::files::journal::JournalStore;
use crate::watch::kube::ClusterHandle;

const HOST: &str = "kubernetes.io/hostname";

/// What is not as planned.
#[derive(Default, Clone, Copy, PartialEq)]
enum Odd {
    #[default]
    Nothing,
    /// The container runs from this look on.
    Recovers(usize),
    /// The container runs until this look at all pods, and crashes again.
    CrashesAgainAt(usize),
    /// The Deployment is paused from this look on.
    PausedAt(usize),
    /// The dry run says no from this one on.
    RefusedAt(usize),
    /// Another pod, on node b, keeps every pod of the namespace away from its node.
    Neighbour,
}

/// A stub API server: what is odd there, and what it was asked, in order; a change of a node is asked for as `hold`.
#[derive(Default)]
struct Cluster {
    odd: Odd,
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let path = path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let word = match (path, last) {
            (_, "eviction") if body["deleteOptions"]["dryRun"].is_array() => "dry run",
            (_, "eviction") => "evict",
            ("/api/v1/nodes", _) => "nodes",
            _ if path.starts_with("/api/v1/nodes/") && body.is_array() => "hold",
            _ if path.starts_with("/api/v1/nodes/") => "node",
            _ if path.ends_with("/pods") => "pods",
            _ if path.contains("/pods/") => "pod",
            _ => "above",
        };
        let seen = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(word.to_owned());
            asked.iter().filter(|asked| *asked == word).count()
        };
        let from = |first: usize| seen >= first;
        let found = match word {
            "dry run" if matches!(self.odd, Odd::RefusedAt(first) if from(first)) => {
                let why = json!({ "kind": "Status", "code": 429, "message": "a budget", "reason": "TooManyRequests" });
                return (StatusCode::TOO_MANY_REQUESTS, why);
            }
            "nodes" => json!({ "items": [node("a"), node("b")] }),
            "node" => node("a"),
            "pods" if self.odd == Odd::Neighbour => {
                json!({ "items": [pod("p", "a", false), apart("q", "b")] })
            }
            "pods" => {
                let runs = matches!(self.odd, Odd::CrashesAgainAt(look) if !from(look));
                json!({ "items": [pod("p", "a", runs)] })
            }
            "pod" => pod("p", "a", matches!(self.odd, Odd::Recovers(first) if from(first))),
            "above" => json!({
                "metadata": { "ownerReferences": [{ "kind": "Deployment", "name": "web" }] },
                "spec": { "paused": matches!(self.odd, Odd::PausedAt(first) if from(first)) },
            }),
            _ => json!({}),
        };
        (StatusCode::OK, found)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn node(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "uid": name, "resourceVersion": "7", "labels": { HOST: name } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

fn pod(uid: &str, node: &str, runs: bool) -> Value {
    let waits = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    let owner = json!({ "kind": "ReplicaSet", "name": "web-1", "uid": "r", "controller": true });
    json!({
        "metadata": { "namespace": "shop", "name": format!("web-1-{uid}"), "uid": uid, "ownerReferences": [owner] },
        "spec": { "nodeName": node, "containers": [{ "name": "main" }] },
        "status": {
            "phase": "Running",
            "startTime": "2026-01-02T03:00:00Z",
            "conditions": [{ "type": "Ready", "status": "False", "lastTransitionTime": "2026-01-02T04:00:00Z" }],
            "containerStatuses": [{
                "name": "main", "restartCount": 4,
                "state": if runs { json!({ "running": {} }) } else { waits },
                "lastState": { "terminated": { "reason": "Error", "exitCode": 1 } },
            }],
        },
    })
}

fn apart(uid: &str, node: &str) -> Value {
    let mut other = pod(uid, node, true);
    other["spec"]["affinity"] = json!({
        "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{ "topologyKey": HOST }] },
    });
    other
}

/// Acts once, with its node held or not; what was done or refused, and what the API server was asked.
async fn act(odd: Odd, avoid_node: bool) -> (Result<Vec<String>, String>, Vec<String>) {
    let (mut restart, cluster, _dir) = restart(odd, avoid_node).await;
    let acted = restart.act().await.map_err(|error| format!("{error:?}"));
    (acted, cluster.asked())
}

async fn restart(odd: Odd, avoid_node: bool) -> (RestartPod, Arc<Cluster>, tempfile::TempDir) {
    let cluster = Arc::new(Cluster { odd, ..Cluster::default() });
    let server = Arc::clone(&cluster);
    let client = api(move |path, body| server.answer(&path, &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let journal = JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
    let job = admitted(nimbus_platform::now(), &journal);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, ClusterHandle::leading(client));
    let target =
        |name: &str, uid: &str| v1::Target { namespace: "shop".into(), name: name.into(), uid: uid.into() };
    let action = v1::RestartPod {
        pod: Some(target("web-1-p", "p")),
        owner: Some(target("web-1", "r")),
        node: "a".into(),
        avoid_node,
        container: "main".into(),
        min_restarts: 3,
        owner_kind: String::new(),
    };
    let mut restart = RestartPod::new(shared, &job, action);
    restart.checkpoint.held = avoid_node.then(|| "a".to_owned());
    (restart, cluster, dir)
}

fn at(asked: &[String], word: &str) -> Option<usize> {
    asked.iter().position(|asked| asked == word)
}

#[tokio::test]
async fn the_pod_is_read_after_all_that_takes_long_and_right_before_the_eviction() {
    for held in [false, true] {
        let (acted, asked) = act(Odd::Nothing, held).await;
        assert!(acted.is_ok(), "{acted:?}");
        assert_eq!(asked[asked.len() - 2..], ["pod", "evict"], "{asked:?}");
        let first = at(&asked, "pod").unwrap();
        assert!(at(&asked, "dry run").unwrap() < first && at(&asked, "above").unwrap() < first, "{asked:?}");
        assert_eq!(at(&asked, "hold").is_some(), held, "{asked:?}");
    }
}

#[tokio::test]
async fn no_node_is_held_and_nothing_evicted_where_an_answer_is_no() {
    let table = [
        ("the dry run says no", Odd::RefusedAt(1)),
        ("its Deployment is paused", Odd::PausedAt(1)),
        // Both looks at what is above ask of the ReplicaSet and of the Deployment.
        ("its Deployment is paused by the time its turn came", Odd::PausedAt(3)),
        ("its container runs by the time its turn came", Odd::Recovers(1)),
        ("the dry run says no by the time its turn came", Odd::RefusedAt(2)),
        ("a neighbour keeps it away", Odd::Neighbour),
    ];
    for (what, odd) in table {
        let (acted, asked) = act(odd, true).await;
        assert!(
            acted.is_err() && at(&asked, "hold").is_none() && at(&asked, "evict").is_none(),
            "{what}: {asked:?}"
        );
    }
    // A neighbour is no matter where no node is held.
    let (acted, _) = act(Odd::Neighbour, false).await;
    assert!(acted.is_ok(), "{acted:?}");
}

#[tokio::test]
async fn a_container_that_runs_again_after_its_node_was_held_is_not_evicted() {
    let (acted, asked) = act(Odd::Recovers(2), true).await;
    assert!(acted.is_err() && at(&asked, "hold").is_some() && at(&asked, "evict").is_none(), "{asked:?}");
}

#[tokio::test]
async fn whether_a_container_that_runs_crashes_again_is_awaited_before_the_job_is_refused() {
    let (mut restart, cluster, _dir) = restart(Odd::CrashesAgainAt(3), false).await;
    assert_eq!(restart.check().await.map_err(|refusal| refusal.reason), Ok(()));
    assert_eq!(cluster.asked().iter().filter(|asked| *asked == "pods").count(), 3);
}
