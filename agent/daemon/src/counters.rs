//! The counters that the agent shows at `/metrics`. They start at 0 with the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// The figures; each says what it counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Observations waiting in the spool or in flight.
    pub spool_observations: Figure,
    /// Bytes of spool segments on disk.
    pub spool_bytes: Figure,
    /// Observations dropped because the spool was full, since the spool was made.
    pub spool_dropped: Figure,
    /// Observations written to the data stream, repeats included.
    pub observations_sent: Figure,
    /// Connections made to the control plane.
    pub connections: Figure,
    /// Files that a baseline is held of.
    pub watched_files: Figure,
    /// Times that the figures of the own node's kubelet were read.
    pub kubelet_reads: Figure,
    /// Times that they could not be read.
    pub kubelet_failures: Figure,
    /// Jobs by their last phase, in the order of [`OUTCOMES`].
    pub jobs: [Figure; OUTCOMES.len()],
}

/// The words of [`Counters::jobs`].
pub const OUTCOMES: [&str; 6] =
    ["succeeded", "failed", "refused", "replay_refused", "compensated", "unknown"];

/// One figure.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Sets.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Counts a job's last phase.
    pub fn job(&self, outcome: &str) {
        if let Some(at) = OUTCOMES.iter().position(|word| *word == outcome) {
            self.jobs[at].add(1);
        }
    }
}
