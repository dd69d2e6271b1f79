//! Batches of observations: whether a batch keeps to the protocol, and which of its observations are new.

use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, v1};

/// Why a batch is not accepted at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No observation, or too many.
    #[error("expected a batch of 1 to {MAX_BATCH_OBSERVATIONS} observations, found {0}")]
    Count(usize),
    /// The first observation is not the one announced.
    #[error("expected the first observation to have the announced sequence {announced}, found {found}")]
    First {
        /// In the batch's head.
        announced: u64,
        /// Of its first observation.
        found: u64,
    },
    /// Sequences have to grow, from 1, and fit 63 bits.
    #[error("expected a sequence after {after} and below 2^63, found {found}")]
    Order {
        /// The one before; 0 for the first.
        after: u64,
        /// What came.
        found: u64,
    },
}

/// A batch whose sequences grow from its first to its last.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedBatch {
    /// The batch itself.
    pub batch: v1::ObservationBatch,
    /// First sequence in it.
    pub first: u64,
    /// Last sequence in it.
    pub last: u64,
    /// Observations in it, at most [`MAX_BATCH_OBSERVATIONS`].
    pub count: u32,
    /// Are sequences missing in between?
    pub has_holes: bool,
}

impl TryFrom<v1::ObservationBatch> for CheckedBatch {
    type Error = BatchError;

    fn try_from(batch: v1::ObservationBatch) -> Result<Self, BatchError> {
        let length = batch.observations.len();
        let count = u32::try_from(length).map_err(|_| BatchError::Count(length))?;
        if length > MAX_BATCH_OBSERVATIONS {
            return Err(BatchError::Count(length));
        }
        let Some(first) = batch.observations.first().map(|observation| observation.sequence) else {
            return Err(BatchError::Count(length));
        };
        if first != batch.first_sequence {
            return Err(BatchError::First { announced: batch.first_sequence, found: first });
        }
        let (mut last, mut has_holes) = (0, false);
        for observation in &batch.observations {
            let found = observation.sequence;
            if found <= last || i64::try_from(found).is_err() {
                return Err(BatchError::Order { after: last, found });
            }
            has_holes |= last != 0 && found != last + 1;
            last = found;
        }
        Ok(Self { batch, first, last, count, has_holes })
    }
}

/// What of a batch comes after `mark`, the last sequence that is stored; `None` when nothing does.
pub fn newer_than(mark: u64, mut batch: v1::ObservationBatch) -> Option<v1::ObservationBatch> {
    batch.observations.retain(|observation| observation.sequence > mark);
    batch.first_sequence = batch.observations.first()?.sequence;
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sequences: &[u64]) -> v1::ObservationBatch {
        let observation = |&sequence| v1::Observation { sequence, ..Default::default() };
        v1::ObservationBatch {
            first_sequence: sequences.first().copied().unwrap_or(0),
            observations: sequences.iter().map(observation).collect(),
        }
    }

    fn check(batch: v1::ObservationBatch) -> Result<(u64, u64, bool), BatchError> {
        CheckedBatch::try_from(batch).map(|checked| (checked.first, checked.last, checked.has_holes))
    }

    #[test]
    fn disorder_is_named_and_a_hole_is_seen() {
        assert_eq!(check(batch(&[3, 4, 5])), Ok((3, 5, false)));
        assert_eq!(check(batch(&[3, 5])), Ok((3, 5, true)));
        assert_eq!(check(batch(&[])), Err(BatchError::Count(0)));
        assert_eq!(check(batch(&[0, 1])), Err(BatchError::Order { after: 0, found: 0 }));
        assert_eq!(check(batch(&[3, 3])), Err(BatchError::Order { after: 3, found: 3 }));
        assert_eq!(check(batch(&[u64::MAX])), Err(BatchError::Order { after: 0, found: u64::MAX }));
        let lying = v1::ObservationBatch { first_sequence: 2, ..batch(&[3, 4]) };
        assert_eq!(check(lying), Err(BatchError::First { announced: 2, found: 3 }));
        let many: Vec<u64> = (1..=MAX_BATCH_OBSERVATIONS as u64 + 1).collect();
        assert_eq!(check(batch(&many)), Err(BatchError::Count(many.len())));
    }

    #[test]
    fn only_what_comes_after_the_mark_is_new() {
        assert_eq!(newer_than(4, batch(&[5, 6])), Some(batch(&[5, 6])));
        assert_eq!(newer_than(6, batch(&[5, 6])), None);
        assert_eq!(newer_than(9, batch(&[5, 6])), None);
        assert_eq!(newer_than(5, batch(&[5, 6, 8])), Some(batch(&[6, 8])));
        assert_eq!(newer_than(7, batch(&[5, 6, 8])), Some(batch(&[8])));
    }
}
