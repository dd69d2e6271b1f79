//! The model of clusters and of what Nimbus may do in each.

use jiff::Timestamp;
use nimbus_protocol::ids::TokenId;
use serde::{Deserialize, Serialize};

use super::{ActionKind, words};

words! {
    /// How far Nimbus may go in a cluster.
    Mode {
        /// Agents report, and nothing is made of it: no incident, no plan.
        Off = "off",
        /// Watch, open incidents, plan; never act and ask nobody. The default.
        Observe = "observe",
        /// Ask a person for each remedy that is enabled, also for those that would go by themselves.
        Recommend = "recommend",
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
    /// The remedies that are enabled; meaningful in [`Mode::Recommend`] and [`Mode::Act`].
    pub enabled: Vec<ActionKind>,
    /// How the pods of its agents prove where they run; `None` until one did with a join token.
    #[serde(default)]
    pub identity: Option<ClusterIdentity>,
}

/// By what a control plane recognises service account tokens of a cluster, without access to its API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// The issuer that its tokens name.
    pub issuer: String,
    /// The public keys of its API server, as it published them: a JSON Web Key Set of at most 64 KiB.
    pub keys: String,
    /// The namespace of its agents' pods.
    pub namespace: String,
    /// The service account of its agents' pods.
    pub service_account: String,
    /// When an agent brought these keys.
    pub since: Timestamp,
    /// The join token with which it did.
    pub token: TokenId,
}

impl Cluster {
    /// May `action` be planned for execution here?
    pub fn enables(&self, action: ActionKind) -> bool {
        let may = match self.mode {
            Mode::Recommend | Mode::Act => true,
            Mode::Off | Mode::Observe => false,
        };
        may && self.enabled.contains(&action)
    }
}
