//! The spool.
use nimbus_protocol::v1;
/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes on disk, of all segments.
    pub max_bytes: u64,
    /// Bytes of one segment before the next is begun.
    pub segment_bytes: u64,
    /// Observations waiting; 40 bytes of memory each.
    pub max_records: usize,
}
impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, segment_bytes: 1 << 20, max_records: 200_000 }
    }
}
/// What the daemon does, in this order, before it pushes anything else. Segments are files of their own; one that
/// does not exist is created by its first append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoEffect {
    /// Write `bytes` at `offset` (the file's end); `sync`: and fsync before going on.
    Append {
        /** File. */
        segment: u64,
        /** Its length before. */
        offset: u64,
        /** What. */
        bytes: Vec<u8>,
        /** fsync. */
        sync: bool,
    },
    /// Remove the file.
    Delete {
        /** File. */
        segment: u64,
    },
}
/// Bytes the daemon reads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /** File. */
    pub segment: u64,
    /** From. */
    pub offset: u64,
    /** How many. */
    pub length: u32,
}
/// What to send next.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// First sequence.
    pub first: u64,
    /// Last sequence, without a gap in between.
    pub last: u64,
    /// To be read, in this order, and given to [`Batch::assemble`].
    pub reads: Vec<Read>,
}
/// What was read back is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "spool segment {segment} at {offset}: expected whole records of {expected} bytes, found {found}; these observations are dropped and listed again"
)]
pub struct SpoolError {
    /** File. */
    pub segment: u64,
    /** Place. */
    pub offset: u64,
    /** Bytes. */
    pub expected: u32,
    /** What. */
    pub found: String,
}
impl Batch {
    /// The message, from the bytes of each read.
    pub fn assemble(self, _chunks: &[Vec<u8>]) -> Result<v1::ObservationBatch, SpoolError> {
        todo!()
    }
}
/// Reads segments back after a start, one at a time, in rising order.
#[derive(Debug)]
pub struct Recovery {}
impl Recovery {
    /// Nothing read yet.
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }
    /// The bytes of one segment file.
    pub fn segment(&mut self, _number: u64, _bytes: &[u8]) {
        todo!()
    }
    /// All segments were given.
    pub fn finish(self) -> (Spool, Vec<IoEffect>) {
        todo!()
    }
}
/// The bounded, sequenced queue of observations.
#[derive(Debug)]
pub struct Spool {}
impl Spool {
    /// [`Recovery`] in one call.
    pub fn recover(
        _limits: Limits,
        _segments: impl IntoIterator<Item = (u64, Vec<u8>)>,
    ) -> (Self, Vec<IoEffect>) {
        todo!()
    }
    /// Queues an observation; its `sequence` is set here.
    pub fn push(&mut self, _observation: v1::Observation) -> Vec<IoEffect> {
        todo!()
    }
    /// The next batch after the cursor, and moves the cursor.
    pub fn next_batch(&mut self, _max_observations: usize, _max_bytes: usize) -> Option<Batch> {
        todo!()
    }
    /// Is anything waiting behind the cursor?
    pub fn has_pending(&self) -> bool {
        todo!()
    }
    /// Everything up to and including `sequence` is stored by the control plane.
    pub fn acknowledge(&mut self, _sequence: u64) -> Vec<IoEffect> {
        todo!()
    }
    /// A session begins: what the Welcome acknowledged counts, all else is sent again.
    pub fn welcome(&mut self, _acknowledged: u64) -> Vec<IoEffect> {
        todo!()
    }
    /// Send again from the first unacknowledged one.
    pub fn rewind(&mut self) {
        todo!()
    }
    /// An append at this place failed (full disk): what it held is lost, reports are kept in memory and written again.
    pub fn append_failed(&mut self, _segment: u64, _offset: u64) {
        todo!()
    }
    /// These could not be read back.
    pub fn unreadable(&mut self, _first: u64, _last: u64) -> Vec<IoEffect> {
        todo!()
    }
    /// State was dropped since this was last asked: list everything again.
    pub fn take_needs_resync(&mut self) -> bool {
        todo!()
    }
    /// The sequence of the next new observation.
    pub fn next_sequence(&self) -> u64 {
        todo!()
    }
    /// Observations dropped since the spool was made.
    pub fn dropped(&self) -> u64 {
        todo!()
    }
    /// Observations waiting or in flight.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        todo!()
    }
}
