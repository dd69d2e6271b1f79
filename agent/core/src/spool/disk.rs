//! The on-disk format of the spool: segment headers, observation records, and the batches that are read back from them.

use nimbus_protocol::v1;
use prost::Message as _;

use crate::record;

const HEADER: u8 = 0;
const OBSERVATION: u8 = 1;

/// What the daemon does, in this order, before it calls the spool again. Segments are files of their own; one that
/// does not exist yet is created by its first append (and its directory synced).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoEffect {
    /// Write `bytes` at the end of the segment. When that fails, tell [`super::Spool::append_failed`] and go on with
    /// the next effect.
    Append {
        /// The file's number.
        segment: u64,
        /// The file's length before: where the bytes belong.
        offset: u64,
        /// What to write.
        bytes: Vec<u8>,
        /// Does it have to be on the disk (fsync) before the next effect?
        sync: bool,
    },
    /// Remove the file; it is no fault when it is not there.
    Delete {
        /// The file's number.
        segment: u64,
    },
}

/// Bytes to read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The file's number.
    pub segment: u64,
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub length: u32,
}

/// What was read back is not what was written. Tell [`super::Spool::unreadable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spool: expected observation {expected} in segment {segment} at {offset}, found {found}")]
pub struct SpoolError {
    /// The file's number.
    pub segment: u64,
    /// Where in it.
    pub offset: u64,
    /// The sequence expected.
    pub expected: u64,
    /// What was there.
    pub found: String,
}

/// What to send next: observations `first..=last` without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Sequence of the first observation.
    pub first: u64,
    /// Sequence of the last one.
    pub last: u64,
    /// To be read back, each into one chunk for [`Batch::assemble`].
    pub reads: Vec<Read>,
    /// Observations in each read.
    pub(super) counts: Vec<u64>,
}

impl Batch {
    /// The message, from the bytes of each read in order.
    pub fn assemble(self, chunks: &[Vec<u8>]) -> Result<v1::ObservationBatch, SpoolError> {
        let mut observations = Vec::new();
        let mut next = self.first;
        let mut chunks = chunks.iter();
        for (read, count) in self.reads.iter().zip(self.counts) {
            let chunk = chunks.next().ok_or_else(|| wrong(*read, next, "no bytes for it".to_owned()))?;
            take_stored(*read, chunk, next, count, &mut observations)?;
            next += count;
        }
        Ok(v1::ObservationBatch { first_sequence: self.first, observations })
    }
}

fn wrong(read: Read, expected: u64, found: String) -> SpoolError {
    SpoolError { segment: read.segment, offset: read.offset, expected, found }
}

fn take_stored(
    read: Read,
    chunk: &[u8],
    first: u64,
    count: u64,
    into: &mut Vec<v1::Observation>,
) -> Result<(), SpoolError> {
    let mut expected = first;
    for (_, payload) in record::Records::new(chunk) {
        match parse(payload) {
            Some(Stored::Observation(observation)) if observation.sequence == expected => {
                into.push(*observation);
                expected += 1;
            }
            Some(Stored::Observation(other)) => {
                return Err(wrong(read, expected, format!("observation {}", other.sequence)));
            }
            _ => return Err(wrong(read, expected, "a record of another kind".to_owned())),
        }
    }
    if expected == first + count {
        Ok(())
    } else {
        Err(wrong(read, expected, format!("{} bytes without a whole record of it", chunk.len())))
    }
}

/// What must outlive the segments before it: first in each segment, and written again when a control plane greets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) next_sequence: u64,
    pub(super) dropped: u64,
    /// Highest sequence that can have been sent; [`ALL`] when that is whatever stands before the next start.
    pub(super) sent_high: u64,
}

/// Everything that this process wrote can have been sent.
pub(super) const ALL: u64 = u64::MAX;

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut payload = vec![HEADER];
        for word in [self.next_sequence, self.dropped, self.sent_high] {
            payload.extend_from_slice(&word.to_be_bytes());
        }
        let mut out = Vec::new();
        record::append(&mut out, &payload);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self { next_sequence: word(0)?, dropped: word(8)?, sent_high: word(16)? })
    }
}

/// One record of a segment.
pub(super) enum Stored {
    /// See [`Header`].
    Header(Header),
    /// An observation.
    Observation(Box<v1::Observation>),
}

pub(super) fn observation(observation: &v1::Observation) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + observation.encoded_len());
    payload.push(OBSERVATION);
    payload.extend_from_slice(&observation.encode_to_vec());
    let mut out = Vec::with_capacity(record::HEADER + payload.len());
    record::append(&mut out, &payload);
    out
}

pub(super) fn parse(payload: &[u8]) -> Option<Stored> {
    let (kind, rest) = payload.split_first()?;
    match *kind {
        HEADER => Header::decode(rest).map(Stored::Header),
        OBSERVATION => v1::Observation::decode(rest).ok().map(|o| Stored::Observation(Box::new(o))),
        _ => None,
    }
}
