//! `GET /api/v1/approvals`: lists the approvals.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Approval, ApprovalQuery, List};
use nimbus_control_core::model::{self, ApprovalState};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, word};
use crate::rest::{lists, view};

/// Approvals, newest first
#[utoipa::path(
    get, path = "/api/v1/approvals", operation_id = "approvals", tag = "approvals", params(ApprovalQuery),
    responses((status = 200, description = "A page of approvals", body = List<Approval>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<ApprovalQuery>,
) -> Result<Json<List<Approval>>, ApiError> {
    let mut filter = lists::newest(query.limit, query.after);
    if let Some(text) = &query.state {
        filter.states = vec![word::<ApprovalState>("state", text)?.to_string()];
    }
    filter.cluster = lists::cluster_name(&app, query.cluster).await?;
    filter.owes_a_review = match query.review.as_deref() {
        None => false,
        Some("owed") => true,
        Some(other) => return Err(ApiError::invalid("review", "owed", other)),
    };
    let page = app.store().list::<model::Approval>(&filter).await?;
    let approvals: Vec<_> = page.items.into_iter().map(|approval| approval.doc).collect();
    let plan_ids = approvals.iter().map(|approval| approval.plan_id);
    let plans = app.store().many::<model::Plan>(plan_ids).await?;
    let incident_ids = approvals.iter().map(|approval| approval.incident_id);
    let incidents = app.store().many::<model::Incident>(incident_ids).await?;
    let plans: BTreeMap<_, _> = plans.iter().map(|plan| (&plan.doc.id, &plan.doc)).collect();
    let incidents: BTreeMap<_, _> =
        incidents.iter().map(|incident| (&incident.doc.id, &incident.doc)).collect();
    // Retention removes the three together; what misses one is on its way out.
    let item = |approval: &model::Approval| {
        Some(view::approval(approval, plans.get(&approval.plan_id)?, incidents.get(&approval.incident_id)?))
    };
    Ok(Json(List { items: approvals.iter().filter_map(item).collect(), next: page.next }))
}
