//! Tracks whether the world has applied everything that a reconnected agent had observed before it connected.
//!
//! A hello says up to which sequence the agent has observed. Until all of it is in the world, the agent counts as not
//! connected for every decision: what was true before it went away is not known to be true.
//!
//! Each decision asks for the agents that are connected, several in one pass, and there may be many thousands: both sets
//! follow who comes, catches up and goes, and nobody sorts them anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_protocol::ids::AgentId;

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// The last sequence that the world has applied.
    applied: u64,
    /// The last sequence that the agent had observed when it connected.
    observed: u64,
}

impl Progress {
    const fn has_caught_up(self) -> bool {
        self.applied >= self.observed
    }
}

/// How far the world has followed each agent, and which of them are connected.
#[derive(Debug, Default)]
pub struct CaughtUp {
    agents: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    /// With an entry for each enrolled agent that ever connected.
    progress: HashMap<AgentId, Progress>,
    connected: ConnectedAgents,
    /// Those of them that have caught up.
    current: ConnectedAgents,
}

impl Followed {
    /// Takes the agent into `current`, or out of it, by what is known of it now.
    fn follow(&mut self, agent: AgentId) {
        let progress = self.progress.get(&agent).copied().unwrap_or_default();
        if self.connected.contains(&agent) && progress.has_caught_up() {
            self.current.insert(agent);
        } else {
            self.current.remove(&agent);
        }
    }
}

impl CaughtUp {
    /// The agent connects and has observed up to this sequence. To be said before [`Self::came`].
    pub fn expect(&self, agent: AgentId, observed: u64) {
        let mut agents = self.lock();
        agents.progress.entry(agent).or_default().observed = observed;
        agents.follow(agent);
    }

    /// The agent's observations are in the world up to this sequence. True when that makes it current.
    pub fn applied_up_to(&self, agent: AgentId, sequence: u64) -> bool {
        let mut agents = self.lock();
        let progress = agents.progress.entry(agent).or_default();
        let was_behind = !progress.has_caught_up();
        progress.applied = progress.applied.max(sequence);
        let is_current_now = was_behind && progress.has_caught_up();
        if is_current_now {
            agents.follow(agent);
        }
        is_current_now
    }

    /// The agent has a session.
    pub(crate) fn came(&self, agent: AgentId) {
        let mut agents = self.lock();
        agents.connected.insert(agent);
        agents.follow(agent);
    }

    /// The agent has no session any more.
    pub(crate) fn went(&self, agent: AgentId) {
        let mut agents = self.lock();
        agents.connected.remove(&agent);
        agents.follow(agent);
    }

    /// The agents that have a session.
    pub fn connected(&self) -> ConnectedAgents {
        self.lock().connected.clone()
    }

    /// Those of them whose observations from before they connected are all applied.
    pub fn current(&self) -> ConnectedAgents {
        self.lock().current.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn agent(n: u8) -> AgentId {
        AgentId::of_bytes([n; 16])
    }

    #[test]
    fn an_agent_is_current_once_all_that_it_had_when_it_came_is_here() {
        let (agent, world) = (agent(1), CaughtUp::default());
        let is_current = || world.current().contains(&agent);
        assert!(!is_current(), "it is not connected");
        world.came(agent);
        assert!(is_current(), "it had nothing");
        world.applied_up_to(agent, 10);
        world.expect(agent, 10);
        assert!(is_current(), "nothing happened while it was away");
        world.expect(agent, 12);
        assert!(!is_current() && world.connected().contains(&agent));
        assert!(!world.applied_up_to(agent, 11) && !is_current());
        assert!(world.applied_up_to(agent, 13) && is_current());
        assert!(!world.applied_up_to(agent, 14), "it was current already");
        world.went(agent);
        assert!(!is_current() && world.connected().is_empty());
    }

    #[derive(Debug, Clone, Copy)]
    enum Event {
        Expect(u8, u64),
        Applied(u8, u64),
        Came(u8),
        Went(u8),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0_u8..4, 0_u64..6).prop_map(|(n, sequence)| Event::Expect(n, sequence)),
            (0_u8..4, 0_u64..6).prop_map(|(n, sequence)| Event::Applied(n, sequence)),
            (0_u8..4).prop_map(Event::Came),
            (0_u8..4).prop_map(Event::Went),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: the sets are what a look at each agent finds, and a copy does not change.
        #[test]
        fn the_sets_are_what_a_look_at_each_agent_finds(events in proptest::collection::vec(event(), 0..40)) {
            let world = CaughtUp::default();
            let (mut known, mut connected) = (BTreeMap::<u8, (u64, u64)>::new(), BTreeSet::new());
            for event in events {
                let before = (world.connected(), world.current());
                let (old_connected, old_current) = (connected.clone(), is_current(&known, &connected));
                match event {
                    Event::Expect(n, observed) => {
                        world.expect(agent(n), observed);
                        known.entry(n).or_default().1 = observed;
                    }
                    Event::Applied(n, sequence) => {
                        world.applied_up_to(agent(n), sequence);
                        let (applied, _) = known.entry(n).or_default();
                        *applied = sequence.max(*applied);
                    }
                    Event::Came(n) => {
                        world.came(agent(n));
                        connected.insert(n);
                    }
                    Event::Went(n) => {
                        world.went(agent(n));
                        connected.remove(&n);
                    }
                }
                prop_assert_eq!(before, (set(&old_connected), set(&old_current)));
                let now = (set(&connected), set(&is_current(&known, &connected)));
                prop_assert_eq!((world.connected(), world.current()), now);
            }
        }
    }

    fn is_current(known: &BTreeMap<u8, (u64, u64)>, connected: &BTreeSet<u8>) -> BTreeSet<u8> {
        let caught_up = |n: &u8| known.get(n).is_none_or(|(applied, observed)| applied >= observed);
        connected.iter().copied().filter(caught_up).collect()
    }

    fn set(agents: &BTreeSet<u8>) -> ConnectedAgents {
        agents.iter().map(|n| agent(*n)).collect()
    }
}
