//! The model of agents and of the join tokens for new ones.

use jiff::Timestamp;
use nimbus_protocol::ids::{AgentId, TokenId};
use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// Where an agent lives.
    AgentKind {
        /// In a Kubernetes cluster (or beside one, with a kubeconfig).
        Cluster = "cluster",
        /// On a host of its own.
        Host = "host",
    }
}

/// An enrolled agent and the last it said of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Given at enrolment; in the certificate's subject.
    pub id: AgentId,
    /// The operator's name for it.
    pub name: String,
    /// Where it lives.
    pub kind: AgentKind,
    /// When it enrolled.
    pub created_at: Timestamp,
    /// SHA-256 (hex) of its current certificate's public key: another key with the same name is refused.
    pub key_sha256: String,
    /// Sessions of a revoked agent are rejected.
    pub revoked_at: Option<Timestamp>,
    /// The host it runs on, as it says.
    pub hostname: String,
    /// Its build.
    pub version: String,
    /// The cluster it watches, if it watches one.
    pub cluster_uid: Option<String>,
    /// UID of the only cluster that it may report for; `None` until it names one.
    pub bound_cluster: Option<String>,
    /// True while it holds its cluster's watch lease.
    pub leading: bool,
    /// Transitions of the lease when it was taken.
    pub lease_term: u64,
    /// What its own policy allows; empty: observe only.
    pub allowed_actions: Vec<String>,
    /// Jobs an hour that its own policy takes; `None`: not known, as of an older agent.
    #[serde(default)]
    pub jobs_per_hour: Option<u32>,
    /// The paths whose files it watches.
    pub roots: Vec<WatchedRoot>,
    /// Problems it reports, one sentence each.
    pub problems: Vec<String>,
    /// Observations it had to drop since its spool was made.
    pub dropped: u64,
}

impl Agent {
    /// One that has said nothing of itself yet.
    pub fn new(id: AgentId, kind: AgentKind, created_at: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            kind,
            created_at,
            key_sha256: String::new(),
            revoked_at: None,
            hostname: String::new(),
            version: String::new(),
            cluster_uid: None,
            bound_cluster: None,
            leading: false,
            lease_term: 0,
            allowed_actions: Vec::new(),
            jobs_per_hour: None,
            roots: Vec::new(),
            problems: Vec::new(),
            dropped: 0,
        }
    }
}

/// A path whose files an agent watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedRoot {
    /// The path.
    pub path: String,
    /// What is wrong with it; empty when nothing is.
    pub problem: String,
    /// Files below it that the agent holds a baseline of.
    pub files: u64,
    /// When that baseline was taken; `None` while there is none, and where an older agent does not say.
    #[serde(default)]
    pub baseline_since: Option<Timestamp>,
}

/// A join token as the store keeps it: never the secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinTokenRecord {
    /// Names the token.
    pub id: TokenId,
    /// Name that the agent will get.
    pub name: String,
    /// Kind that the agent will be.
    pub kind: AgentKind,
    /// UID of the only cluster that the agent may report for; `None`: one that no agent is bound to yet.
    pub cluster: Option<String>,
    /// SHA-256 (hex) of the secret.
    pub secret_sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Not accepted from this moment on.
    pub expires_at: Timestamp,
    /// Set once: a token is single-use.
    pub used_at: Option<Timestamp>,
    /// The agent that used it.
    pub used_by: Option<AgentId>,
}
