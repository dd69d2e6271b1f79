//! A small cluster as a fixture, as an agent reports it: two nodes and one Deployment of two pods.

use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;

pub const UID: &str = "7b0c1f1e-0000-4000-8000-000000000001";
pub const KINDS: [&str; 4] = ["Node", "Deployment", "ReplicaSet", "Pod"];

fn now_us() -> i64 {
    nimbus_protocol::to_micros(nimbus_platform::now())
}

fn meta(kind: &str, name: &str, owner: Option<(&str, &str)>) -> v1::ObjectMeta {
    let (owner_kind, owner_name) = owner.unwrap_or_default();
    let owner_uid = owner.map(|_| format!("uid-{owner_name}")).unwrap_or_default();
    v1::ObjectMeta {
        uid: format!("uid-{name}"),
        namespace: if kind == "Node" { String::new() } else { "shop".into() },
        name: name.into(),
        resource_version: "1".into(),
        created_at_us: 1_000_000,
        owner_kind: owner_kind.into(),
        owner_name: owner_name.into(),
        owner_uid,
        ..Default::default()
    }
}

pub fn node(name: &str) -> Body {
    let meta = Some(meta("Node", name, None));
    let facts = v1::NodeFacts { pods: 110, ..Default::default() };
    Body::Node(v1::Node {
        meta,
        ready: "True".into(),
        ready_since_us: 1_000_000,
        facts: Some(facts),
        ..Default::default()
    })
}

/// `ready` of two pods are ready.
pub fn deployment(ready: u32) -> Body {
    Body::Deployment(v1::Deployment {
        meta: Some(meta("Deployment", "cart", None)),
        generation: 1,
        observed_generation: 1,
        desired: 2,
        updated: 2,
        ready,
        available: ready,
        revision: 1,
        template_hash: vec![7; 32],
        images: vec!["cart:1".into()],
        progressing_status: "True".into(),
        progressing_reason: "NewReplicaSetAvailable".into(),
        ..Default::default()
    })
}

pub fn replica_set(ready: u32) -> Body {
    Body::ReplicaSet(v1::ReplicaSet {
        meta: Some(meta("ReplicaSet", "cart-1", Some(("Deployment", "cart")))),
        revision: 1,
        replicas: 2,
        ready_replicas: ready,
        template_hash: vec![7; 32],
        images: vec!["cart:1".into()],
        ..Default::default()
    })
}

fn pod(name: &str, node: &str, ready: bool, container: v1::Container) -> Body {
    Body::Pod(v1::Pod {
        meta: Some(meta("Pod", name, Some(("ReplicaSet", "cart-1")))),
        node: node.into(),
        phase: "Running".into(),
        ready,
        ready_since_us: now_us(),
        containers: vec![container],
        facts: Some(v1::PodFacts {
            started_at_us: now_us() - 3_600_000_000,
            placement: Some(v1::Placement::default()),
            references_complete: true,
            ..Default::default()
        }),
        ..Default::default()
    })
}

pub fn healthy(name: &str, node: &str) -> Body {
    let container = v1::Container {
        name: "app".into(),
        image: "cart:1".into(),
        image_id: "sha256:1".into(),
        ready: true,
        state: "running".into(),
        ..Default::default()
    };
    pod(name, node, true, container)
}

pub fn crashing(name: &str, node: &str) -> Body {
    let container = v1::Container {
        name: "app".into(),
        image: "cart:1".into(),
        image_id: "sha256:1".into(),
        restart_count: 6,
        state: "waiting".into(),
        reason: "CrashLoopBackOff".into(),
        last_reason: "Error".into(),
        last_exit_code: 1,
        last_finished_at_us: now_us(),
        ..Default::default()
    };
    pod(name, node, false, container)
}

pub fn gone(name: &str) -> Body {
    Body::Gone(v1::Gone {
        kind: "Pod".into(),
        uid: format!("uid-{name}"),
        namespace: "shop".into(),
        name: name.into(),
    })
}

pub fn status() -> Body {
    Body::AgentStatus(v1::AgentStatus {
        agent_version: "1.0".into(),
        cluster_uid: UID.into(),
        cluster_name: "kind".into(),
        leading: true,
        lease_term: 1,
        allowed_actions: vec!["restart_pod".into()],
        hostname: "host".into(),
        ..Default::default()
    })
}

/// A full listing of a cluster whose pod `cart-a` is as given.
pub fn listing(pod: Body) -> Vec<Body> {
    let mark = |kind: &str, phase: v1::sync_mark::Phase| {
        Body::Sync(v1::SyncMark { kind: kind.into(), phase: phase.into(), lease_term: 1 })
    };
    let begin = KINDS.map(|kind| mark(kind, v1::sync_mark::Phase::Begin));
    let end = KINDS.map(|kind| mark(kind, v1::sync_mark::Phase::End));
    let objects = [node("n1"), node("n2"), deployment(1), replica_set(1), healthy("cart-b", "n2"), pod];
    begin.into_iter().chain(objects).chain(end).collect()
}
