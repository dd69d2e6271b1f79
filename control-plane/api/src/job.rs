//! The API's jobs: the signed orders that agents receive, and how each ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// One signed job of one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// `job_…`
    pub id: String,
    /// When it was signed.
    pub created_at: Timestamp,
    /// Name of the cluster or host.
    pub cluster: String,
    /// UID of the cluster; `null` for a host.
    pub cluster_uid: Option<String>,
    /// Which remedy.
    #[schema(value_type = words::Action)]
    pub kind: String,
    /// Its state.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// Why: for a refusal the agent's code and sentence.
    pub reason: String,
    /// What the agent saw.
    pub evidence: Vec<String>,
    /// Who does it.
    pub agent_id: String,
    /// The incident it is for.
    pub incident_id: String,
    /// The plan it carries out.
    pub plan_id: String,
    /// That plan's digest (hex).
    pub plan_digest: String,
    /// The approval it uses; `null` for an automatic one.
    pub approval_id: Option<String>,
    /// From then on the agent does not take it.
    pub expires_at: Timestamp,
    /// When it was sent first.
    pub dispatched_at: Option<Timestamp>,
    /// When the change was made, as the agent says.
    pub applied_at: Option<Timestamp>,
    /// When it came to its final state.
    pub finished_at: Option<Timestamp>,
    /// How long the result must hold, milliseconds.
    pub verify_ms: u32,
    /// Longest time to get there, milliseconds.
    pub verify_timeout_ms: u32,
    /// UID of the object that replaced the target, if any.
    pub replacement_uid: Option<String>,
}

/// A job with its signed envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// The job as lists show it.
    #[serde(flatten)]
    pub job: Job,
    /// The signed envelope (DSSE), base64 of its protobuf bytes.
    pub envelope: String,
}
