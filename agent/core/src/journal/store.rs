//! The journal's file: each record is the newest state of one job, with the epoch and the time floor.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::{to_micros, v1};
use prost::Message as _;

use super::{Effect, Journal, Owed, Phase, time};
use crate::record;

/// A file is not written anew below this size.
const REWRITE_FROM: usize = 1 << 20;

/// One record.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Line {
    #[prost(uint64, tag = "1")]
    pub(super) epoch: u64,
    #[prost(int64, tag = "2")]
    pub(super) floor_us: i64,
    #[prost(message, optional, tag = "3")]
    pub(super) job: Option<JobLine>,
}

/// One job. The envelope and the memo are there while it is open, the report until it is in the spool.
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
    pub(super) memo: Vec<u8>,
    #[prost(message, optional, boxed, tag = "9")]
    pub(super) report: Option<Box<v1::JobReport>>,
    #[prost(bool, tag = "10")]
    pub(super) refused: bool,
}

const PHASES: [Phase; 5] = [Phase::Received, Phase::Intent, Phase::Applied, Phase::Verifying, Phase::Done];

/// A phase in a record, from 1.
pub(super) fn number(phase: Phase) -> u32 {
    1 + (0..).zip(PHASES).find(|(_, p)| *p == phase).map_or(0, |(n, _)| n)
}

impl JobLine {
    /// A number that this build does not know counts as acted on: never as harmless.
    pub(super) fn phase(&self) -> Phase {
        let index = usize::try_from(self.phase).unwrap_or(0).wrapping_sub(1);
        PHASES.get(index).copied().unwrap_or(Phase::Verifying)
    }

    /// Done, and its report delivered to the spool.
    pub(super) fn is_closed(&self) -> bool {
        self.phase() == Phase::Done && self.report.is_none()
    }

    pub(super) fn close(&mut self, report: v1::JobReport, now: Timestamp) {
        self.phase = number(Phase::Done);
        self.at_us = to_micros(now);
        self.envelope = None;
        self.memo = Vec::new();
        self.report = Some(Box::new(report));
    }

    pub(super) fn owed(&self) -> Option<Owed> {
        if self.phase() == Phase::Done {
            return None;
        }
        Some(Owed {
            job_id: self.job_id.clone(),
            phase: self.phase(),
            memo: self.memo.clone(),
            envelope: self.envelope.as_deref().cloned().unwrap_or_default(),
            at: time(self.at_us),
        })
    }
}

pub(super) fn recover(bytes: &[u8], now: Timestamp) -> (Journal, Vec<Effect>) {
    let mut journal = Journal {
        jobs: BTreeMap::new(),
        epoch: 0,
        floor: Timestamp::MIN,
        written_floor: Timestamp::MIN,
        file_bytes: bytes.len(),
        rewrite_at: REWRITE_FROM,
        dirty: false,
        damaged: 0,
    };
    let mut at = 0;
    while at < bytes.len() {
        let mut records = record::Records::new(&bytes[at..]);
        for (_, payload) in records.by_ref() {
            journal.replay(payload);
        }
        at += records.good();
        // Behind damage, the next whole record is looked for byte by byte.
        if at < bytes.len() {
            journal.damaged += 1;
            at += 1;
        }
    }
    journal.written_floor = journal.floor;
    journal.floor = journal.floor(now);
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
        self.floor = self.floor.max(time(line.floor_us));
        if let Some(job) = line.job {
            self.jobs.insert(job.job_id.clone(), job);
        }
    }

    /// The whole journal as one file.
    pub(super) fn image(&mut self) -> Effect {
        let mut bytes = Vec::new();
        let head = Line { epoch: self.epoch, floor_us: to_micros(self.floor), job: None };
        record::append(&mut bytes, &head.encode_to_vec());
        for job in self.jobs.values() {
            let line = Line { job: Some(job.clone()), ..head.clone() };
            record::append(&mut bytes, &line.encode_to_vec());
        }
        self.written_floor = self.floor;
        self.file_bytes = bytes.len();
        self.rewrite_at = REWRITE_FROM.max(2 * bytes.len());
        self.dirty = false;
        Effect::Replace(bytes)
    }
}
