//! The model of approvals: an operator's decision on one exact plan.

use jiff::Timestamp;
use nimbus_protocol::ids::{ApprovalId, IncidentId, JobId, PlanId};
use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// Where an approval stands.
    ApprovalState {
        /// Waits for a person.
        Pending = "pending",
        /// Given, for one job.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
        /// Nobody answered in time, or the plan is no longer the one.
        Expired = "expired",
    }
}

/// A request for an operator's decision, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// The plan it is about.
    pub plan_id: PlanId,
    /// The incident behind it.
    pub incident_id: IncidentId,
    /// The plan's digest: a plan with another digest needs another approval.
    pub plan_digest: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Name of the cluster or host, to show.
    pub cluster: String,
    /// Who wants the plan; may not approve it.
    pub requested_by: String,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From then on it counts as not given.
    pub expires_at: Timestamp,
    /// Who answered.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The reason that the operator gave.
    pub reason: String,
    /// The one job it was used for.
    pub used_by: Option<JobId>,
}
