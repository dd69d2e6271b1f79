//! The job journal: a durable record of which jobs were admitted, which phase each has reached, and which reports the
//! control plane has not acknowledged.
//!
//! It decides what has to be on disk before the next step may be taken; the daemon carries out each [`Effect`],
//! with fsync, before it goes on. It remembers the highest epoch and which expiries forgotten jobs had, so that neither an
//! older control plane nor a clock set back revives a job, and a clock that was ahead keeps none out.
//!
//! Reports of what became of a job live here and nowhere else. A report is handed out only while the file on disk is
//! what memory says ([`Journal::unacknowledged`]), and goes once the control plane has acknowledged its phase.
//!
//! Bounds: a job is kept until its expiry and [`KEEP`] have passed and its reports are acknowledged; at [`MAX_JOBS`]
//! the oldest finished and expired ones go early. A job that has not expired is never forgotten (unless its expiry lies
//! further ahead than any job's can, by a clock that was wrong), and neither is an unacknowledged report: when there is no room without that, or [`MAX_UNACKNOWLEDGED`] jobs have reports waiting, new
//! jobs are refused. A job has at most one report of each phase, three in all, of at most [`MAX_REPORT`] bytes; a
//! longer one loses its evidence. The envelope and the executor's checkpoint of a job are in memory only until it is
//! done; after that a job takes about 300 bytes.

mod forgotten;
mod reports;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{from_micros, to_micros, v1};
use prost::Message as _;

use crate::admit::{AdmittedJob, CLOCK_TOLERANCE, JobHistory, MAX_LIFETIME};
use crate::refusal::Refusal;
use forgotten::Forgotten;
use store::{Line, Spans};

pub use reports::{MAX_REPORT, MAX_UNACKNOWLEDGED};

/// How long a job's id is remembered after its expiry.
pub const KEEP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most jobs remembered.
pub const MAX_JOBS: usize = 10_000;
/// Longest checkpoint that an executor may leave for itself.
pub const MAX_CHECKPOINT: usize = 64 << 10;

/// How far a job came. Whether a change helped is only read, and is watched again after a restart, so that watching is
/// no phase of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Admitted; nothing was done.
    Received,
    /// About to act: from here on it may have taken effect.
    Intent,
    /// The change is made; whether it helps is being watched.
    Applied,
    /// The change did not help and is being undone.
    Compensating,
    /// Final.
    Done,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Intent => "about to act",
            Self::Applied => "applied",
            Self::Compensating => "being undone",
            Self::Done => "done",
        }
    }
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
pub struct InterruptedJob {
    /// Which job.
    pub job_id: JobId,
    /// How far it came. `Received`: nothing was done; later: it may have taken effect.
    pub phase: Phase,
    /// What the executor wrote down for itself last.
    pub checkpoint: Vec<u8>,
    /// Why it is being undone; empty before that.
    pub undone_because: String,
    /// The signed job itself; see [`crate::admit::resume`].
    pub envelope: v1::Envelope,
    /// When it reached this phase.
    pub at: Timestamp,
}

/// A step of a job, for [`Journal::advance`].
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The phase that it reaches: not [`Phase::Done`], see [`Journal::finish`].
    pub to: Phase,
    /// Replaces the last checkpoint unless it is empty; at most [`MAX_CHECKPOINT`] bytes.
    pub checkpoint: Vec<u8>,
    /// Why it is being undone; replaces the last reason unless it is empty.
    pub undone_because: String,
    /// What is reported of it.
    pub report: Option<v1::JobReport>,
}

impl Step {
    /// A step that is not reported.
    pub fn to(phase: Phase, checkpoint: Vec<u8>) -> Self {
        Self { to: phase, checkpoint, undone_because: String::new(), report: None }
    }
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
        job_id: JobId,
        /// Where it stands.
        at: Phase,
        /// What was asked for.
        to: Phase,
    },
    /// The checkpoint is too long.
    #[error("job {job_id}: expected a checkpoint of at most {MAX_CHECKPOINT} bytes, found {found}")]
    CheckpointTooLong {
        /// Which job.
        job_id: JobId,
        /// Bytes.
        found: usize,
    },
}

/// Every job this agent has seen and may not forget.
#[derive(Debug)]
pub struct Journal {
    jobs: BTreeMap<JobId, store::JobLine>,
    epoch: u64,
    forgotten: Forgotten,
    /// The time as it was told last.
    now: Timestamp,
    /// The same as the file has it.
    written: Timestamp,
    /// The file says what was forgotten.
    told_forgotten: bool,
    file_bytes: usize,
    /// Bytes at which the file is written anew.
    rewrite_at: usize,
    /// The file is not what memory says: the next effect replaces it.
    dirty: bool,
    damaged: usize,
    lost: usize,
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

    /// Those of them that have a whole record behind them: no crash leaves them, the disk changed them.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// The job is admitted.
    pub fn begin(&mut self, admitted: &AdmittedJob, now: Timestamp) -> Vec<Effect> {
        let job = admitted.job();
        let line = store::JobLine {
            job_id: admitted.id().to_string(),
            envelope_sha256: admitted.envelope_sha256().to_vec(),
            phase: store::number(Phase::Received),
            at_us: to_micros(now),
            begun_us: to_micros(now),
            expires_at_us: job.expires_at_us,
            envelope: Some(Box::new(admitted.envelope().clone())),
            ..Default::default()
        };
        self.raise_epoch(job.epoch);
        self.add(admitted.id(), line, now)
    }

    fn add(&mut self, id: JobId, line: store::JobLine, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        while self.jobs.len() >= MAX_JOBS {
            let Some(oldest) = self.forgettable(now) else { break };
            self.forget(|id, _| *id == oldest);
        }
        self.jobs.insert(id, line);
        self.write(Some(id))
    }

    /// The job takes a step. The same phase again only replaces the checkpoint and the report.
    pub fn advance(
        &mut self,
        job_id: JobId,
        step: Step,
        now: Timestamp,
    ) -> Result<Vec<Effect>, JournalError> {
        let Step { to, checkpoint, undone_because, report } = step;
        if checkpoint.len() > MAX_CHECKPOINT {
            return Err(JournalError::CheckpointTooLong { job_id, found: checkpoint.len() });
        }
        let line = self.jobs.get_mut(&job_id).ok_or_else(|| JournalError::Unknown(job_id.to_string()))?;
        let at = line.phase();
        if to < at || at == Phase::Done || to == Phase::Done {
            return Err(JournalError::Backwards { job_id, at, to });
        }
        line.phase = store::number(to);
        line.at_us = to_micros(now);
        if !checkpoint.is_empty() {
            line.checkpoint = checkpoint;
        }
        if !undone_because.is_empty() {
            line.undone_because = undone_because;
        }
        if let Some(report) = report {
            line.report(report);
        }
        self.now = now;
        Ok(self.write(Some(job_id)))
    }

    /// The job is done, and this is its final report.
    pub fn finish(&mut self, report: v1::JobReport, now: Timestamp) -> Result<Vec<Effect>, JournalError> {
        let unknown = || JournalError::Unknown(report.job_id.clone());
        let job_id: JobId = report.job_id.parse().map_err(|_| unknown())?;
        let line = self.jobs.get_mut(&job_id).ok_or_else(unknown)?;
        let at = line.phase();
        if at == Phase::Done {
            return Err(JournalError::Backwards { job_id, at, to: Phase::Done });
        }
        line.close(report, now);
        self.now = now;
        Ok(self.write(Some(job_id)))
    }

    /// A signed job was refused: it stays refused, even if the reason goes away, because the control plane plans
    /// anew, until it expires or the longest time for which a job is admitted has passed. Nothing is kept of what no
    /// trusted key signed, nor of a replay, nor where there is no room.
    pub fn refuse(&mut self, refusal: &Refusal, now: Timestamp) -> Vec<Effect> {
        let (Some(job_id), Some(until)) = (refusal.job_id, refusal.remember_until) else {
            return Vec::new();
        };
        if self.jobs.contains_key(&job_id) || self.has_room(now).is_err() {
            return Vec::new();
        }
        let mut line = store::JobLine {
            job_id: job_id.to_string(),
            envelope_sha256: refusal.envelope_sha256.to_vec(),
            begun_us: to_micros(now),
            expires_at_us: to_micros(until),
            refused: true,
            ..Default::default()
        };
        line.close(refusal.report(now), now);
        self.add(job_id, line, now)
    }

    /// Jobs that were interrupted, oldest first.
    pub fn interrupted(&self) -> Vec<InterruptedJob> {
        let found = self.jobs.iter().filter_map(|(id, line)| line.interrupted(*id));
        let mut interrupted: Vec<InterruptedJob> = found.collect();
        interrupted.sort_by_key(|job| job.at);
        interrupted
    }

    /// How far a job came; `None` when it was never seen, or so long ago that it expired with certainty.
    pub fn phase(&self, job_id: JobId) -> Option<Phase> {
        self.jobs.get(&job_id).map(store::JobLine::phase)
    }

    fn forgettable(&self, now: Timestamp) -> Option<JobId> {
        // No job's expiry lies so far ahead unless a clock was ahead when it was signed.
        let ahead = to_micros(now.saturating_add(MAX_LIFETIME + CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX));
        let now = to_micros(now);
        let over = |line: &store::JobLine| line.expires_at_us < now || line.expires_at_us > ahead;
        let past = self.jobs.iter().filter(|(_, line)| line.is_closed() && over(line));
        past.min_by_key(|(_, line)| line.begun_us).map(|(id, _)| *id)
    }

    /// Forgets these jobs and keeps which expiries they had.
    fn forget(&mut self, which: impl Fn(&JobId, &store::JobLine) -> bool) {
        for (_, line) in self.jobs.extract_if(.., |id, line| which(id, line)) {
            self.forgotten.add(time(line.expires_at_us));
            self.told_forgotten = false;
        }
    }

    fn raise_epoch(&mut self, epoch: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.forgotten.clear();
            self.told_forgotten = false;
        }
    }

    /// A Welcome named this epoch.
    pub fn note_epoch(&mut self, epoch: u64) -> Vec<Effect> {
        if epoch <= self.epoch {
            return Vec::new();
        }
        self.raise_epoch(epoch);
        self.write(None)
    }

    /// Call every few seconds: notes the time (on disk once a minute) and forgets what may be forgotten.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        let keep_from = to_micros(now.checked_sub(KEEP).unwrap_or(Timestamp::MIN));
        let before = self.jobs.len();
        self.forget(|_, line| line.is_closed() && line.expires_at_us < keep_from);
        let minute = now.duration_since(self.written).abs() >= SignedDuration::from_mins(1);
        if minute || self.jobs.len() < before || self.dirty { self.write(None) } else { Vec::new() }
    }

    /// The last effect could not be carried out: the next one replaces the whole file.
    pub fn write_failed(&mut self) {
        self.dirty = true;
    }

    /// One record of what changed, or the whole file where that is due.
    fn write(&mut self, job_id: Option<JobId>) -> Vec<Effect> {
        self.written = self.now;
        let line = Line {
            epoch: self.epoch,
            latest_seen_us: to_micros(self.now),
            job: job_id.and_then(|id| self.jobs.get(&id)).cloned(),
            forgotten: (!self.told_forgotten).then(|| Spans::of(&self.forgotten)),
        };
        self.told_forgotten = true;
        let mut bytes = Vec::new();
        crate::record::append(&mut bytes, &line.encode_to_vec());
        if self.dirty || self.file_bytes + bytes.len() > self.rewrite_at {
            return vec![self.image()];
        }
        self.file_bytes += bytes.len();
        vec![Effect::Append(bytes)]
    }
}

impl JobHistory for Journal {
    fn seen(&self, job: JobId) -> Option<&'static str> {
        self.phase(job).map(Phase::as_str)
    }

    fn may_have_forgotten(&self, expires: Timestamp) -> bool {
        self.forgotten.covers(expires)
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was refused when it came does not count, nor what was begun later than now, by a clock that was ahead. A job
    /// that was admitted counts even if it was refused before any effect: it has read, and asked for dry runs, and the
    /// hour bounds that too.
    fn jobs_in_last_hour(&self, now: Timestamp) -> usize {
        let from = to_micros(now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN));
        let until = to_micros(now.saturating_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX));
        let counts = |line: &&store::JobLine| !line.refused && line.begun_us > from && line.begun_us <= until;
        self.jobs.values().filter(counts).count()
    }

    fn has_room(&self, now: Timestamp) -> Result<(), String> {
        if self.jobs.len() >= MAX_JOBS && self.forgettable(now).is_none() {
            return Err(format!("the job journal holds {MAX_JOBS} jobs that may not be forgotten yet"));
        }
        if self.jobs_with_reports() >= MAX_UNACKNOWLEDGED {
            return Err(format!(
                "the job journal holds reports of {MAX_UNACKNOWLEDGED} jobs that the control plane has not \
                 acknowledged yet"
            ));
        }
        Ok(())
    }
}

/// A time from a record.
fn time(micros: i64) -> Timestamp {
    from_micros(micros)
}
