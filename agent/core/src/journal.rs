//! The journal.
use crate::{Refusal, admit::Admitted};
use jiff::Timestamp;
use nimbus_protocol::v1;
/// How far a job came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /** Admitted. */
    Received,
    /** About to act. */
    Intent,
    /** The change is made. */
    Applied,
    /** Watching whether it helps. */
    Verifying,
    /** Final. */
    Done,
}
/// What the daemon does, durably (fsync) before it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append to the journal file and fsync.
    Append(Vec<u8>),
    /// Write a new file, fsync, rename over the journal, fsync the directory.
    Replace(Vec<u8>),
}
/// A job interrupted before it was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// Which.
    pub job_id: String,
    /// How far it came.
    pub phase: Phase,
    /// What the executor wrote down for itself at the last phase.
    pub memo: Vec<u8>,
    /// The order; see [`crate::admit::resume`].
    pub envelope: v1::Envelope,
    /// When it reached this phase.
    pub at: Timestamp,
}
/// A journal call out of order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Never begun.
    #[error("job {0}: expected a job in the journal, found none")]
    Unknown(String),
    /// Phases only go forward.
    #[error("job {job_id}: expected a phase after {at:?}, found {to:?}")]
    Backwards {
        /** Which. */
        job_id: String,
        /** Now. */
        at: Phase,
        /** Asked. */
        to: Phase,
    },
}
/// Every job this agent has seen.
#[derive(Debug)]
pub struct Journal {}
impl Journal {
    /// From the file's bytes (empty when there is none).
    pub fn recover(_bytes: &[u8], _now: Timestamp) -> (Self, Vec<Effect>) {
        todo!()
    }
    /// Received.
    pub fn begin(&mut self, _admitted: &Admitted<v1::Job>, _now: Timestamp) -> Vec<Effect> {
        todo!()
    }
    /// Intent, Applied or Verifying; `memo` (at most 64 KiB) replaces the last one unless empty.
    pub fn advance(
        &mut self,
        _job_id: &str,
        _to: Phase,
        _memo: &[u8],
        _now: Timestamp,
    ) -> Result<Vec<Effect>, JournalError> {
        todo!()
    }
    /// Done, with the final report.
    pub fn finish(&mut self, _report: &v1::JobReport, _now: Timestamp) -> Result<Vec<Effect>, JournalError> {
        todo!()
    }
    /// A signed job was refused: it stays refused. Refusals of what is not signed are not kept (returns nothing).
    pub fn refuse(&mut self, _refusal: &Refusal, _now: Timestamp) -> Vec<Effect> {
        todo!()
    }
    /// The final report is in the spool.
    pub fn reported(&mut self, _job_id: &str) -> Vec<Effect> {
        todo!()
    }
    /// Final reports that are not known to be in the spool.
    pub fn unreported(&self) -> Vec<v1::JobReport> {
        todo!()
    }
    /// Jobs interrupted between Received and Done, oldest first.
    pub fn owed(&self) -> Vec<Owed> {
        todo!()
    }
    /// How far a job came; `None` when never seen.
    pub fn phase(&self, _job_id: &str) -> Option<Phase> {
        todo!()
    }
    /// Highest epoch seen.
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    /// A Welcome named this epoch.
    pub fn note_epoch(&mut self, _epoch: u64) -> Vec<Effect> {
        todo!()
    }
    /// The later of `now` and the latest time ever noted.
    pub fn floor(&self, _now: Timestamp) -> Timestamp {
        todo!()
    }
    /// Call every few seconds: moves the floor (written once a minute), forgets what may be forgotten.
    pub fn tick(&mut self, _now: Timestamp) -> Vec<Effect> {
        todo!()
    }
    /// The last effect could not be carried out: the next one rewrites the whole file.
    pub fn write_failed(&mut self) {
        todo!()
    }
    /// Jobs begun within the last hour.
    pub fn jobs_in_last_hour(&self, _now: Timestamp) -> usize {
        todo!()
    }
}
