//! The scope of an incident, plan or job: a cluster, or the host of an agent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::AgentId;

/// Where something is. Every incident, plan and job has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A cluster, by the UID of its kube-system namespace.
    Cluster(String),
    /// The host of an agent.
    Host(AgentId),
}

impl Scope {
    /// The cluster's UID; `None` on a host.
    pub fn cluster_uid(&self) -> Option<&str> {
        match self {
            Self::Cluster(uid) => Some(uid),
            Self::Host(_) => None,
        }
    }

    /// The agent whose host it is; `None` in a cluster, where any of its agents may lead.
    pub fn host(&self) -> Option<AgentId> {
        match self {
            Self::Cluster(_) => None,
            Self::Host(agent) => Some(*agent),
        }
    }
}

impl fmt::Display for Scope {
    /// The cluster's UID or the agent's id: how keys and digests name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(uid) => f.write_str(uid),
            Self::Host(agent) => agent.fmt(f),
        }
    }
}
