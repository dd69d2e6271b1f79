//! `POST /api/v1/incidents/{id}/silence`: silences an incident for a while, during which nothing is planned or
//! dispatched for it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;
use nimbus_api::{IncidentDetail, SilenceRequest};
use nimbus_control_core::model::Approval;
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::retry::until_alone;

/// Shortest and longest silence, seconds.
const SECONDS: std::ops::RangeInclusive<u64> = 60..=2_592_000;

/// Leave an incident alone for a while; its pending approval, if any, is void
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/silence", operation_id = "silence_incident",
    tag = "incidents", request_body = SilenceRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    responses((status = 200, description = "The incident, silenced", body = IncidentDetail))
)]
pub async fn silence(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<SilenceRequest>,
) -> Result<Json<IncidentDetail>, ApiError> {
    let reason = reason(&request.reason)?;
    if !SECONDS.contains(&request.for_seconds) {
        let expected = format!("{} to {} seconds", SECONDS.start(), SECONDS.end());
        return Err(ApiError::invalid("for_seconds", expected, request.for_seconds.to_string()));
    }
    until_alone(|| attempt(&app, &caller, &id, request.for_seconds, &reason)).await?;
    let incident = super::find(&app, &id).await?;
    Ok(Json(super::show::detail(&app, &incident.doc).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    id: &str,
    seconds: u64,
    reason: &str,
) -> Result<(), ApiError> {
    let incident = super::find(app, id).await?;
    let approval = match &incident.doc.approval_id {
        Some(id) => app.store().get::<Approval>(id).await?,
        None => None,
    };
    let now = app.now();
    // At most thirty days from now: representable until the year 9999.
    let until = now + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default());
    let changes = remediation::silence(&incident, approval.as_ref(), until, caller.name(), reason, now)?;
    app.commit(&changes).await?;
    Ok(())
}
