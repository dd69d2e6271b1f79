//! The watcher of the agent's own node: what its kubelet measured, and the node's own conditions.
//!
//! Every agent of a cluster looks at the node that it is on, and at no other, whether it leads or not. What is told of it,
//! and when, is decided by `nimbus_agent_core::observe::measured`. What could not be read is a problem in the status and
//! absent in what is told: unknown, never well.

#[cfg(test)]
mod look_tests;
mod read;
#[cfg(test)]
mod read_tests;

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::observe::measured::{MeasuredSender, NodeObject, is_ours, measured};
use nimbus_agent_core::observe::summary::Summary;
use nimbus_platform::{jittered, now};
use nimbus_protocol::v1::observation;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::kube::ClusterHandle;
use super::kube::client::{Cluster, Target};
use super::kube::request;
use crate::config::KubeletSettings;
use crate::counters::Counters;
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;
use read::Reader;

/// Between two looks, with jitter up to half of it more: a kubelet measures volumes each minute.
const EVERY: Duration = Duration::from_mins(1);
/// The problem that the kubelet's figures could not be read.
const FIGURES: &str = "kubelet";
/// The problem that the node's conditions could not be read.
const CONDITIONS: &str = "node-conditions";

/// What the watch needs.
pub struct Watch {
    /// Which node, and where its kubelet is.
    pub settings: KubeletSettings,
    /// The cluster's address, and this pod's credentials.
    pub target: Target,
    /// Says when the cluster answered.
    pub handle: Arc<ClusterHandle>,
    /// Where observations go.
    pub observations: ObservationQueue,
    /// Where problems are said.
    pub status: Arc<SharedStatus>,
    /// Where looks are counted.
    pub counters: Arc<Counters>,
    /// Grows whenever everything is to be told again.
    pub resync: watch::Receiver<u64>,
    /// Ends the watch.
    pub cancel: CancellationToken,
}

/// Looks until cancelled.
pub async fn run(mut watch: Watch) {
    let mut clusters = watch.handle.cluster_changes();
    let cluster = tokio::select! {
        () = watch.cancel.cancelled() => return,
        found = clusters.wait_for(Option::is_some) => match found {
            Ok(found) => found.clone(),
            Err(_) => return,
        },
    };
    let Some(cluster) = cluster else { return };
    // Made with the first look, and anew as long as it cannot be.
    let mut reader = None;
    let mut sender = MeasuredSender::default();
    loop {
        tokio::select! {
            () = watch.cancel.cancelled() => return,
            () = look(&watch, &cluster, &mut reader, &mut sender) => {}
        }
        tokio::select! {
            () = watch.cancel.cancelled() => return,
            () = tokio::time::sleep(jittered(EVERY)) => {}
            asked = watch.resync.changed() => {
                if asked.is_err() { return }
                sender.reset();
            }
        }
    }
}

/// One look, and what is worth telling of it.
async fn look(watch: &Watch, cluster: &Cluster, reader: &mut Option<Reader>, sender: &mut MeasuredSender) {
    let (summary, object) = tokio::join!(figures(watch, reader), conditions(watch, cluster));
    // Whose the summary is was compared already.
    let Ok(Some(told)) = measured(&watch.settings.node, summary.as_ref(), object.as_ref()) else { return };
    if let Some(told) = sender.offer(told, now()) {
        watch.observations.observe(&cluster.uid, observation::Body::NodeMeasured(told)).await;
    }
}

/// What the kubelet measured; `None` where that is unknown, which is a problem then.
async fn figures(watch: &Watch, reader: &mut Option<Reader>) -> Option<Summary> {
    let read = async {
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(Reader::new(&watch.settings, &watch.target)?),
        };
        reader.summary().await
    };
    let told = match read.await {
        Ok(summary) => match is_ours(&watch.settings.node, &summary) {
            Ok(()) => Ok(summary),
            Err(other) => Err(other.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    match told {
        Ok(summary) => {
            watch.counters.kubelet_reads.add(1);
            watch.status.problem(FIGURES, None);
            Some(summary)
        }
        Err(problem) => {
            watch.counters.kubelet_failures.add(1);
            watch.status.problem(FIGURES, Some(problem));
            None
        }
    }
}

/// The Node itself, from the API server's memory and not from its database; `None` where it could not be read.
async fn conditions(watch: &Watch, cluster: &Cluster) -> Option<NodeObject> {
    let node = request::segment(&watch.settings.node)?;
    let path = format!("/api/v1/nodes/{node}?resourceVersion=0");
    match request::get::<NodeObject>(&cluster.client, &path).await {
        Ok(object) => {
            watch.status.problem(CONDITIONS, None);
            Some(object)
        }
        Err(error) => {
            let text = format!(
                "expected to read node {node} from the API server, found: {error}; its conditions are unknown until then"
            );
            watch.status.problem(CONDITIONS, Some(text));
            None
        }
    }
}
