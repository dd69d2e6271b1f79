//! The spool's queue: pushes observations, cuts batches, takes acknowledgements.

use std::collections::{BTreeMap, VecDeque};

use nimbus_protocol::v1::{self, observation::Body, sync_mark};
use prost::Message as _;

use super::disk::{self, Batch, Header, IoEffect, Read};
use super::key::Key;
use super::{Limits, MAX_OBSERVATION};

/// Where one unacknowledged observation is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) segment: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) key: Key,
}

/// One segment file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    /// Entries that still count.
    pub(super) live: usize,
}

/// The bounded, sequenced queue of observations; see the module.
#[derive(Debug)]
pub struct Spool {
    pub(super) limits: Limits,
    /// Unacknowledged, by rising sequence.
    pub(super) entries: VecDeque<Entry>,
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) current: u64,
    /// The current segment takes no more appends: one failed, or there is none.
    pub(super) closed: bool,
    pub(super) next_sequence: u64,
    /// Up to here sent in this session.
    pub(super) cursor: u64,
    /// Highest sequence that can have reached a control plane from here.
    pub(super) sent_high: u64,
    /// Has a control plane welcomed this process? Before that, numbers may be in use that it knows for others.
    pub(super) welcomed: bool,
    pub(super) acknowledged: u64,
    pub(super) dropped: u64,
    pub(super) needs_resync: bool,
    /// Listings that are open, and whether a part of them was dropped.
    pub(super) listings: BTreeMap<String, bool>,
}

impl Spool {
    /// Queues an observation; its `sequence` is given here.
    pub fn push(&mut self, mut observation: v1::Observation) -> Vec<IoEffect> {
        let mut effects = Vec::new();
        let key = Key::of(&observation);
        if observation.encoded_len() > MAX_OBSERVATION || !self.listing_allows(&observation) {
            self.dropped += 1;
            return effects;
        }
        // The record's header and tag, and the sequence that is not set yet.
        let length = observation.encoded_len() as u64 + 20;
        self.make_room(length, &mut effects);
        observation.sequence = self.next_sequence;
        self.next_sequence += 1;
        self.write(&observation, key, &mut effects);
        effects
    }

    /// Keeps count of open listings; false for the end of one that lost a part.
    fn listing_allows(&mut self, observation: &v1::Observation) -> bool {
        let Some(Body::Sync(mark)) = &observation.body else { return true };
        match mark.phase() {
            sync_mark::Phase::Begin => {
                self.listings.insert(mark.kind.clone(), false);
                true
            }
            sync_mark::Phase::End => self.listings.remove(&mark.kind) != Some(true),
            sync_mark::Phase::Unspecified => true,
        }
    }

    /// Appends a sequenced observation and notes where it is.
    fn write(&mut self, observation: &v1::Observation, key: Key, effects: &mut Vec<IoEffect>) {
        let bytes = disk::observation(observation);
        let full = self
            .segments
            .get(&self.current)
            .is_none_or(|s| s.bytes + bytes.len() as u64 > self.limits.segment_bytes);
        if self.closed || full {
            self.rotate(effects);
        }
        let (offset, length) = self.append(bytes, false, effects);
        if let Some(segment) = self.segments.get_mut(&self.current) {
            segment.live += 1;
        }
        let sequence = observation.sequence;
        self.entries.push_back(Entry { sequence, segment: self.current, offset, length, key });
    }

    /// Adds bytes to the current segment, as part of the last effect where that is an append to it too.
    fn append(&mut self, bytes: Vec<u8>, sync: bool, effects: &mut Vec<IoEffect>) -> (u32, u32) {
        let segment = self.segments.entry(self.current).or_default();
        let (at, length) = (segment.bytes, bytes.len());
        segment.bytes += length as u64;
        match effects.last_mut() {
            Some(IoEffect::Append { segment, bytes: before, sync: earlier, .. })
                if *segment == self.current =>
            {
                before.extend_from_slice(&bytes);
                *earlier |= sync;
            }
            _ => effects.push(IoEffect::Append { segment: self.current, offset: at, bytes, sync }),
        }
        // `Limits::workable` keeps segments far below 4 GiB.
        (u32::try_from(at).unwrap_or(u32::MAX), u32::try_from(length).unwrap_or(u32::MAX))
    }

    /// Begins a segment, whose header keeps the sequence when all older segments are gone.
    pub(super) fn rotate(&mut self, effects: &mut Vec<IoEffect>) {
        self.current = self.segments.last_key_value().map_or(0, |(n, _)| *n).max(self.current) + 1;
        self.closed = false;
        self.append_header(true, effects);
        self.delete_dead(effects);
    }

    /// Writes down what must outlive older segments.
    pub(super) fn append_header(&mut self, sync: bool, effects: &mut Vec<IoEffect>) {
        let sent_high = if self.welcomed { disk::ALL } else { self.sent_high };
        let header = Header { next_sequence: self.next_sequence, dropped: self.dropped, sent_high };
        self.append(header.encode(), sync, effects);
    }

    /// Removes every segment but the current one in which nothing counts any more.
    pub(super) fn delete_dead(&mut self, effects: &mut Vec<IoEffect>) {
        let numbers: Vec<u64> = self.segments.keys().copied().collect();
        for number in numbers {
            self.delete_if_dead(number, effects);
        }
    }

    fn delete_if_dead(&mut self, number: u64, effects: &mut Vec<IoEffect>) {
        if number != self.current && self.segments.get(&number).is_some_and(|s| s.live == 0) {
            self.segments.remove(&number);
            effects.push(IoEffect::Delete { segment: number });
        }
    }

    /// The next batch after the cursor, which moves behind it: at most so many observations and, unless a single one
    /// is larger, so many bytes. `None` when nothing is pending.
    pub fn next_batch(&mut self, max_observations: usize, max_bytes: usize) -> Option<Batch> {
        let from = self.entries.partition_point(|e| e.sequence <= self.cursor);
        let first = self.entries.get(from)?.sequence;
        let mut batch = Batch { first, last: first, reads: Vec::new(), counts: Vec::new() };
        let mut bytes = 0usize;
        for (entry, expected) in self.entries.range(from..).zip(first..).take(max_observations.max(1)) {
            bytes = bytes.saturating_add(entry.length as usize);
            let over = bytes > max_bytes && entry.sequence != first;
            if entry.sequence != expected || over {
                break;
            }
            batch.last = entry.sequence;
            batch.add(entry);
        }
        self.cursor = batch.last;
        self.sent_high = self.sent_high.max(batch.last);
        Some(batch)
    }

    /// Everything up to and including `sequence` is stored by the control plane. An acknowledgement of what was
    /// never sent counts only as far as it was sent.
    pub fn acknowledge(&mut self, sequence: u64) -> Vec<IoEffect> {
        let mut effects = Vec::new();
        let sequence = sequence.min(self.sent_high);
        while let Some(entry) = self.entries.front().copied().filter(|e| e.sequence <= sequence) {
            self.entries.pop_front();
            self.count_removed(&entry);
            self.delete_if_dead(entry.segment, &mut effects);
        }
        if self.entries.is_empty() {
            self.entries.shrink_to(1_024);
        }
        self.acknowledged = self.acknowledged.max(sequence);
        self.cursor = self.cursor.max(sequence);
        effects
    }

    /// An entry left the queue: its segment has one less.
    pub(super) fn count_removed(&mut self, entry: &Entry) {
        if let Some(segment) = self.segments.get_mut(&entry.segment) {
            segment.live = segment.live.saturating_sub(1);
        }
    }

    /// Sends again from the first unacknowledged one.
    pub fn rewind(&mut self) {
        self.cursor = self.acknowledged;
    }

    /// Was state dropped since this was last asked? Then everything has to be listed again. Ask while a session is
    /// live: a listing that nobody takes away would fill the spool again.
    pub fn take_needs_resync(&mut self) -> bool {
        std::mem::take(&mut self.needs_resync)
    }

    /// The sequence that the next new observation will get.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Observations dropped since the spool was made.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Observations waiting or in flight.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|s| s.bytes).sum()
    }
}

impl Batch {
    /// Adds an observation, to the last read where it follows it in the same file.
    fn add(&mut self, entry: &Entry) {
        if let (Some(count), Some(read)) = (self.counts.last_mut(), self.reads.last_mut())
            && read.segment == entry.segment
            && read.offset + u64::from(read.length) == u64::from(entry.offset)
        {
            read.length += entry.length;
            *count += 1;
            return;
        }
        self.counts.push(1);
        self.reads.push(Read { segment: entry.segment, offset: entry.offset.into(), length: entry.length });
    }
}
