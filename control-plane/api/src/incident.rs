//! The API's incidents: one for each root cause, with its state and the reason for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Approval, Job, ObjectRef, Plan, words};

/// Something is wrong: one incident for each root cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// `inc_…`
    #[schema(example = "inc_0190b5c2d3e47f6a8b9c0d1e2f3a4b5c")]
    pub id: String,
    /// First seen.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Name of the cluster or host.
    pub cluster: String,
    /// UID of the cluster; `null` for a host's.
    pub cluster_uid: Option<String>,
    /// For a host's incident the agent that sees it.
    pub agent_id: Option<String>,
    /// Which kind of root cause.
    #[schema(value_type = words::IncidentKind)]
    pub kind: String,
    /// How bad.
    #[schema(value_type = words::Severity)]
    pub severity: String,
    /// Its state.
    #[schema(value_type = words::IncidentState)]
    pub state: String,
    /// The cause's object.
    pub object: ObjectRef,
    /// The workload that owns it, if any: attempts are counted on it.
    pub owner: Option<ObjectRef>,
    /// One line for tables.
    pub title: String,
    /// Why it is in that state: every refusal too.
    pub reason: String,
    /// Jobs that took effect for this incident.
    pub attempts: u32,
    /// Not before this moment is another attempt made.
    pub next_attempt_at: Option<Timestamp>,
    /// For a silence, when it ends.
    pub silenced_until: Option<Timestamp>,
    /// The plan in force.
    pub plan_id: Option<String>,
    /// The approval in force.
    pub approval_id: Option<String>,
    /// The job in force or the last one.
    pub job_id: Option<String>,
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What happened, one sentence.
    pub text: String,
}

/// An incident with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentDetail {
    /// The incident as lists show it.
    #[serde(flatten)]
    pub incident: Incident,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Objects that suffer from the same cause.
    pub symptoms: Vec<ObjectRef>,
    /// Its history, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The plan in force.
    pub plan: Option<Plan>,
    /// The approval in force.
    pub approval: Option<Approval>,
    /// The job in force or the last one.
    pub job: Option<Job>,
}
