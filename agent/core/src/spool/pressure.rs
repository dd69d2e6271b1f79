//! What the spool gives up when its disk space is used up, when a write fails, or when the control plane has stored
//! sequence numbers that this spool no longer knows.

use std::collections::HashSet;

use super::Spool;
use super::disk::IoEffect;
use super::key::Key;
use super::queue::Entry;

impl Spool {
    /// Drops segments until `more` bytes and one more record fit.
    pub(super) fn make_room(&mut self, more: u64, effects: &mut Vec<IoEffect>) {
        // Each round removes a segment; an empty spool has room for any observation.
        while self.bytes() + more > self.limits.max_bytes || self.entries.len() >= self.limits.max_records {
            if self.entries.is_empty() {
                return;
            }
            let (victim, superseded) = self.segment_to_drop().unwrap_or((self.current, false));
            if victim == self.current {
                self.rotate(effects);
            }
            self.drop_segment(victim, superseded, effects);
        }
    }

    /// The segment to drop, and whether all of its state was superseded by newer state of the same objects.
    fn segment_to_drop(&self) -> Option<(u64, bool)> {
        let mut later = HashSet::new();
        let mut newest_in = HashSet::new();
        for entry in self.entries.iter().rev() {
            if entry.key.is_state() && later.insert(entry.key) {
                newest_in.insert(entry.segment);
            }
        }
        let closed = || self.segments.keys().filter(|number| **number != self.current);
        let superseded = closed().find(|number| !newest_in.contains(*number));
        superseded.map(|n| (*n, true)).or_else(|| closed().next().map(|n| (*n, false)))
    }

    fn drop_segment(&mut self, victim: u64, superseded: bool, effects: &mut Vec<IoEffect>) {
        let lost: Vec<Entry> = self.entries.iter().filter(|e| e.segment == victim).copied().collect();
        self.remove(&lost, superseded);
        if let Some(segment) = self.segments.get_mut(&victim) {
            segment.live = 0;
        }
        self.delete_dead(effects);
    }

    /// Takes entries out of the queue for good, and with them every end of a listing: it would say of what was
    /// dropped that it is gone. Files stay until [`Spool::delete_dead`].
    fn remove(&mut self, lost: &[Entry], superseded: bool) {
        if lost.is_empty() {
            return;
        }
        let gone: HashSet<u64> = lost.iter().map(|e| e.sequence).collect();
        let mut removed = Vec::new();
        self.entries.retain(|e| {
            let keep = !gone.contains(&e.sequence) && e.key != Key::LIST_END;
            if !keep {
                removed.push(*e);
            }
            keep
        });
        let ends = removed.iter().any(|e| e.key == Key::LIST_END);
        if !superseded {
            // An open listing whose dropped parts are superseded is whole: what superseded them comes before its end.
            self.listings.values_mut().for_each(|broken| *broken = true);
        }
        self.dropped += removed.len() as u64;
        self.needs_resync |= !superseded || ends;
        for entry in &removed {
            self.count_removed(entry);
        }
    }

    /// The append at this place failed (a full disk, say): what it held is lost, and is listed again.
    pub fn append_failed(&mut self, segment: u64, offset: u64) {
        let at = |e: &&Entry| e.segment == segment && u64::from(e.offset) >= offset;
        let lost: Vec<Entry> = self.entries.iter().filter(at).copied().collect();
        if segment == self.current {
            self.closed = true;
        }
        if let Some(held) = self.segments.get_mut(&segment) {
            held.bytes = held.bytes.min(offset);
        }
        // Files that this leaves without a purpose go with the next rotation.
        self.remove(&lost, false);
        self.recount(segment);
    }

    fn recount(&mut self, number: u64) {
        let live = self.entries.iter().filter(|e| e.segment == number).count();
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.live = live;
        }
    }

    /// The observations `first..=last` could not be read back: drops them, and sends from `first` on again.
    pub fn unreadable(&mut self, first: u64, last: u64) -> Vec<IoEffect> {
        let mut effects = Vec::new();
        let hit = |e: &&Entry| (first..=last).contains(&e.sequence);
        let bad: Vec<Entry> = self.entries.iter().filter(hit).copied().collect();
        self.remove(&bad, false);
        self.delete_dead(&mut effects);
        self.cursor = self.cursor.min(first.saturating_sub(1)).max(self.acknowledged);
        effects
    }

    /// A session begins: what its Welcome acknowledged is stored, everything else is sent again.
    ///
    /// A control plane that has stored more than this spool ever sent shows that the spool lost its tail (a power
    /// cut) and gave those numbers out again: it jumps forward, and what got such a number is listed again. One that has
    /// stored less lost data of its own: all is listed again.
    pub fn welcome(&mut self, acknowledged: u64) -> Vec<IoEffect> {
        let mut effects = Vec::new();
        let welcomed = std::mem::replace(&mut self.welcomed, true);
        if acknowledged > self.sent_high {
            self.skip_to(acknowledged, &mut effects);
        } else {
            if !welcomed && !self.closed {
                self.append_header(false, &mut effects);
            }
            self.needs_resync |= acknowledged < self.acknowledged;
            effects.extend(self.acknowledge(acknowledged));
        }
        self.rewind();
        effects
    }

    fn skip_to(&mut self, acknowledged: u64, effects: &mut Vec<IoEffect>) {
        let taken = |e: &&Entry| e.sequence > self.sent_high && e.sequence <= acknowledged;
        let lost: Vec<Entry> = self.entries.iter().filter(taken).copied().collect();
        self.needs_resync = true;
        self.next_sequence = self.next_sequence.max(acknowledged + 1);
        // The header of a new segment makes the jump durable before anything is forgotten.
        self.rotate(effects);
        self.remove(&lost, false);
        self.sent_high = acknowledged;
        effects.extend(self.acknowledge(acknowledged));
    }
}
