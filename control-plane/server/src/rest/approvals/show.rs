//! `GET /api/v1/approvals/{id}`: shows one approval with its plan and the reasons for it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::ApprovalDetail;

use super::ApprovalCase;
use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view;

/// One approval with its plan and incident
#[utoipa::path(
    get, path = "/api/v1/approvals/{id}", operation_id = "approval", tag = "approvals",
    params(("id" = String, Path, description = "`apr_…`")),
    responses((status = 200, description = "The approval", body = ApprovalDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    condition.answer(&detail(&super::find(&app, &id).await?))
}

/// An approval with its plan and incident.
pub fn detail(case: &ApprovalCase) -> ApprovalDetail {
    ApprovalDetail {
        approval: view::approval(&case.approval.doc, &case.plan, &case.incident.doc),
        plan: view::plan(&case.plan),
        incident: view::incident(&case.incident.doc),
    }
}
