//! The model of clusters and of what Nimbus may do in each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ActionKind, words};

words! {
    /// How far Nimbus may go in a cluster.
    Mode {
        /// Watch, open incidents, plan; never act. The default.
        Observe = "observe",
        /// Act by the rules: automatically or after approval.
        Act = "act",
    }
}

/// A cluster that some agent watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// UID of its kube-system namespace.
    pub uid: String,
    /// The operator's name for it: the kubeconfig's cluster or the agent's name.
    pub name: String,
    /// First seen.
    pub created_at: Timestamp,
    /// How far Nimbus may go.
    pub mode: Mode,
    /// The remedies that are enabled; meaningful in [`Mode::Act`].
    pub enabled: Vec<ActionKind>,
}

impl Cluster {
    /// May `action` be planned for execution here?
    pub fn enables(&self, action: ActionKind) -> bool {
        self.mode == Mode::Act && self.enabled.contains(&action)
    }
}
