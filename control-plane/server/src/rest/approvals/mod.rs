//! The endpoints of approvals, an operator's decision on one exact plan.

pub mod approve;
pub mod decide;
pub mod deny;
pub mod list;
pub mod review;
pub mod show;

use nimbus_control_core::model::{Approval, Incident, Plan, Versioned};

use super::error::ApiError;
use crate::app::App;

/// An approval and what it is about.
pub struct ApprovalCase {
    /// The approval.
    pub approval: Versioned<Approval>,
    /// Its incident.
    pub incident: Versioned<Incident>,
    /// Its plan.
    pub plan: Plan,
}

/// An approval by its id, with its plan and incident.
pub async fn find(app: &App, id: &str) -> Result<ApprovalCase, ApiError> {
    let missing = || ApiError::not_found("approval", id, "`nimbus approvals list` shows those there are");
    let approval: Versioned<Approval> = app.store().get(id).await?.ok_or_else(missing)?;
    let (plan_id, incident_id) = (approval.doc.plan_id, approval.doc.incident_id);
    let plan: Option<Versioned<Plan>> = app.store().get(plan_id).await?;
    let incident: Option<Versioned<Incident>> = app.store().get(incident_id).await?;
    // Retention removes the three together; one of them alone is only seen while it does.
    match (plan, incident) {
        (Some(plan), Some(incident)) => Ok(ApprovalCase { approval, incident, plan: plan.doc }),
        _ => Err(missing()),
    }
}
