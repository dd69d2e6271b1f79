//! The durable memory of jobs: what was admitted, how far it came, and what is still owed.
//!
//! It decides what has to be on disk before the next step may be taken; the daemon carries out each [`Effect`],
//! with fsync, before it goes on. It remembers the highest epoch and the latest time seen, so that neither an older
//! control plane nor a clock set back revives an order.
//!
//! Bounds: a job is kept until its expiry and [`KEEP`] have passed and its report is in the spool; at [`MAX_JOBS`]
//! the oldest finished and expired ones go early. A refused one counts as expired after the longest time for which an
//! order may be valid, whatever it says itself, so that refusals cannot fill the journal for ever. An order that has not expired is never forgotten: when there is no
//! room without that, new orders are refused ([`Journal::has_room`]). The envelope and the executor's memo of a job
//! are in memory only until it is done; after that a job takes about 300 bytes.

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{from_micros, to_micros, v1};
use prost::Message as _;

use crate::admit::{Admitted, CLOCK_TOLERANCE, MAX_LIFETIME};
use crate::refusal::Refusal;
use store::Line;

/// How long a job's id is remembered after its expiry.
pub const KEEP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most jobs remembered.
pub const MAX_JOBS: usize = 10_000;
/// Longest note that an executor may leave for itself.
pub const MAX_MEMO: usize = 64 << 10;

/// How far a job came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Admitted; nothing was done.
    Received,
    /// About to act: from here on it may have taken effect.
    Intent,
    /// The change is made.
    Applied,
    /// Whether it helps is being watched.
    Verifying,
    /// Final.
    Done,
}

/// What the daemon does, durably, before it goes on. When it fails: [`Journal::write_failed`], and no job is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append to the journal file and fsync.
    Append(Vec<u8>),
    /// Write a new file, fsync, rename it over the journal, fsync the directory.
    Replace(Vec<u8>),
}

/// A job that was interrupted before it was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// Which job.
    pub job_id: String,
    /// How far it came. `Received`: nothing was done; later: it may have taken effect.
    pub phase: Phase,
    /// What the executor wrote down for itself last.
    pub memo: Vec<u8>,
    /// The order itself; see [`crate::admit::resume`].
    pub envelope: v1::Envelope,
    /// When it reached this phase.
    pub at: Timestamp,
}

/// A journal call that does not fit what the journal knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Never begun here.
    #[error("job {0}: expected it in the journal, found nothing; begin it first")]
    Unknown(String),
    /// Phases only go forward.
    #[error("job {job_id}: expected a phase from {at:?} on, found {to:?}")]
    Backwards {
        /// Which job.
        job_id: String,
        /// Where it stands.
        at: Phase,
        /// What was asked for.
        to: Phase,
    },
    /// The memo is too long.
    #[error("job {job_id}: expected a memo of at most {MAX_MEMO} bytes, found {found}")]
    MemoTooLong {
        /// Which job.
        job_id: String,
        /// Bytes.
        found: usize,
    },
}

/// Every job this agent has seen and may not forget.
#[derive(Debug)]
pub struct Journal {
    jobs: BTreeMap<String, store::JobLine>,
    epoch: u64,
    floor: Timestamp,
    /// The floor as the file has it.
    written_floor: Timestamp,
    file_bytes: usize,
    /// Bytes at which the file is written anew.
    rewrite_at: usize,
    /// The file is not what memory says: the next effect replaces it.
    dirty: bool,
    damaged: usize,
}

impl Journal {
    /// Reads the journal file (empty when there is none), and what to do before it is used. Damaged bytes are
    /// skipped: every whole record before and after them counts.
    pub fn recover(bytes: &[u8], now: Timestamp) -> (Self, Vec<Effect>) {
        store::recover(bytes, now)
    }

    /// Bytes of the file that were no records: a torn tail after a crash, or damage.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// The job is admitted.
    pub fn begin(&mut self, admitted: &Admitted<v1::Job>, now: Timestamp) -> Vec<Effect> {
        let job = admitted.get();
        let line = store::JobLine {
            job_id: job.job_id.clone(),
            envelope_sha256: admitted.envelope_sha256().to_vec(),
            phase: store::number(Phase::Received),
            at_us: to_micros(now),
            begun_us: to_micros(now),
            expires_at_us: job.expires_at_us,
            envelope: Some(Box::new(admitted.envelope().clone())),
            ..Default::default()
        };
        self.epoch = self.epoch.max(job.epoch);
        self.add(line, now)
    }

    fn add(&mut self, line: store::JobLine, now: Timestamp) -> Vec<Effect> {
        self.raise_floor(now);
        while self.jobs.len() >= MAX_JOBS {
            let Some(oldest) = self.forgettable(now) else { break };
            self.jobs.remove(&oldest);
        }
        let id = line.job_id.clone();
        self.jobs.insert(id.clone(), line);
        self.write(Some(&id))
    }

    /// Intent, Applied or Verifying; `memo` (at most [`MAX_MEMO`] bytes) replaces the last one unless it is empty.
    /// The same phase again only replaces the memo.
    pub fn advance(
        &mut self,
        job_id: &str,
        to: Phase,
        memo: &[u8],
        now: Timestamp,
    ) -> Result<Vec<Effect>, JournalError> {
        if memo.len() > MAX_MEMO {
            return Err(JournalError::MemoTooLong { job_id: job_id.to_owned(), found: memo.len() });
        }
        let line = self.jobs.get_mut(job_id).ok_or_else(|| JournalError::Unknown(job_id.to_owned()))?;
        let at = line.phase();
        if to < at || at == Phase::Done || to == Phase::Done {
            return Err(JournalError::Backwards { job_id: job_id.to_owned(), at, to });
        }
        line.phase = store::number(to);
        line.at_us = to_micros(now);
        if !memo.is_empty() {
            line.memo = memo.to_vec();
        }
        self.raise_floor(now);
        Ok(self.write(Some(job_id)))
    }

    /// The job is done; its final report is kept until [`Journal::reported`].
    pub fn finish(&mut self, report: &v1::JobReport, now: Timestamp) -> Result<Vec<Effect>, JournalError> {
        let job_id = &report.job_id;
        let line = self.jobs.get_mut(job_id).ok_or_else(|| JournalError::Unknown(job_id.clone()))?;
        let at = line.phase();
        if at == Phase::Done {
            return Err(JournalError::Backwards { job_id: job_id.clone(), at, to: Phase::Done });
        }
        line.close(report.clone(), now);
        self.raise_floor(now);
        Ok(self.write(Some(job_id)))
    }

    /// A signed order was refused: it stays refused, even if the reason goes away, because the control plane plans
    /// anew, until it expires or the longest time for which an order is admitted has passed. Nothing is kept of what no
    /// trusted key signed, nor of a replay.
    pub fn refuse(&mut self, refusal: &Refusal, now: Timestamp) -> Vec<Effect> {
        let (Some(job_id), Some(expires_at)) = (&refusal.job_id, refusal.expires_at) else {
            return Vec::new();
        };
        if self.jobs.contains_key(job_id) || !self.has_room(now) {
            return Vec::new();
        }
        let longest = MAX_LIFETIME + CLOCK_TOLERANCE;
        let latest = self.floor(now).checked_add(longest).unwrap_or(Timestamp::MAX);
        let mut line = store::JobLine {
            job_id: job_id.clone(),
            envelope_sha256: refusal.envelope_sha256.to_vec(),
            begun_us: to_micros(now),
            expires_at_us: to_micros(expires_at.min(latest)),
            refused: true,
            ..Default::default()
        };
        line.close(refusal.report(now), now);
        self.add(line, now)
    }

    /// The final report of this job is in the spool, durably.
    pub fn reported(&mut self, job_id: &str) -> Vec<Effect> {
        let Some(line) = self.jobs.get_mut(job_id).filter(|line| line.report.is_some()) else {
            return Vec::new();
        };
        line.report = None;
        self.write(Some(job_id))
    }

    /// Final reports that are not known to be in the spool: push them again (a report counts once).
    pub fn unreported(&self) -> Vec<v1::JobReport> {
        self.jobs.values().filter_map(|line| line.report.as_deref().cloned()).collect()
    }

    /// Jobs that were interrupted, oldest first.
    pub fn owed(&self) -> Vec<Owed> {
        let mut owed: Vec<Owed> = self.jobs.values().filter_map(store::JobLine::owed).collect();
        owed.sort_by_key(|o| o.at);
        owed
    }

    /// How far a job came; `None` when it was never seen, or so long ago that it expired with certainty.
    pub fn phase(&self, job_id: &str) -> Option<Phase> {
        self.jobs.get(job_id).map(store::JobLine::phase)
    }

    /// Is one more order possible without forgetting one that has not expired?
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.jobs.len() < MAX_JOBS || self.forgettable(now).is_some()
    }

    fn forgettable(&self, now: Timestamp) -> Option<String> {
        let now = to_micros(self.floor(now));
        let past = |line: &&store::JobLine| line.is_closed() && line.expires_at_us < now;
        self.jobs.values().filter(past).min_by_key(|line| line.expires_at_us).map(|line| line.job_id.clone())
    }

    /// Highest epoch seen in a Welcome or an admitted job.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A Welcome named this epoch.
    pub fn note_epoch(&mut self, epoch: u64) -> Vec<Effect> {
        if epoch <= self.epoch {
            return Vec::new();
        }
        self.epoch = epoch;
        self.write(None)
    }

    /// The later of `now` and the latest time ever noted: what expiry is judged by. After a clock that was wrongly
    /// ahead is put right, orders count as expired until the time it showed has really come.
    pub fn floor(&self, now: Timestamp) -> Timestamp {
        now.max(self.floor)
    }

    fn raise_floor(&mut self, now: Timestamp) {
        self.floor = self.floor.max(now);
    }

    /// Call every few seconds: notes the time (on disk once a minute) and forgets what may be forgotten.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        self.raise_floor(now);
        let keep_from = to_micros(self.floor.checked_sub(KEEP).unwrap_or(Timestamp::MIN));
        let before = self.jobs.len();
        self.jobs.retain(|_, line| !line.is_closed() || line.expires_at_us >= keep_from);
        let minute = self.floor.duration_since(self.written_floor) >= SignedDuration::from_mins(1);
        if minute || self.jobs.len() < before || self.dirty { self.write(None) } else { Vec::new() }
    }

    /// The last effect could not be carried out: the next one replaces the whole file.
    pub fn write_failed(&mut self) {
        self.dirty = true;
    }

    /// True while the file is not what memory says: after a restart a job may stand elsewhere than here.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Orders begun within the hour before `now`; refused ones do not count.
    pub fn jobs_in_last_hour(&self, now: Timestamp) -> usize {
        let from =
            to_micros(self.floor(now).checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN));
        self.jobs.values().filter(|line| !line.refused && line.begun_us > from).count()
    }

    /// One record of what changed, or the whole file where that is due.
    fn write(&mut self, job_id: Option<&str>) -> Vec<Effect> {
        self.written_floor = self.floor;
        let line = Line {
            epoch: self.epoch,
            floor_us: to_micros(self.floor),
            job: job_id.and_then(|id| self.jobs.get(id)).cloned(),
        };
        let mut bytes = Vec::new();
        crate::record::append(&mut bytes, &line.encode_to_vec());
        if self.dirty || self.file_bytes + bytes.len() > self.rewrite_at {
            return vec![self.image()];
        }
        self.file_bytes += bytes.len();
        vec![Effect::Append(bytes)]
    }
}

/// A time from a record.
fn time(micros: i64) -> Timestamp {
    from_micros(micros)
}
