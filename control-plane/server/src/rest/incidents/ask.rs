//! `POST /api/v1/incidents/{id}/ask`: requests approval again after a plan was denied.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AcknowledgeRequest, IncidentDetail};
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::retry::until_alone;

/// Ask again for a plan that was denied
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/ask", operation_id = "ask_again",
    tag = "incidents", request_body = AcknowledgeRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    description = "A new approval follows as soon as it is planned again. Answers 409 `not_denied` where nothing \
                   was denied.",
    responses((status = 200, description = "The incident, open again", body = IncidentDetail))
)]
pub async fn ask(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<AcknowledgeRequest>,
) -> Result<Json<IncidentDetail>, ApiError> {
    let reason = reason(&request.reason)?;
    until_alone(|| attempt(&app, &caller, &id, &reason)).await?;
    let incident = super::find(&app, &id).await?;
    Ok(Json(super::show::detail(&app, &incident.doc).await?))
}

/// Both in one commit: that it is asked again and, where a reason was given, why.
async fn attempt(app: &App, caller: &Principal, id: &str, reason: &str) -> Result<(), ApiError> {
    let incident = super::find(app, id).await?;
    let mut changes = remediation::ask_again(&incident, caller.name(), app.now())?;
    if !reason.is_empty() {
        for row in &mut changes.audit {
            row.detail = format!("{}: {reason}", row.detail);
        }
    }
    app.commit(&changes).await?;
    Ok(())
}
