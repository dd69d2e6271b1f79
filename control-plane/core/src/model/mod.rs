//! The control plane's model: agents, clusters, incidents, plans, approvals, jobs and audit rows.
//!
//! Plain values that serialise to JSON; the store keeps each as one document with a few indexed columns. Nothing
//! here decides anything.

mod access;
mod agent;
mod agents;
mod approval;
mod audit;
mod changes;
mod cluster;
pub mod document;
mod drift;
mod history;
mod incident;
mod job;
mod object;
mod outlook;
mod pause;
mod plan;
mod rule;

pub use access::{AccessToken, AccessTokenState};
pub use agent::{
    Agent, AgentKind, JoinTokenRecord, JoinTokenState, MAX_AGENT_NAME, PodOrigin, TokenEnd, WatchedRoot,
};
pub use agents::{Agents, RevokedMark};
pub use approval::{Approval, ApprovalState, BrokenGlass, Passed, Review, Word};
pub use audit::{AuditDraft, AuditRow, GENESIS};
pub use changes::{ChangeSet, Removed, SharedAgent, Versioned};
pub use cluster::{Cluster, ClusterIdentity, Mode};
pub use document::{AnyDocument, Columns, Document};
pub use drift::{Attribute, Drift, DriftSource};
pub use history::{GoodRevision, Holding, MAX_REVISIONS, Revision, RevisionHistory, Trouble};
pub use incident::{
    HistoryEntry, Incident, IncidentKind, IncidentState, MAX_HISTORY, RefusedEviction, RefusedPlan, Severity,
};
pub use job::{Job, JobState, RaisedLimit};
pub use object::{KubeRef, ObjectRef, Workload};
pub use outlook::{Outlook, UndoBy};
pub use pause::Pause;
pub use plan::{Alternative, Plan, PlannedAction};
pub use rule::{Consent, Intended, RuleRef};

pub use nimbus_protocol::v1::{FileFacts, Target};
pub use nimbus_protocol::{ActionKind, Scope};

pub(crate) use nimbus_protocol::words;
