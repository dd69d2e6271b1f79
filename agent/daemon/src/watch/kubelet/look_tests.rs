//! Tests of one look: what is told of the own node, and that nothing of another one is.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use nimbus_agent_core::observe::measured::MeasuredSender;
use nimbus_protocol::v1::{self, observation::Body};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::read_tests::{Answer, Authority, Kubelet, SUMMARY};
use super::{Watch, look};
use crate::counters::Counters;
use crate::observation_queue::{ObservationQueue, QueuedObservation};
use crate::status::SharedStatus;
use crate::watch::kube::ClusterHandle;
use crate::watch::kube::client::Target;

const NODE: &str =
    r#"{"status": {"conditions": [{"type": "DiskPressure", "status": "False", "reason": "r"}]}}"#;

/// An API server that knows these nodes.
async fn api(nodes: &'static [&'static str]) -> kube::Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut app = Router::new();
    for node in nodes {
        app = app.route(&format!("/api/v1/nodes/{node}"), get(|| async { NODE }));
    }
    tokio::spawn(async move { axum::serve(listener, app).await });
    kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
}

struct Looked {
    told: Option<v1::NodeMeasured>,
    problems: Vec<String>,
    counted: (u64, u64),
}

/// One look of an agent on `own` node, where the kubelet of node-a answers.
async fn looked(own: &str, nodes: &'static [&'static str], answer: Answer) -> Looked {
    let authority = Authority::new();
    let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, answer).await;
    let mut settings = kubelet.settings();
    own.clone_into(&mut settings.node);
    let (observations, mut items): (_, mpsc::Receiver<QueuedObservation>) = ObservationQueue::new();
    let (_asks, resync) = watch::channel(0);
    let handle = Arc::new(ClusterHandle::leading(api(nodes).await));
    let cluster = handle.cluster().unwrap();
    let watch = Watch {
        settings,
        target: Target::of(authority.config()),
        handle,
        observations,
        status: Arc::new(SharedStatus::new()),
        counters: Arc::new(Counters::default()),
        resync,
        cancel: CancellationToken::new(),
    };
    look(&watch, &cluster, &mut None, &mut MeasuredSender::default()).await;
    let told = items.try_recv().ok().map(|item| {
        assert_eq!(item.observation.cluster_uid, cluster.uid);
        let Some(Body::NodeMeasured(told)) = item.observation.body else { panic!("of a node") };
        told
    });
    let counted = (watch.counters.kubelet_reads.get(), watch.counters.kubelet_failures.get());
    Looked { told, problems: watch.status.status().problems, counted }
}

#[tokio::test]
async fn the_own_node_is_told_with_its_conditions() {
    let seen = looked("node-a", &["node-a", "node-b"], Answer::Status(200, SUMMARY)).await;
    let told = seen.told.unwrap();
    assert_eq!((told.node.as_str(), told.conditions.len()), ("node-a", 1));
    assert_eq!(told.node_filesystem.unwrap().capacity_bytes, Some(7));
    assert_eq!((seen.problems, seen.counted), (Vec::new(), (1, 0)));
}

#[tokio::test]
async fn nothing_of_another_nodes_kubelet_is_told() {
    let seen = looked("node-b", &["node-a", "node-b"], Answer::Status(200, SUMMARY)).await;
    let told = seen.told.unwrap();
    assert_eq!((told.node.as_str(), told.node_filesystem), ("node-b", None));
    assert_eq!(told.conditions.len(), 1, "the node's own conditions are known all the same");
    assert!(
        seen.problems[0].contains("node-b") && seen.problems[0].contains("node-a"),
        "{:?}",
        seen.problems
    );
    assert_eq!(seen.counted, (0, 1));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_and_is_not_told() {
    let seen = looked("node-c", &["node-a"], Answer::Status(403, "")).await;
    assert_eq!(seen.told, None);
    assert_eq!(seen.problems.len(), 2, "{:?}", seen.problems);
    assert!(seen.problems.iter().any(|problem| problem.contains("nodes/stats")), "{:?}", seen.problems);
    assert!(
        seen.problems.iter().any(|problem| problem.contains("conditions are unknown")),
        "{:?}",
        seen.problems
    );
}
