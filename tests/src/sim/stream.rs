//! Streams of generated observations, checked at both ends: what was acknowledged, and what the store holds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nimbus_protocol::v1;
use tokio::sync::watch;

use super::{Identity, SimSession};

/// Batches under way before the oldest must be acknowledged, as a real agent's bound.
const WINDOW: usize = 8;

/// The next of a sequence of numbers without a pattern (SplitMix64), so that a compressor finds none either.
fn scramble(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A host sample as an agent makes it (two disks, five processes), its figures all from its sequence: a mix-up shows.
pub fn host_sample(sequence: u64) -> v1::Observation {
    let state = &mut sequence.clone();
    let mut small = |below: u64| u32::try_from(scramble(state) % below).unwrap_or(0);
    let disk = |mount: &str, available: u32| v1::Disk {
        mount: mount.into(),
        filesystem: "ext4".into(),
        total_bytes: 500 << 30,
        available_bytes: u64::from(available) << 8,
    };
    let host = v1::Host {
        hostname: "simulated".into(),
        os: "Debian GNU/Linux 12".into(),
        kernel: "6.1.0".into(),
        cores: 2,
        cpu_centipercent: small(10_000),
        memory_total_bytes: 8 << 30,
        memory_available_bytes: u64::from(small(1 << 31)),
        load1_centi: small(800),
        load5_centi: small(800),
        load15_centi: small(800),
        processes: small(400),
        disks: vec![disk("/", small(1 << 31)), disk("/var", small(1 << 31))],
        uptime_seconds: u64::from(small(1 << 24)),
        top_memory: ["postgres", "java", "nginx", "python3", "containerd"]
            .map(|name| v1::Process {
                pid: small(65_536),
                name: name.into(),
                memory_bytes: u64::from(small(1 << 31)),
            })
            .into(),
        ..Default::default()
    };
    let body = Some(v1::observation::Body::Host(host));
    v1::Observation { sequence, observed_at_us: 1_767_225_600_000_000, cluster_uid: String::new(), body }
}

/// The least that still says its own sequence: for streams in which the number of observations is what counts.
pub fn lean_sample(sequence: u64) -> v1::Observation {
    let host =
        v1::Host { hostname: "simulated".into(), memory_available_bytes: sequence, ..Default::default() };
    let body = Some(v1::observation::Body::Host(host));
    v1::Observation { sequence, observed_at_us: 1_767_225_600_000_000, cluster_uid: String::new(), body }
}

/// Does a stored observation say what [`lean_sample`] made of its sequence?
pub fn is_intact(observation: &v1::Observation) -> bool {
    observation == &lean_sample(observation.sequence)
}

/// One agent's endless wish to get its observations stored.
pub struct Streamer {
    /// Where the control plane listens.
    pub server: SocketAddr,
    /// Who it is.
    pub identity: Identity,
    /// Makes the observation of a sequence.
    pub sample: fn(u64) -> v1::Observation,
    /// Observations a batch.
    pub batch: u64,
    /// Stop when so many are acknowledged.
    pub total: u64,
    /// Highest acknowledged sequence.
    pub acked: Arc<AtomicU64>,
    /// May send up to this sequence now.
    pub allowed: watch::Receiver<u64>,
    /// Changes when the control plane was killed: the old session is dead.
    pub generation: watch::Receiver<u64>,
}

impl Streamer {
    /// Streams until all is acknowledged; reconnects for as long as it takes.
    ///
    /// # Errors
    /// When the control plane forgets what it had acknowledged.
    pub async fn run(mut self) -> anyhow::Result<()> {
        while self.acked.load(Ordering::SeqCst) < self.total {
            self.generation.mark_unchanged();
            let next = self.acked.load(Ordering::SeqCst) + 1;
            let start = SimSession::start(self.server, &self.identity, next);
            let Ok(Ok(session)) = tokio::time::timeout(Duration::from_secs(3), start).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let stored = session.welcome.acknowledged;
            anyhow::ensure!(
                stored >= next - 1,
                "lost: {} was acknowledged, the control plane now knows {stored}",
                next - 1
            );
            self.acked.store(stored, Ordering::SeqCst);
            let mut generation = self.generation.clone();
            tokio::select! {
                _ = generation.changed() => {}
                // An error here is a cut connection: the loop connects again.
                _ = self.pump(session) => {}
            }
        }
        Ok(())
    }

    async fn pump(&mut self, mut session: SimSession) -> anyhow::Result<()> {
        let (mut next, mut in_flight) = (self.acked.load(Ordering::SeqCst) + 1, 0);
        loop {
            let allowed = (*self.allowed.borrow_and_update()).min(self.total);
            while in_flight < WINDOW && next <= allowed {
                let last = (next + self.batch - 1).min(allowed);
                session.send(next, (next..=last).map(self.sample).collect()).await?;
                (next, in_flight) = (last + 1, in_flight + 1);
            }
            if in_flight == 0 {
                if self.acked.load(Ordering::SeqCst) >= self.total {
                    return Ok(());
                }
                self.allowed.changed().await?;
                continue;
            }
            let acked = tokio::time::timeout(Duration::from_secs(20), session.ack()).await??;
            let before = self.acked.fetch_max(acked, Ordering::SeqCst);
            // Acks are cumulative: one may stand for several batches.
            in_flight =
                usize::try_from((next - 1 - acked.max(before)).div_ceil(self.batch)).unwrap_or(WINDOW);
        }
    }
}
