//! The hosts that are known, in the order of their ids and in the order of their last changes: among many thousands those that
//! changed since a moment are found without a look at the others.

use std::collections::BTreeMap;
use std::ops::Index;

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::HostFacts;

/// Hosts by the agent on them.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    known: BTreeMap<AgentId, HostFacts>,
    /// The turn of each one's last change.
    changed_at: BTreeMap<AgentId, u64>,
    by_change: BTreeMap<u64, AgentId>,
    /// Moves with each change of any of them.
    turn: u64,
}

impl Hosts {
    /// One of them.
    pub fn get(&self, agent: &AgentId) -> Option<&HostFacts> {
        self.known.get(agent)
    }

    /// Is it known?
    pub fn contains_key(&self, agent: &AgentId) -> bool {
        self.known.contains_key(agent)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&AgentId, &HostFacts)> {
        self.known.iter()
    }

    /// The agents on them.
    pub fn keys(&self) -> impl Iterator<Item = &AgentId> {
        self.known.keys()
    }

    /// The turn of the last change; 0 before the first.
    pub const fn turn(&self) -> u64 {
        self.turn
    }

    /// Those that are new or changed after this turn, and still known.
    pub fn changed_since(&self, turn: u64) -> impl Iterator<Item = (AgentId, &HostFacts)> {
        let since = self.by_change.range(turn.saturating_add(1)..);
        since.filter_map(|(_, agent)| Some((*agent, self.known.get(agent)?)))
    }

    /// Changes one, which may be new, by way of `change`, which says whether it changed.
    pub(super) fn change(&mut self, agent: AgentId, change: impl FnOnce(&mut HostFacts) -> bool) -> bool {
        let is_new = !self.known.contains_key(&agent);
        let changed = change(self.known.entry(agent).or_default());
        if changed || is_new {
            self.moved(agent);
        }
        changed
    }

    /// The control plane's clock jumped: how long something on them is as it is begins anew.
    pub(super) fn clock_jumped(&mut self, now: Timestamp) {
        let with_units =
            self.known.iter_mut().filter_map(|(agent, facts)| Some((*agent, facts.units.as_mut()?)));
        let mut changed = Vec::new();
        for (agent, units) in with_units {
            units.clock_jumped(now);
            changed.push(agent);
        }
        for agent in changed {
            self.moved(agent);
        }
    }

    /// Forgets one.
    pub fn remove(&mut self, agent: &AgentId) {
        self.known.remove(agent);
        if let Some(turn) = self.changed_at.remove(agent) {
            self.by_change.remove(&turn);
        }
    }

    fn moved(&mut self, agent: AgentId) {
        self.turn += 1;
        if let Some(before) = self.changed_at.insert(agent, self.turn) {
            self.by_change.remove(&before);
        }
        self.by_change.insert(self.turn, agent);
    }
}

impl Index<&AgentId> for Hosts {
    type Output = HostFacts;

    fn index(&self, agent: &AgentId) -> &HostFacts {
        &self.known[agent]
    }
}

/// When which of them changed is no part of the picture.
impl PartialEq for Hosts {
    fn eq(&self, other: &Self) -> bool {
        self.known == other.known
    }
}

impl Eq for Hosts {}

impl Serialize for Hosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.known.serialize(serializer)
    }
}

/// All of them are new then.
impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = BTreeMap::<AgentId, HostFacts>::deserialize(deserializer)?;
        let mut hosts = Self::default();
        for agent in known.keys() {
            hosts.moved(*agent);
        }
        Ok(Self { known, ..hosts })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn agent(n: u8) -> AgentId {
        AgentId::of_bytes([n; 16])
    }

    proptest! {
        /// Whatever changes and goes in whatever order: what changed since a look is what changed after it and is still known.
        #[test]
        fn what_changed_since_a_look_is_found(events in proptest::collection::vec((0_u8..5, 0_u8..4), 0..40)) {
            let (mut hosts, mut seen, mut since) = (Hosts::default(), 0, BTreeSet::new());
            for (n, what) in events {
                match what {
                    // The first one of an agent is a change whatever it says.
                    0 | 1 => {
                        let is_new = !hosts.contains_key(&agent(n));
                        hosts.change(agent(n), |_| what == 0);
                        if what == 0 || is_new {
                            since.insert(agent(n));
                        }
                    }
                    2 => {
                        hosts.remove(&agent(n));
                        since.remove(&agent(n));
                    }
                    _ => {
                        seen = hosts.turn();
                        since.clear();
                    }
                }
                let found: BTreeSet<AgentId> = hosts.changed_since(seen).map(|(agent, _)| agent).collect();
                prop_assert_eq!(&found, &since);
                let text = serde_json::to_string(&hosts).unwrap();
                let read: Hosts = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(read.changed_since(0).count(), hosts.keys().count(), "all are new after a restart");
                prop_assert_eq!(&read, &hosts);
            }
        }
    }
}
