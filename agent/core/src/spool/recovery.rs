//! Reading the spool back after a start: whole records count, a torn tail does not.

use std::collections::BTreeMap;

use nimbus_protocol::v1;

use super::Limits;
use super::disk::{self, IoEffect, Stored};
use super::key::Key;
use super::queue::{Entry, Segment, Spool};
use crate::record::Records;

/// Takes the segment files one at a time, so that only one of them has to be in memory.
#[derive(Debug)]
pub struct Recovery {
    limits: Limits,
    entries: BTreeMap<u64, Entry>,
    reports: BTreeMap<u64, v1::Observation>,
    segments: BTreeMap<u64, Segment>,
    next_sequence: u64,
    dropped: u64,
    sent_high: u64,
}

impl Recovery {
    /// Nothing read yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.workable(),
            entries: BTreeMap::new(),
            reports: BTreeMap::new(),
            segments: BTreeMap::new(),
            next_sequence: 1,
            dropped: 0,
            sent_high: 0,
        }
    }

    /// The bytes of one segment file; the files come by rising number. Damage ends the reading of that file.
    pub fn segment(&mut self, number: u64, bytes: &[u8]) {
        self.segments.insert(number, Segment { bytes: bytes.len() as u64, live: 0 });
        let mut records = Records::new(bytes);
        while let Some((at, payload)) = records.next() {
            match disk::parse(payload) {
                Some(Stored::Header(header)) => {
                    self.next_sequence = self.next_sequence.max(header.next_sequence);
                    self.dropped = self.dropped.max(header.dropped);
                    self.sent_high = header.sent_high;
                }
                Some(Stored::Observation(observation)) => {
                    self.found(number, at, records.good() - at, *observation);
                }
                None => {}
            }
        }
    }

    fn found(&mut self, segment: u64, at: usize, length: usize, observation: v1::Observation) {
        let (Ok(offset), Ok(length)) = (u32::try_from(at), u32::try_from(length)) else { return };
        let (sequence, key) = (observation.sequence, Key::of(&observation));
        self.next_sequence = self.next_sequence.max(sequence + 1);
        // A report that was moved is found twice, after a crash between writing and deleting: the later place counts.
        self.entries.insert(sequence, Entry { sequence, segment, offset, length, key });
        if key == Key::REPORT {
            self.reports.insert(sequence, observation);
        }
    }

    /// All segments were given: the spool, and what to do before it is used. Appends go to a new segment, so a torn
    /// tail is never written behind.
    pub fn finish(mut self) -> (Spool, Vec<IoEffect>) {
        for entry in self.entries.values() {
            if let Some(segment) = self.segments.get_mut(&entry.segment) {
                segment.live += 1;
            }
        }
        let first = self.entries.keys().next().copied().unwrap_or(self.next_sequence);
        let mut spool = Spool {
            limits: self.limits,
            entries: self.entries.into_values().collect(),
            reports: self.reports,
            current: self.segments.keys().next_back().copied().unwrap_or(0),
            segments: self.segments,
            closed: true,
            next_sequence: self.next_sequence,
            cursor: first - 1,
            sent_high: self.sent_high.min(self.next_sequence - 1),
            greeted: false,
            acknowledged: first - 1,
            dropped: self.dropped,
            needs_resync: false,
            listings: BTreeMap::new(),
        };
        let mut effects = Vec::new();
        spool.rotate(&mut effects);
        (spool, effects)
    }
}
