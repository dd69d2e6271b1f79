//! The API's overview of the whole fleet.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Incident, Pause, Plan, words};

/// Agents by whether they can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentCounts {
    /// Enrolled and not revoked.
    pub total: u32,
    /// With a session now.
    pub connected: u32,
    /// Revoked for good.
    pub revoked: u32,
}

/// An agent that reports problems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentProblems {
    /// `agt_…`
    pub id: String,
    /// The operator's name for it.
    pub name: String,
    /// How many it reports; at least 1.
    pub count: u32,
    /// The first of them, one sentence.
    pub first: String,
}

/// Incidents that are not resolved, by severity and by state. A silenced one counts only as silenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct IncidentCounts {
    /// All that are neither resolved nor silenced.
    pub total: u32,
    /// Something is down.
    pub critical: u32,
    /// Something will be, or part of it is.
    pub warning: u32,
    /// Worth knowing.
    pub info: u32,
    /// Nothing is in progress.
    pub open: u32,
    /// A plan waits for a person.
    pub waiting_approval: u32,
    /// A job is in flight.
    pub remediating: u32,
    /// A person is asked.
    pub escalated: u32,
    /// A person said to leave it.
    pub silenced: u32,
}

/// A cluster's health in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterHealth {
    /// UID of the cluster.
    pub id: String,
    /// Name of the cluster.
    pub name: String,
    /// How it is.
    #[schema(value_type = words::Health)]
    pub state: String,
    /// Why it is so; empty when healthy.
    pub reason: String,
    /// How far Nimbus may go.
    #[schema(value_type = words::Mode)]
    pub mode: String,
    /// Incidents that are not resolved.
    pub open_incidents: u32,
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageStatus {
    /// `sqlite` or `postgresql`.
    pub kind: String,
    /// Last position in the observation log.
    pub log_position: i64,
    /// The last position that was applied to the inventory.
    pub log_applied: i64,
    /// When everything stored was last checked against its checksums; `null` before the first check has ended.
    #[serde(default)]
    pub checked_at: Option<Timestamp>,
    /// What that check found damaged, one sentence each; empty when nothing.
    #[serde(default)]
    pub damage: Vec<String>,
}

/// A control plane on the same database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ControlPlaneReplica {
    /// Of this one process; another one after a restart.
    pub id: String,
    /// Its host's name, or its pod's.
    pub name: String,
    /// Where it serves operators.
    pub address: String,
    /// Its build.
    pub version: String,
    /// `leads`, `stands_by`, or `superseded`: it has led, and ends.
    pub state: String,
    /// Since when, by the database's clock.
    pub since: Timestamp,
    /// When it was last there, by the database's clock. Each says so every second; one that did not for 10 s is not shown.
    pub last_seen: Timestamp,
}

/// An overview of the whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// True when every enrolled agent is connected, every cluster is known and what arrived is applied.
    pub ready: bool,
    /// What is not ready yet, one sentence each; empty when ready.
    pub waiting_for: Vec<String>,
    /// What people have paused; empty when nothing is.
    #[serde(default)]
    pub paused: Vec<Pause>,
    /// The control plane's build.
    pub version: String,
    /// The control plane's clock.
    pub now: Timestamp,
    /// When the control plane started.
    pub started_at: Timestamp,
    /// Agents by whether they can be reached.
    pub agents: AgentCounts,
    /// The connected agents that report problems; empty when none does.
    pub agent_problems: Vec<AgentProblems>,
    /// Each cluster's health.
    pub clusters: Vec<ClusterHealth>,
    /// Incidents that are not resolved.
    pub incidents: IncidentCounts,
    /// Approvals that wait for a person.
    pub waiting_approvals: u32,
    /// Approvals that somebody gave alone where several people had to, and that nobody reviewed; 100 stands for 100 or more. It may be
    /// a minute old.
    #[serde(default)]
    pub reviews_owed: u32,
    /// Jobs that are not final.
    pub jobs_in_flight: u32,
    /// Files that differ from their baseline.
    pub drifted_files: u32,
    /// The bounds that are reached, with what is not shown because of them; empty when none is.
    #[serde(default)]
    pub bounds: Vec<BoundReached>,
    /// What else an operator should know, one sentence each.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Where things are kept.
    pub storage: StorageStatus,
    /// The control planes that stand by for each other on its database, the one that leads first, at most 16; empty where one
    /// runs alone.
    #[serde(default)]
    pub control_planes: Vec<ControlPlaneReplica>,
}

/// A bound that is reached: what is beyond it is left out of lists and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BoundReached {
    /// What it is about: `incidents`, `drifted_files`, `passing_files`, `objects`, `agents`.
    pub kind: String,
    /// Name of the cluster or host; empty where it is about all.
    pub place: String,
    /// The bound.
    pub bound: u64,
    /// How many are left out.
    pub left_out: u64,
    /// What that means, one sentence.
    pub text: String,
}

/// Which control plane this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its build.
    pub version: String,
    /// Version of this REST contract: `v1`.
    pub api: String,
    /// Lowest agent protocol version it speaks.
    pub protocol_lowest: u32,
    /// Highest agent protocol version it speaks.
    pub protocol_highest: u32,
}

/// What an order set in motion, or would.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Started {
    /// True: nothing was written.
    pub dry_run: bool,
    /// The incident after the order.
    pub incident: Incident,
    /// The plan that is carried out, or would be.
    pub plan: Option<Plan>,
    /// The approval that was given for it, if one was needed.
    pub approval_id: Option<String>,
}
