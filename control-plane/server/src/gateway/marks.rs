//! High-water marks: which observations of each agent are stored, and what of a batch is new.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nimbus_protocol::frame::{self, FrameError};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, v1};
use nimbus_store::NewBatch;
use prost::Message as _;

/// The last stored sequence number of each agent. Only the log writer moves them, after its commit.
#[derive(Debug, Default)]
pub struct Marks(Mutex<HashMap<AgentId, u64>>);

impl Marks {
    /// The marks as the store has them.
    pub fn new(stored: HashMap<AgentId, u64>) -> Self {
        Self(Mutex::new(stored))
    }

    /// The last stored sequence number of `agent`; 0 when there is none.
    pub fn get(&self, agent: &AgentId) -> u64 {
        self.lock().get(agent).copied().unwrap_or(0)
    }

    /// Moves the mark of `agent` forward.
    pub fn advance(&self, agent: &AgentId, to: u64) {
        let mut marks = self.lock();
        match marks.get_mut(agent) {
            Some(mark) => *mark = to.max(*mark),
            None => drop(marks.insert(agent.clone(), to)),
        }
    }

    /// Takes the store's word.
    pub fn replace(&self, stored: HashMap<AgentId, u64>) {
        *self.lock() = stored;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// Checks the order inside a batch. Returns its first and last sequence, and whether one is missing in between.
pub fn check(batch: &v1::ObservationBatch) -> Result<(u64, u64, bool), BatchError> {
    let observations = &batch.observations;
    if observations.is_empty() || observations.len() > MAX_BATCH_OBSERVATIONS {
        return Err(BatchError::Count(observations.len()));
    }
    let first = observations[0].sequence;
    if first != batch.first_sequence {
        return Err(BatchError::First { announced: batch.first_sequence, found: first });
    }
    let (mut last, mut holes) = (0, false);
    for observation in observations {
        let found = observation.sequence;
        if found <= last || i64::try_from(found).is_err() {
            return Err(BatchError::Order { after: last, found });
        }
        holes |= last != 0 && found != last + 1;
        last = found;
    }
    Ok((first, last, holes))
}

/// The payload that the log keeps of `batch`.
pub fn payload(batch: &v1::ObservationBatch) -> Vec<u8> {
    frame::deflate(&batch.encode_to_vec())
}

/// The batch in a payload of the log.
pub fn unpack(payload: &[u8]) -> Result<v1::ObservationBatch, FrameError> {
    v1::ObservationBatch::decode(frame::inflate(payload)?.as_slice())
        .map_err(|error| FrameError::Decode(error.to_string()))
}

/// What of `batch` is new after `mark`: all of it as it is, a part, or `None`.
pub fn trim(batch: NewBatch, mark: u64) -> Result<Option<NewBatch>, FrameError> {
    if batch.first > mark {
        return Ok(Some(batch));
    }
    if batch.last <= mark {
        return Ok(None);
    }
    let mut inside = unpack(&batch.payload)?;
    inside.observations.retain(|observation| observation.sequence > mark);
    let Some(first) = inside.observations.first().map(|observation| observation.sequence) else {
        return Ok(None);
    };
    inside.first_sequence = first;
    // At most as many as before, which were counted in 32 bits.
    let count = u32::try_from(inside.observations.len()).unwrap_or(batch.count);
    Ok(Some(NewBatch { first, count, payload: payload(&inside), ..batch }))
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

    fn stored(sequences: &[u64]) -> NewBatch {
        NewBatch {
            agent: AgentId::new(&mut || uuid::Uuid::from_u128(1)),
            first: sequences[0],
            last: *sequences.last().unwrap(),
            count: u32::try_from(sequences.len()).unwrap(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            payload: payload(&batch(sequences)),
        }
    }

    #[test]
    fn only_what_is_new_is_kept() {
        assert_eq!(trim(stored(&[5, 6]), 4).unwrap(), Some(stored(&[5, 6])));
        assert_eq!(trim(stored(&[5, 6]), 6).unwrap(), None);
        assert_eq!(trim(stored(&[5, 6]), 9).unwrap(), None);
        assert_eq!(trim(stored(&[5, 6, 8]), 5).unwrap(), Some(stored(&[6, 8])));
        assert_eq!(trim(stored(&[5, 6, 8]), 7).unwrap(), Some(stored(&[8])));
    }

    #[test]
    fn disorder_is_named_and_a_hole_is_seen() {
        assert_eq!(check(&batch(&[3, 4, 5])), Ok((3, 5, false)));
        assert_eq!(check(&batch(&[3, 5])), Ok((3, 5, true)));
        assert_eq!(check(&batch(&[])), Err(BatchError::Count(0)));
        assert_eq!(check(&batch(&[0, 1])), Err(BatchError::Order { after: 0, found: 0 }));
        assert_eq!(check(&batch(&[3, 3])), Err(BatchError::Order { after: 3, found: 3 }));
        assert_eq!(check(&batch(&[u64::MAX])), Err(BatchError::Order { after: 0, found: u64::MAX }));
        let mut lying = batch(&[3, 4]);
        lying.first_sequence = 2;
        assert_eq!(check(&lying), Err(BatchError::First { announced: 2, found: 3 }));
        let many: Vec<u64> = (1..=MAX_BATCH_OBSERVATIONS as u64 + 1).collect();
        assert_eq!(check(&batch(&many)), Err(BatchError::Count(many.len())));
    }

    #[test]
    fn a_mark_never_goes_back() {
        let (marks, agent) = (Marks::default(), stored(&[1]).agent);
        marks.advance(&agent, 5);
        marks.advance(&agent, 3);
        assert_eq!(marks.get(&agent), 5);
    }
}
