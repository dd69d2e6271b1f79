//! The words that the control plane thinks in: agents, clusters, incidents, plans, approvals, jobs, audit rows.
//!
//! Plain values that serialise to JSON; the store keeps each as one document with a few indexed columns. Nothing
//! here decides anything.

mod agent;
mod approval;
mod audit;
mod changes;
mod cluster;
mod incident;
mod job;
mod plan;

pub use agent::{Agent, AgentKind, JoinTokenRecord};
pub use approval::{Approval, ApprovalState};
pub use audit::{AuditDraft, AuditRow, GENESIS};
pub use changes::{ChangeSet, Versioned};
pub use cluster::{Cluster, Mode};
pub use incident::{HistoryEntry, Incident, IncidentKind, IncidentState, MAX_HISTORY, Severity};
pub use job::{Job, JobState};
pub use plan::{Action, ActionKind, FileFacts, Option_, Plan, Target};

use serde::{Deserialize, Serialize};

/// What an incident or a plan is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Kubernetes kind, or `File`, `Host`, `Cluster`.
    pub kind: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Name, or the path of a file.
    pub name: String,
    /// Kubernetes UID; empty for a file or host.
    pub uid: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind.as_str(), self.namespace.as_str()) {
            ("File", _) => f.write_str(&self.name),
            (kind, "") => write!(f, "{}/{}", kind.to_lowercase(), self.name),
            (kind, namespace) => write!(f, "{namespace}/{}/{}", kind.to_lowercase(), self.name),
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word used in JSON, tables and the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("expected one of {}, found {text:?}", words.join(", "))
                })
            }
        }
    };
}
pub(crate) use words;
