//! The file format of the job journal: each record holds the newest state of one job, the control plane's epoch and the
//! time; some also hold the expiries of forgotten jobs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{to_micros, v1};
use prost::Message as _;

use super::forgotten::Forgotten;
use super::{Effect, InterruptedJob, Journal, KEEP, Phase, time};
use crate::record;

/// A file is not written anew below this size.
const REWRITE_FROM: usize = 1 << 20;

/// One record.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Line {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(int64, tag = "2")]
    pub(super) latest_seen_us: i64,
    #[prost(message, optional, tag = "3")]
    pub(super) job: Option<JobLine>,
    /// In the first record of a file that was written whole, and in one that says that jobs were forgotten.
    #[prost(message, optional, tag = "4")]
    pub(super) forgotten: Option<Spans>,
}

/// The expiries of forgotten jobs.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Spans {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(int64, tag = "1")]
    from_us: i64,
    #[prost(int64, tag = "2")]
    until_us: i64,
}

impl Spans {
    pub(super) fn of(forgotten: &Forgotten) -> Self {
        let span = |(from, until): &(Timestamp, Timestamp)| Span {
            from_us: to_micros(*from),
            until_us: to_micros(*until),
        };
        Self { spans: forgotten.spans().iter().map(span).collect() }
    }

    fn read(&self) -> Forgotten {
        let mut forgotten = Forgotten::default();
        for span in &self.spans {
            forgotten.add_span(time(span.from_us), time(span.until_us));
        }
        forgotten
    }
}

/// One job. The envelope and the checkpoint are there while it is open, each report until it is acknowledged.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct JobLine {
    #[prost(string, tag = "1")]
    pub(super) job_id: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) envelope_sha256: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) phase: u32,
    #[prost(int64, tag = "4")]
    pub(super) at_us: i64,
    #[prost(int64, tag = "5")]
    pub(super) begun_us: i64,
    #[prost(int64, tag = "6")]
    pub(super) expires_at_us: i64,
    #[prost(message, optional, boxed, tag = "7")]
    pub(super) envelope: Option<Box<v1::Envelope>>,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) checkpoint: Vec<u8>,
    #[prost(message, repeated, tag = "9")]
    pub(super) reports: Vec<v1::JobReport>,
    #[prost(bool, tag = "10")]
    pub(super) refused: bool,
    #[prost(string, tag = "11")]
    pub(super) undone_because: String,
}

const PHASES: [Phase; 5] = [Phase::Received, Phase::Intent, Phase::Applied, Phase::Compensating, Phase::Done];

/// A phase in a record, from 1.
pub(super) fn number(phase: Phase) -> u32 {
    1 + (0..).zip(PHASES).find(|(_, p)| *p == phase).map_or(0, |(n, _)| n)
}

impl JobLine {
    /// A number that this build does not know counts as acted on: never as harmless.
    pub(super) fn phase(&self) -> Phase {
        let index = usize::try_from(self.phase).unwrap_or(0).wrapping_sub(1);
        PHASES.get(index).copied().unwrap_or(Phase::Applied)
    }

    /// Done, and every report of it acknowledged.
    pub(super) fn is_closed(&self) -> bool {
        self.phase() == Phase::Done && self.reports.is_empty()
    }

    pub(super) fn close(&mut self, report: v1::JobReport, now: Timestamp) {
        self.phase = number(Phase::Done);
        self.at_us = to_micros(now);
        self.envelope = None;
        self.checkpoint = Vec::new();
        self.undone_because = String::new();
        self.report(report);
    }

    pub(super) fn interrupted(&self, job_id: JobId) -> Option<InterruptedJob> {
        if self.phase() == Phase::Done {
            return None;
        }
        Some(InterruptedJob {
            job_id,
            phase: self.phase(),
            checkpoint: self.checkpoint.clone(),
            undone_because: self.undone_because.clone(),
            envelope: self.envelope.as_deref().cloned().unwrap_or_default(),
            at: time(self.at_us),
        })
    }
}

pub(super) fn recover(bytes: &[u8], now: Timestamp) -> (Journal, Vec<Effect>) {
    let mut journal = Journal {
        jobs: BTreeMap::new(),
        epoch: 0,
        forgotten: Forgotten::default(),
        now: Timestamp::MIN,
        written: Timestamp::MIN,
        told_forgotten: bytes.is_empty(),
        file_bytes: bytes.len(),
        rewrite_at: REWRITE_FROM,
        dirty: false,
        damaged: 0,
        lost: 0,
    };
    let (mut at, mut unread) = (0, 0);
    while at < bytes.len() {
        let mut records = record::Records::new(&bytes[at..]);
        for (_, payload) in records.by_ref() {
            journal.replay(payload);
            // What has a whole record behind it is no torn tail.
            journal.lost += std::mem::take(&mut unread);
        }
        at += records.good();
        // Behind damage, the next whole record is looked for byte by byte.
        if at < bytes.len() {
            journal.damaged += 1;
            unread += 1;
            at += 1;
        }
    }
    // A build that did not write down what it had forgotten had forgotten what expired a week before its latest time; a
    // time that lies ahead of now was told by a clock that was wrong.
    if !journal.told_forgotten {
        let until = journal.written.min(now).checked_sub(KEEP).unwrap_or(Timestamp::MIN);
        journal.forgotten.add_span(Timestamp::MIN, until);
    }
    journal.now = now;
    if journal.damaged > 0 || bytes.len() > REWRITE_FROM {
        let image = journal.image();
        return (journal, vec![image]);
    }
    (journal, Vec::new())
}

impl Journal {
    fn replay(&mut self, payload: &[u8]) {
        let Ok(line) = Line::decode(payload) else {
            self.damaged += payload.len();
            return;
        };
        self.epoch = self.epoch.max(line.epoch);
        self.written = self.written.max(time(line.latest_seen_us));
        if let Some(spans) = &line.forgotten {
            self.told_forgotten = true;
            self.forgotten = spans.read();
        }
        let Some(job) = line.job else { return };
        match job.job_id.parse() {
            Ok(id) => drop(self.jobs.insert(id, job)),
            Err(_) => self.damaged += payload.len(),
        }
    }

    /// The whole journal as one file.
    pub(super) fn image(&mut self) -> Effect {
        let mut bytes = Vec::new();
        let head = Line { epoch: self.epoch, latest_seen_us: to_micros(self.now), ..Line::default() };
        let first = Line { forgotten: Some(Spans::of(&self.forgotten)), ..head.clone() };
        record::append(&mut bytes, &first.encode_to_vec());
        for job in self.jobs.values() {
            let line = Line { job: Some(job.clone()), ..head.clone() };
            record::append(&mut bytes, &line.encode_to_vec());
        }
        self.written = self.now;
        self.told_forgotten = true;
        self.file_bytes = bytes.len();
        self.rewrite_at = REWRITE_FROM.max(2 * bytes.len());
        self.dirty = false;
        Effect::Replace(bytes)
    }
}
