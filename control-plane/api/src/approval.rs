//! The API's approvals: an operator's decision on one exact plan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// A request for a person's decision, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// `apr_…`
    pub id: String,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From then on it is expired.
    pub expires_at: Timestamp,
    /// Name of the cluster or host.
    pub cluster: String,
    /// Which remedy is asked for.
    #[schema(value_type = words::Action)]
    pub kind: String,
    /// How bad the incident behind it is.
    #[schema(value_type = words::Severity)]
    pub severity: String,
    /// Its state.
    #[schema(value_type = words::ApprovalState)]
    pub state: String,
    /// The object that would be acted on.
    pub object: ObjectRef,
    /// Why, in the words of whoever decided; for an expired one why it expired.
    pub reason: String,
    /// One line: what would change.
    pub summary: String,
    /// The incident behind it.
    pub incident_id: String,
    /// The plan it is about.
    pub plan_id: String,
    /// That plan's digest (hex): send it back with the decision.
    pub plan_digest: String,
    /// Who wants the plan; may not approve it.
    pub requested_by: String,
    /// Who answered.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The one job it was used for.
    pub used_by: Option<String>,
}
