//! What each agent is told of pauses: made anew with every commit, so that a pause reaches the agents as soon as it is stored.

use std::collections::HashMap;

use nimbus_control_core::model::{Agents, Pause, Scope, Versioned};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::{to_micros, v1};

/// Who is paused.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paused {
    fleet: Option<v1::Pause>,
    clusters: Vec<v1::Pause>,
    /// Which of the clusters' pauses holds for an agent: it acts there, or watches files on a node of its own there.
    agents: HashMap<AgentId, usize>,
}

impl Paused {
    /// By these pauses. Made anew with each commit, so that nothing is copied for each of many agents.
    pub(super) fn of(pauses: &[Versioned<Pause>], agents: &Agents) -> Self {
        let mut who = Self::default();
        for pause in pauses.iter().map(|pause| &pause.doc) {
            if pause.cluster_uid.is_none() {
                who.fleet = Some(frame(pause));
                continue;
            }
            let at = who.clusters.len();
            who.clusters.push(frame(pause));
            let here = agents.iter().map(|agent| &agent.doc).filter(|agent| {
                agent.revoked_at.is_none() && pause.covers(&Scope::Host(agent.id), Some(agent))
            });
            who.agents.extend(here.map(|agent| (agent.id, at)));
        }
        who
    }

    /// The pause that holds for this agent: the fleet's, or its cluster's.
    pub fn holding(&self, agent: AgentId) -> Option<&v1::Pause> {
        let its = || self.clusters.get(*self.agents.get(&agent)?);
        self.fleet.as_ref().or_else(its)
    }

    /// What this agent is to know: that pause, or that there is none.
    pub fn frame_for(&self, agent: AgentId) -> v1::Pause {
        self.holding(agent).cloned().unwrap_or_default()
    }
}

fn frame(pause: &Pause) -> v1::Pause {
    v1::Pause {
        paused: true,
        what: pause.what(),
        by: pause.by.clone(),
        reason: pause.reason.clone(),
        since_us: to_micros(pause.since),
    }
}
