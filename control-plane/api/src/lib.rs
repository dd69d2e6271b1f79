//! The contract of the operator's REST API: its requests, its responses and a client for them.
//!
//! It decides the names and shapes of every document under `/api/v1`, each with its OpenAPI schema, and holds the
//! [`client`] that the command line uses. It leaves to the server what the values are, and to the command line how
//! they look on a terminal.
//!
//! Every item of a list has `id`, `created_at` (RFC 3339, UTC) and, where they apply, `cluster`, `kind`,
//! `severity`, `state`, `object` and `reason`. Words such as states are strings here, so that an older client still
//! reads a newer server; [`words`] lists the ones that this version knows. An optional value that is not there is
//! `null`, never left out.
#![deny(missing_docs)]

mod access;
mod agent;
mod approval;
mod approval_detail;
mod audit;
mod autonomous;
mod cluster;
mod common;
mod drain;
mod drift;
mod incident;
mod investigation;
mod job;
mod node;
mod plan;
mod problem;
mod query;
mod request;
mod rule;
mod status;
pub mod text;
pub mod words;

#[cfg(feature = "client")]
pub mod client;

pub use access::{AccessToken, AccessTokenItem, Whoami};
pub use agent::{
    Agent, AgentDetail, DiskHealth, HostHealth, JoinToken, JoinTokenItem, Pace, UnitHealth, WatchedRoot,
};
pub use approval::{Approval, ApprovalWord, BrokenGlass, GlassReview};
pub use approval_detail::ApprovalDetail;
pub use audit::{AuditDocument, AuditMismatch, AuditRow, AuditVerification};
pub use autonomous::{AutonomousStatus, HistoryItem, Pause, PauseBeneath, Period, Rule};
pub use cluster::{
    Cluster, ClusterAgent, ClusterDetail, ContainerNearLimit, NodeFigures, RemovedCluster, SHOWN_AGENTS,
    SHOWN_CONTAINERS, SHOWN_NODES,
};
pub use common::{List, ObjectRef};
pub use drain::{DrainQuery, DrainStep, NodeDrain, PodInTheWay, PodPlace};
pub use drift::{AttributeChange, Baseline, Drift, FileState, LineCounts};
pub use incident::{HistoryEntry, Incident, IncidentDetail};
pub use investigation::{Investigation, Known};
pub use job::{Job, JobDetail};
pub use node::{Node, NodeDetail, NodePod, SHOWN_PODS};
pub use plan::{Considered, Outlook, Plan};
pub use problem::Problem;
pub use query::{
    AgentQuery, ApprovalQuery, AuditQuery, DriftQuery, DryRunQuery, ExportQuery, HistoryQuery, IncidentQuery,
    JobQuery, JoinTokenQuery, NodeQuery, PageQuery,
};
pub use request::{
    AccessTokenRequest, AcknowledgeRequest, ApproveRequest, BaselineRequest, DenyRequest, DisableRequest,
    DriftFixRequest, EnableRequest, JoinTokenRequest, PauseRequest, RemoveRequest, ReviewRequest,
    RevokeRequest, SilenceRequest,
};
pub use rule::{
    RuleDetail, RuleEvidence, RuleProposal, RuleRequest, RuleText, RuleTrial, RuleTrials, RuleWindow,
};
pub use status::{
    AgentCounts, AgentProblems, BoundReached, ClusterHealth, ControlPlaneReplica, IncidentCounts, Started,
    Status, StorageStatus, Version,
};

/// Where every path of this contract starts.
pub const BASE: &str = "/api/v1";

/// Most items in one page; a longer one is refused.
pub const MAX_LIMIT: u32 = 500;

/// Items in a page that asks for no number.
pub const DEFAULT_LIMIT: u32 = 100;

/// The one principal of this version: whoever holds the operator's token.
pub const OPERATOR: &str = "operator";
