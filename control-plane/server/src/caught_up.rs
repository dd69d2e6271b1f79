//! Tracks whether the world has applied everything that a reconnected agent had observed before it connected.
//!
//! A hello says up to which sequence the agent has observed. Until all of it is in the world, the agent counts as not
//! connected for every decision: what was true before it went away is not known to be true.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nimbus_protocol::ids::AgentId;

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// The last sequence that the world has applied.
    applied: u64,
    /// The last sequence that the agent had observed when it connected.
    observed: u64,
}

/// How far the world has followed each agent, with an entry for each enrolled agent that ever connected.
#[derive(Debug, Default)]
pub struct CaughtUp {
    agents: Mutex<HashMap<AgentId, Progress>>,
    changes: AtomicU64,
}

impl CaughtUp {
    /// The agent connected and had observed up to this sequence.
    pub fn expect(&self, agent: AgentId, observed: u64) {
        self.lock().entry(agent).or_default().observed = observed;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The agent's observations are in the world up to this sequence. True when that makes it current.
    pub fn applied_up_to(&self, agent: AgentId, sequence: u64) -> bool {
        let mut agents = self.lock();
        let progress = agents.entry(agent).or_default();
        let was_behind = progress.applied < progress.observed;
        progress.applied = progress.applied.max(sequence);
        let is_current_now = was_behind && progress.applied >= progress.observed;
        if is_current_now {
            self.changes.fetch_add(1, Ordering::Release);
        }
        is_current_now
    }

    /// Moves whenever an agent became current, or may be no longer.
    pub fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Removes agents whose observations from before they connected are not all applied yet.
    pub fn only_current(&self, agents: &mut BTreeSet<AgentId>) {
        let known = self.lock();
        agents.retain(|agent| known.get(agent).is_none_or(|progress| progress.applied >= progress.observed));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Progress>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_current_once_all_that_it_had_when_it_came_is_here() {
        let agent = AgentId::from(uuid::Uuid::from_u128(1));
        let world = CaughtUp::default();
        let is_current = || {
            let mut agents = BTreeSet::from([agent]);
            world.only_current(&mut agents);
            !agents.is_empty()
        };
        assert!(is_current());
        world.applied_up_to(agent, 10);
        world.expect(agent, 10);
        assert!(is_current(), "nothing happened while it was away");
        world.expect(agent, 12);
        assert!(!is_current());
        assert!(!world.applied_up_to(agent, 11) && !is_current());
        assert!(world.applied_up_to(agent, 13) && is_current());
        assert!(!world.applied_up_to(agent, 14), "it was current already");
    }
}
