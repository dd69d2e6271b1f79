//! High-water marks: up to which sequence each agent's observations are stored, and which part of a batch is new.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nimbus_control_core::gateway::newer_than;
use nimbus_protocol::frame::FrameError;
use nimbus_protocol::ids::AgentId;
use nimbus_store::NewBatch;

use crate::log_payload::{pack, unpack};

/// The last stored sequence number of each agent. Only the log writer moves them, after its commit.
#[derive(Debug, Default)]
pub struct Marks(Mutex<HashMap<AgentId, u64>>);

impl Marks {
    /// The marks as the store has them.
    pub fn new(stored: HashMap<AgentId, u64>) -> Self {
        Self(Mutex::new(stored))
    }

    /// The last stored sequence number of `agent`; 0 when there is none.
    pub fn get(&self, agent: AgentId) -> u64 {
        self.lock().get(&agent).copied().unwrap_or(0)
    }

    /// Moves the mark of `agent` forward.
    pub fn advance(&self, agent: AgentId, to: u64) {
        let mut marks = self.lock();
        let mark = marks.entry(agent).or_default();
        *mark = to.max(*mark);
    }

    /// Takes the store's marks.
    pub fn replace(&self, stored: HashMap<AgentId, u64>) {
        *self.lock() = stored;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of `batch` is new after `mark`: all of it as it is, a part, or `None`.
pub fn trim(batch: NewBatch, mark: u64) -> Result<Option<NewBatch>, FrameError> {
    if batch.first > mark {
        return Ok(Some(batch));
    }
    if batch.last <= mark {
        return Ok(None);
    }
    let Some(newer) = newer_than(mark, unpack(&batch.payload)?) else { return Ok(None) };
    // At most as many as before, which were counted in 32 bits.
    let count = u32::try_from(newer.observations.len()).unwrap_or(batch.count);
    Ok(Some(NewBatch { first: newer.first_sequence, count, payload: pack(&newer), ..batch }))
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1;

    use super::*;

    fn stored(sequences: &[u64]) -> NewBatch {
        let observation = |&sequence| v1::Observation { sequence, ..Default::default() };
        let observations = sequences.iter().map(observation).collect();
        NewBatch {
            agent: AgentId::from(uuid::Uuid::from_u128(1)),
            first: sequences[0],
            last: *sequences.last().unwrap(),
            count: u32::try_from(sequences.len()).unwrap(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            payload: pack(&v1::ObservationBatch { first_sequence: sequences[0], observations }),
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
    fn a_mark_never_goes_back() {
        let (marks, agent) = (Marks::default(), stored(&[1]).agent);
        marks.advance(agent, 5);
        marks.advance(agent, 3);
        assert_eq!(marks.get(agent), 5);
    }
}
