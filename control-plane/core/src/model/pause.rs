//! The model of a pause: a person stopped Nimbus in a cluster or in the whole fleet, until somebody lets it go on or for as long as the
//! person said.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Agent, Scope};

/// That nothing new is begun somewhere, whoever ordered it. What was begun is finished and, where it did not help, undone.
///
/// There is one at most for the fleet and one for each cluster; letting it go on removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// UID of the paused cluster; `None`: every cluster and every host.
    pub cluster_uid: Option<String>,
    /// The cluster's name when it was paused; empty for the fleet.
    pub cluster: String,
    /// Who paused it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; `None`: when somebody lets it go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Those of other people that end no later: who lets this one go on does not end them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beneath: Vec<Self>,
}

impl Pause {
    /// What is paused, in words: `the fleet` or `cluster NAME`.
    pub fn what(&self) -> String {
        match self.cluster_uid {
            None => "the fleet".to_owned(),
            Some(_) => format!("cluster {}", self.cluster),
        }
    }

    /// Does this end outlast its own? `None` is no end.
    pub fn ends_before(&self, until: Option<Timestamp>) -> bool {
        self.until.is_some_and(|own| until.is_none_or(|until| own < until))
    }

    /// Does it hold there? `agent` is the host's own, where it is known: what an agent of a cluster watches on its host is paused
    /// with that cluster. An agent of kind host is of no cluster.
    pub fn covers(&self, scope: &Scope, agent: Option<&Agent>) -> bool {
        let Some(paused) = &self.cluster_uid else { return true };
        let node_of = agent.filter(|agent| scope.host() == Some(agent.id));
        let node_of =
            node_of.into_iter().flat_map(|agent| agent.bound_cluster.iter().chain(&agent.cluster_uid));
        scope.cluster_uid() == Some(paused.as_str()) || node_of.into_iter().any(|uid| uid == paused)
    }

    /// That it is paused, by whom, since when and why, and what lets it go on.
    pub fn sentence(&self) -> String {
        let because = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        let resume = match self.cluster_uid {
            None => "--fleet".to_owned(),
            Some(_) => format!("--cluster {}", self.cluster),
        };
        format!(
            "paused: {} paused {} at {:.0}{because}, and nothing new is begun until {}`nimbus autonomous resume {resume}`",
            self.by,
            self.what(),
            self.since,
            self.until.map_or_else(String::new, |until| format!("{until:.0} or ")),
        )
    }
}
