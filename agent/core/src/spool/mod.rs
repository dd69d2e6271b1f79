//! The spool: a bounded, sequenced, durable queue of the observations that the control plane has not stored yet.
//!
//! It decides which sequence an observation gets, where its bytes go, what is sent next, what may be forgotten and
//! what is dropped when there is no room. It holds positions, not payloads: the daemon carries out each
//! [`IoEffect`] in order and reads bytes back for each [`Batch`]. All of it is state, which can be listed again; what
//! became of a job is not, and has its place in [`crate::journal`].
//!
//! One task owns the spool and the files; it carries out the effects of a call before it makes the next call.
//!
//! At the bounds of [`Limits`], whole segments are dropped: first the oldest in which every state was superseded by
//! a newer one of the same object, then the oldest; [`Spool::take_needs_resync`] then says that all must be listed
//! again. The end mark of a listing that lost a part is never sent, so that nobody takes unseen for gone.

mod disk;
mod key;
mod pressure;
mod queue;
mod recovery;
#[cfg(test)]
mod tests;

pub use disk::{Batch, IoEffect, Read, SpoolError};
pub use queue::Spool;
pub use recovery::Recovery;

/// Longest encoded observation; a longer one is dropped (and counted). A batch of one still fits a frame.
pub const MAX_OBSERVATION: usize = 512 << 10;

/// How much may wait. Values too small to work with are raised: eight segments of 4 KiB, sixteen records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on disk, of all segments together.
    pub max_bytes: u64,
    /// Bytes of one segment before the next is begun.
    pub segment_bytes: u64,
    /// Observations waiting. Each takes 32 bytes of memory, at most twice that while the queue grows.
    pub max_records: usize,
}

impl Default for Limits {
    /// 64 MiB in segments of 1 MiB, 200,000 observations: at most 13 MB of memory when all of that waits.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, segment_bytes: 1 << 20, max_records: 200_000 }
    }
}

impl Limits {
    fn workable(self) -> Self {
        let max_bytes = self.max_bytes.max(32 << 10);
        Self {
            max_bytes,
            segment_bytes: self.segment_bytes.clamp(4 << 10, (max_bytes / 8).min(64 << 20)),
            max_records: self.max_records.max(16),
        }
    }
}
