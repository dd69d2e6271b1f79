//! A generated cluster as an agent would report it, for benchmarks that need no API server.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1::{self, observation::Body, sync_mark::Phase};

/// UID of the made-up cluster.
pub const CLUSTER: &str = "00000000-0000-4000-8000-000000000001";

/// Microseconds since the Unix epoch at which everything is seen.
pub const SEEN_AT_US: i64 = 1_767_225_600_000_000;

const NODES: usize = 100;
const PODS_EACH: usize = 10;

/// One full listing of a healthy cluster of `pods` pods: ten for each Deployment, on a hundred nodes.
pub fn listing(pods: usize) -> impl Iterator<Item = v1::Observation> {
    listing_of(CLUSTER, NODES, pods)
}

/// The same of a cluster of this UID and of so many nodes.
pub fn listing_of(cluster: &str, nodes: usize, pods: usize) -> impl Iterator<Item = v1::Observation> {
    let deployments = pods.div_ceil(PODS_EACH);
    let objects = (0..nodes)
        .map(|n| Body::Node(node(n)))
        .chain(
            (0..deployments)
                .flat_map(|n| [Body::Deployment(deployment(n)), Body::ReplicaSet(replica_set(n))]),
        )
        .chain((0..pods).map(move |n| Body::Pod(pod(n, nodes))));
    let marks = |phase: Phase| {
        let mark = move |kind: &ObjectKind| v1::SyncMark {
            kind: kind.as_str().into(),
            phase: phase.into(),
            lease_term: 1,
        };
        ObjectKind::ALL.iter().map(move |kind| Body::Sync(mark(kind)))
    };
    let bodies = marks(Phase::Begin).chain(objects).chain(marks(Phase::End));
    let cluster = cluster.to_owned();
    (1..).zip(bodies).map(move |(sequence, body)| observation(&cluster, sequence, body))
}

/// Pod `n`, seen again while it crash-loops.
pub fn crashing(n: usize) -> v1::Observation {
    let mut pod = pod(n, NODES);
    pod.ready = false;
    for container in &mut pod.containers {
        container.ready = false;
        container.restart_count = 5;
        container.state = "waiting".into();
        container.reason = "CrashLoopBackOff".into();
        container.last_reason = "Error".into();
        container.last_exit_code = 1;
    }
    observation(CLUSTER, 1, Body::Pod(pod))
}

/// Pod `n`, seen again after a change that is no fault: its readiness changed at another time.
pub fn touched(n: usize, times: i64) -> v1::Observation {
    touched_in(CLUSTER, NODES, n, times)
}

/// The same of a cluster of this UID and of so many nodes.
pub fn touched_in(cluster: &str, nodes: usize, n: usize, times: i64) -> v1::Observation {
    let mut pod = pod(n, nodes);
    pod.ready_since_us += times;
    observation(cluster, 1, Body::Pod(pod))
}

fn observation(cluster: &str, sequence: u64, body: Body) -> v1::Observation {
    v1::Observation { sequence, observed_at_us: SEEN_AT_US, cluster_uid: cluster.into(), body: Some(body) }
}

fn meta(kind: &str, n: usize, namespace: &str, owner: Option<(&str, &str, usize)>) -> v1::ObjectMeta {
    let named = |kind: &str, n: usize| format!("{}-{n}", kind.to_lowercase());
    let (owner_api_version, owner_kind, owner) = owner.unwrap_or_default();
    let if_owned = |text: String| if owner_kind.is_empty() { String::new() } else { text };
    v1::ObjectMeta {
        uid: format!("{}-uid", named(kind, n)),
        namespace: namespace.into(),
        name: named(kind, n),
        resource_version: "1".into(),
        created_at_us: SEEN_AT_US - 3_600_000_000,
        owner_kind: owner_kind.into(),
        owner_name: if_owned(named(owner_kind, owner)),
        owner_uid: if_owned(format!("{}-uid", named(owner_kind, owner))),
        owner_api_version: owner_api_version.into(),
        ..Default::default()
    }
}

fn node(n: usize) -> v1::Node {
    let ready_since_us = SEEN_AT_US - 3_600_000_000;
    v1::Node {
        meta: Some(meta("Node", n, "", None)),
        ready: "True".into(),
        ready_since_us,
        facts: Some(v1::NodeFacts {
            cpu_milli: 64_000,
            memory_bytes: 256 << 30,
            pods: 250,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn images(n: usize) -> Vec<String> {
    vec![format!("registry.example/shop-{n}:1")]
}

fn deployment(n: usize) -> v1::Deployment {
    let count = u32::try_from(PODS_EACH).unwrap_or(u32::MAX);
    v1::Deployment {
        meta: Some(meta("Deployment", n, "shop", None)),
        generation: 1,
        observed_generation: 1,
        desired: count,
        updated: count,
        ready: count,
        available: count,
        revision: 1,
        template_hash: vec![1; 32],
        images: images(n),
        progressing_status: "True".into(),
        progressing_reason: "NewReplicaSetAvailable".into(),
        ..Default::default()
    }
}

fn replica_set(n: usize) -> v1::ReplicaSet {
    let count = u32::try_from(PODS_EACH).unwrap_or(u32::MAX);
    v1::ReplicaSet {
        meta: Some(meta("ReplicaSet", n, "shop", Some(("apps/v1", "Deployment", n)))),
        revision: 1,
        replicas: count,
        ready_replicas: count,
        template_hash: vec![1; 32],
        images: images(n),
        ..Default::default()
    }
}

fn pod(n: usize, nodes: usize) -> v1::Pod {
    let container = v1::Container {
        name: "app".into(),
        image: images(n / PODS_EACH).concat(),
        ready: true,
        state: "running".into(),
        ..Default::default()
    };
    v1::Pod {
        meta: Some(meta("Pod", n, "shop", Some(("apps/v1", "ReplicaSet", n / PODS_EACH)))),
        node: format!("node-{}", n % nodes),
        phase: "Running".into(),
        ready: true,
        ready_since_us: SEEN_AT_US - 3_600_000_000,
        containers: vec![container],
        unschedulable: String::new(),
        facts: Some(v1::PodFacts {
            started_at_us: SEEN_AT_US - 3_700_000_000,
            placement: Some(v1::Placement { cpu_milli: 100, memory_bytes: 64 << 20, ..Default::default() }),
            references_complete: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_every_pod_with_its_owner_between_the_marks() {
        let all: Vec<Body> = listing(25).filter_map(|observation| observation.body).collect();
        let pods: Vec<&v1::Pod> =
            all.iter().filter_map(|body| if let Body::Pod(pod) = body { Some(pod) } else { None }).collect();
        assert_eq!(pods.len(), 25);
        assert_eq!(all.len(), NODES + 3 * 2 + 25 + 2 * ObjectKind::ALL.len());
        let owner = pods[24].meta.as_ref().unwrap().owner_uid.clone();
        let mut set = all
            .iter()
            .filter_map(|body| if let Body::ReplicaSet(set) = body { set.meta.clone() } else { None });
        assert_eq!(set.next_back().unwrap().uid, owner);
        assert!(matches!(all.last(), Some(Body::Sync(mark)) if mark.phase() == Phase::End));
    }
}
