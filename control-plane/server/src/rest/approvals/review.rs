//! `POST /api/v1/approvals/{id}/review`: looks back at an approval that somebody gave alone, and closes that.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{ApprovalDetail, ReviewRequest};
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::retry::until_alone;

/// Close the review of an approval that somebody gave alone
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}/review", operation_id = "review",
    tag = "approvals", request_body = ReviewRequest,
    params(("id" = String, Path, description = "`apr_…`")),
    description = "By another person than who broke the glass, once.",
    responses((status = 200, description = "The approval, reviewed", body = ApprovalDetail))
)]
pub async fn review(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<ReviewRequest>,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let note = reason(&request.note)?;
    if note.is_empty() {
        return Err(ApiError::invalid("note", "at least one word", "none"));
    }
    until_alone(|| attempt(&app, &id, &caller, &note)).await?;
    Ok(Json(super::show::detail(&super::find(&app, &id).await?)))
}

async fn attempt(app: &App, id: &str, caller: &Principal, note: &str) -> Result<(), ApiError> {
    let case = super::find(app, id).await?;
    let changes = remediation::review(&case.approval, caller.name(), note, app.now())?;
    app.commit(&changes).await?;
    app.reviews.changed();
    Ok(())
}
