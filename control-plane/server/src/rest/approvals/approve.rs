//! `POST /api/v1/approvals/{id}/approve`: approves exactly the plan that the operator was shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{ApprovalDetail, ApproveRequest};
use nimbus_control_core::approval::Decision;

use super::decide::{OperatorAnswer, decide};
use crate::app::App;
use crate::rest::caller::Caller;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};

/// Approve exactly the plan that was shown
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}/approve", operation_id = "approve",
    tag = "approvals", request_body = ApproveRequest,
    params(("id" = String, Path, description = "`apr_…`")),
    description = "Answers 409 `plan_changed` when the plan is no longer the one whose digest is sent. The same \
                   answer again changes nothing. Where several people have to approve (`needs`), one word leaves the approval pending \
                   until the others are given, and 403 `not_asked` refuses whose word is not needed.",
    responses((status = 200, description = "The approval, approved", body = ApprovalDetail))
)]
pub async fn approve(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<ApproveRequest>,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let reason = reason(&request.reason)?;
    let digest = Some(request.plan_digest.as_str());
    let breaks_glass = request.break_glass;
    let answer =
        OperatorAnswer { by: &caller, decision: Decision::Approve, reason: &reason, digest, breaks_glass };
    let case = decide(&app, &id, answer).await?;
    Ok(Json(super::show::detail(&case)))
}
