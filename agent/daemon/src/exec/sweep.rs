//! Removes what was left behind on nodes: the leading replica takes away taints and cordons of jobs that are finished or
//! unknown, and taints whose time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::journal::Phase;

use super::Shared;
use crate::watch::kube::cordons::{self, Kind};
use crate::watch::kube::holds;

/// Between two looks.
const PACE: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        sweep(&shared).await;
    }
}

async fn sweep(shared: &Arc<Shared>) {
    if shared.cluster.cordons.is_empty() {
        return;
    }
    let (Some(cluster), Some(_)) = (shared.cluster.cluster(), shared.cluster.term()) else { return };
    let handle = shared.cluster.clone();
    let left = shared
        .with_journal(move |store| {
            let phase = |job: &str| store.get().phase(job.parse().ok()?);
            let finished = |job: &str| phase(job).map(|phase| phase == Phase::Done);
            handle.cordons.left_over(Instant::now(), nimbus_platform::now().as_second(), finished)
        })
        .await;
    for left in left.unwrap_or_default() {
        let (node, job) = (left.node, left.job);
        let lifted = match left.kind {
            Kind::Cordon => cordons::uncordon(&cluster.client, &node, &job).await,
            Kind::Taint => holds::release(&cluster.client, &node, &job).await,
        };
        match lifted {
            Ok(()) => {
                tracing::info!(node, job, kind = ?left.kind, "removed what a job of Nimbus left on a node");
            }
            Err(error) => {
                let text =
                    format!("expected to open node {node} again, which job {job} closed, found: {error}");
                tracing::warn!("{text}");
            }
        }
    }
}
