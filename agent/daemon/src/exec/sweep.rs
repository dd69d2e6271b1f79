//! Removes leftover cordons: the leading replica uncordons nodes that carry the annotation of a job that is finished or
//! unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::journal::Phase;

use super::Shared;
use crate::watch::kube::cordons;

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
            handle.cordons.left_over(Instant::now(), finished)
        })
        .await;
    for (node, job) in left.unwrap_or_default() {
        match cordons::uncordon(&cluster.client, &node, &job).await {
            Ok(()) => tracing::info!(node, job, "removed a leftover cordon of Nimbus"),
            Err(error) => {
                let text =
                    format!("expected to uncordon node {node}, which job {job} cordoned, found: {error}");
                tracing::warn!("{text}");
            }
        }
    }
}
