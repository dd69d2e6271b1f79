//! One approval together with the plan that it is about and the incident that the plan is for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Approval, Incident, Plan};

/// An approval with the plan and the incident it is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalDetail {
    /// The approval as lists show it.
    #[serde(flatten)]
    pub approval: Approval,
    /// What would be done.
    pub plan: Plan,
    /// What is wrong.
    pub incident: Incident,
}
