//! A set of connected agents that changes by one and is handed on whole.
//!
//! A copy shares everything with what it was copied from, so that each decision has the set of its moment while agents come
//! and go: neither a copy nor a change costs noticeably more with ten thousand agents than with ten.

use nimbus_protocol::ids::AgentId;
use rpds::HashTrieSetSync;

/// Agents that are connected, in no order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectedAgents(HashTrieSetSync<AgentId>);

impl ConnectedAgents {
    /// Is this one among them?
    pub fn contains(&self, agent: &AgentId) -> bool {
        self.0.contains(agent)
    }

    /// Nobody?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It came.
    pub fn insert(&mut self, agent: AgentId) {
        self.0.insert_mut(agent);
    }

    /// It went.
    pub fn remove(&mut self, agent: &AgentId) {
        self.0.remove_mut(agent);
    }

    /// All of them went.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl FromIterator<AgentId> for ConnectedAgents {
    fn from_iter<I: IntoIterator<Item = AgentId>>(agents: I) -> Self {
        Self(agents.into_iter().collect())
    }
}

impl<const N: usize> From<[AgentId; N]> for ConnectedAgents {
    fn from(agents: [AgentId; N]) -> Self {
        agents.into_iter().collect()
    }
}
