//! A load that saturates ingestion: simulated agents that send as fast as they are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::plane::Plane;
use crate::sim::enrol;
use crate::sim::stream::{Streamer, host_sample};

/// Observations in a batch.
pub const BATCH: u64 = 500;

/// A load that runs until it is dropped.
pub struct Saturation {
    acked: Vec<Arc<AtomicU64>>,
    // While these live, everything may be sent and nobody is told that the control plane is gone.
    _allow: watch::Sender<u64>,
    _kill: watch::Sender<u64>,
    _streams: JoinSet<anyhow::Result<()>>,
}

impl Saturation {
    /// Enrols so many agents, and lets them stream on the runtime `on`.
    ///
    /// # Errors
    /// When one cannot enrol.
    pub async fn start(plane: &Plane, agents: u64, on: &tokio::runtime::Handle) -> anyhow::Result<Self> {
        let (allow, allowed) = watch::channel(u64::MAX);
        let (kill, generation) = watch::channel(0);
        // All of them before the first one sends: the load is not to be late by its own weight.
        let mut identities = Vec::new();
        for n in 0..agents {
            let token = plane.join_token(&format!("bench-{n}"), "host").await?;
            identities.push(enrol(plane.quic(), &token).await?);
        }
        let (mut acked, mut streams) = (Vec::new(), JoinSet::new());
        for identity in identities {
            let counter: Arc<AtomicU64> = Arc::default();
            acked.push(Arc::clone(&counter));
            let streamer = Streamer {
                server: plane.quic(),
                identity,
                sample: host_sample,
                batch: BATCH,
                total: u64::MAX / 2,
                acked: counter,
                allowed: allowed.clone(),
                generation: generation.clone(),
            };
            streams.spawn_on(streamer.run(), on);
        }
        Ok(Self { acked, _allow: allow, _kill: kill, _streams: streams })
    }

    /// Observations that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acked.iter().map(|acked| acked.load(Ordering::Relaxed)).sum()
    }
}
