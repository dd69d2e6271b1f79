//! `POST /api/v1/approvals/{id}/deny`: denies a plan, so that nothing is changed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{ApprovalDetail, DenyRequest};
use nimbus_control_core::approval::Decision;

use super::decide::{OperatorAnswer, decide};
use crate::app::App;
use crate::rest::caller::Caller;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};

/// Deny a plan; nothing is changed, and the same plan is not asked again
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}/deny", operation_id = "deny",
    tag = "approvals", request_body = DenyRequest,
    params(("id" = String, Path, description = "`apr_…`")),
    responses((status = 200, description = "The approval, denied", body = ApprovalDetail))
)]
pub async fn deny(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<DenyRequest>,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let reason = reason(&request.reason)?;
    let (decision, breaks_glass) = (Decision::Deny, false);
    let answer = OperatorAnswer { by: &caller, decision, reason: &reason, digest: None, breaks_glass };
    let case = decide(&app, &id, answer).await?;
    Ok(Json(super::show::detail(&case)))
}
