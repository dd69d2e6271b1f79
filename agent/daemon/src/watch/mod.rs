//! The watchers of the agent: of the host, of its units, of its files, in a pod of what its kubelet measured and, while this replica leads,
//! of its cluster.

pub mod certificates;
pub mod files;
pub mod host;
pub mod kube;
pub mod kubelet;
pub mod units;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::config::KubeletSettings;
use crate::counters::Counters;

/// Watches the cluster among `parts`, and in a pod the node that it is on.
pub fn watch_cluster(
    parts: &mut JoinSet<()>,
    watch: kube::Watch,
    own_node: Option<KubeletSettings>,
    counters: Arc<Counters>,
) {
    if let Some(settings) = own_node {
        parts.spawn(kubelet::run(kubelet::Watch {
            settings,
            target: watch.target.clone(),
            handle: watch.handle.clone(),
            observations: watch.observations.clone(),
            status: watch.status.clone(),
            counters,
            resync: watch.resync.clone(),
            cancel: watch.cancel.clone(),
        }));
    }
    parts.spawn(kube::run(watch));
}
