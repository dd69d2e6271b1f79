//! Recovery of the spool at start: whole records are kept, a torn tail is cut off, and damage costs only the records
//! that it hit.

use std::collections::BTreeMap;

use nimbus_protocol::v1;

use super::Limits;
use super::disk::{self, IoEffect, Stored};
use super::key::Key;
use super::queue::{Entry, Segment, Spool};
use crate::record::{self, Records};

/// Most bytes that are checked while looking for the next whole record of one file; what is behind them is lost.
const MAX_SEARCHED: usize = 64 << 20;

impl Spool {
    /// Reads all segments in one call; [`Recovery`] does it one at a time.
    pub fn recover(
        limits: Limits,
        segments: impl IntoIterator<Item = (u64, Vec<u8>)>,
    ) -> (Self, Vec<IoEffect>) {
        let mut recovery = Recovery::new(limits);
        for (number, bytes) in segments {
            recovery.segment(number, &bytes);
        }
        recovery.finish()
    }
}

/// Takes the segment files one at a time, so that only one of them has to be in memory.
#[derive(Debug)]
pub struct Recovery {
    limits: Limits,
    entries: BTreeMap<u64, Entry>,
    segments: BTreeMap<u64, Segment>,
    next_sequence: u64,
    dropped: u64,
    sent_high: u64,
    damaged: usize,
}

impl Recovery {
    /// Nothing read yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.workable(),
            entries: BTreeMap::new(),
            segments: BTreeMap::new(),
            next_sequence: 1,
            dropped: 0,
            sent_high: 0,
            damaged: 0,
        }
    }

    /// The bytes of one segment file; the files come by rising number. Damage with whole records behind it costs only
    /// what it hit; bytes with none behind them are the torn tail of a crash.
    pub fn segment(&mut self, number: u64, bytes: &[u8]) {
        self.segments.insert(number, Segment { bytes: bytes.len() as u64, live: 0 });
        let (mut from, mut budget) = (0, MAX_SEARCHED);
        loop {
            let mut records = Records::new(&bytes[from..]);
            while let Some((at, payload)) = records.next() {
                let length = records.good() - at;
                match disk::parse(payload) {
                    Some(Stored::Header(header)) => {
                        self.next_sequence = self.next_sequence.max(header.next_sequence);
                        self.dropped = self.dropped.max(header.dropped);
                        self.sent_high = header.sent_high;
                    }
                    Some(Stored::Observation(observation)) => {
                        self.found(number, from + at, length, &observation);
                    }
                    None => {}
                }
            }
            let good = from + records.good();
            let Some(next) = next_whole(bytes, good, &mut budget) else { return };
            self.damaged += next - good;
            from = next;
        }
    }

    /// Bytes that were no records and had whole ones behind them. What they held is lost, and is listed again.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    fn found(&mut self, segment: u64, at: usize, length: usize, observation: &v1::Observation) {
        let (Ok(offset), Ok(length)) = (u32::try_from(at), u32::try_from(length)) else { return };
        let (sequence, key) = (observation.sequence, Key::of(observation));
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.entries.insert(sequence, Entry { sequence, segment, offset, length, key });
    }

    /// All segments were given: the spool, and what to do before it is used. Appends go to a new segment, so a torn
    /// tail is never written behind.
    pub fn finish(mut self) -> (Spool, Vec<IoEffect>) {
        if self.damaged > 0 {
            // Which listing lost a part cannot be told: none is closed, so that nobody takes unseen for gone.
            let before = self.entries.len();
            self.entries.retain(|_, entry| entry.key != Key::LIST_END);
            self.dropped += (before - self.entries.len()) as u64;
        }
        for entry in self.entries.values() {
            if let Some(segment) = self.segments.get_mut(&entry.segment) {
                segment.live += 1;
            }
        }
        let first = self.entries.keys().next().copied().unwrap_or(self.next_sequence);
        let mut spool = Spool {
            limits: self.limits,
            entries: self.entries.into_values().collect(),
            current: self.segments.keys().next_back().copied().unwrap_or(0),
            segments: self.segments,
            closed: true,
            next_sequence: self.next_sequence,
            cursor: first - 1,
            sent_high: self.sent_high.min(self.next_sequence - 1),
            welcomed: false,
            acknowledged: first - 1,
            dropped: self.dropped,
            needs_resync: self.damaged > 0,
            listings: BTreeMap::new(),
        };
        let mut effects = Vec::new();
        spool.rotate(&mut effects);
        (spool, effects)
    }
}

/// Where the next whole record begins behind the one that is damaged at `at`; `None` behind a torn tail.
fn next_whole(bytes: &[u8], at: usize, budget: &mut usize) -> Option<usize> {
    let length = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let size = length(at)?;
    let behind = at + record::HEADER + size;
    if size <= record::MAX_PAYLOAD {
        // A record that would end beyond the file is one that was being written. What is in it is not looked into: it
        // is what others wrote, and must not be taken for records.
        if behind >= bytes.len() {
            return None;
        }
        if Records::new(&bytes[behind..]).next().is_some() {
            return Some(behind);
        }
    }
    let mut at = at;
    loop {
        at += 1;
        let size = length(at)?;
        if size > record::MAX_PAYLOAD || at + record::HEADER + size > bytes.len() {
            continue;
        }
        *budget = budget.checked_sub(size)?;
        // A record of the spool has a payload; an empty one is zeros.
        if size > 0 && Records::new(&bytes[at..]).next().is_some() {
            return Some(at);
        }
    }
}
