//! `POST /api/v1/incidents/{id}/ack`: acknowledges an incident, which tells other operators that somebody works on it.

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

/// Say that somebody looks at an incident
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/ack", operation_id = "acknowledge_incident",
    tag = "incidents", request_body = AcknowledgeRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    responses((status = 200, description = "The incident", body = IncidentDetail))
)]
pub async fn acknowledge(
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

async fn attempt(app: &App, caller: &Principal, id: &str, reason: &str) -> Result<(), ApiError> {
    let incident = super::find(app, id).await?;
    let changes = remediation::acknowledge(&incident, caller.name(), reason, app.now())?;
    app.commit(&changes).await?;
    Ok(())
}
