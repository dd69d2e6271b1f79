//! `POST /api/v1/autonomous/resume`: ends a pause of a cluster or of the whole fleet.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{List, Pause, PauseRequest};
use nimbus_control_core::remediation;

use super::pauses::attempt;
use crate::app::App;
use crate::rest::caller::Caller;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params};
use crate::rest::retry::until_alone;

/// Let a cluster or the whole fleet go on
#[utoipa::path(
    post, path = "/api/v1/autonomous/resume", operation_id = "resume",
    tag = "autonomous", request_body = PauseRequest,
    description = "The fleet's pause and each cluster's are separate: the answer lists those that still hold. An agent that somebody \
                   paused on its own side stays paused until it is resumed there. With `dry_run` it writes nothing.",
    responses((status = 200, description = "Every pause that still holds, or would", body = List<Pause>))
)]
pub async fn resume(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    _: Params<Nothing>,
    Body(request): Body<PauseRequest>,
) -> Result<Json<List<Pause>>, ApiError> {
    if let Some(seconds) = request.for_seconds {
        return Err(ApiError::invalid("for_seconds", "null: what is resumed stays so", seconds.to_string()));
    }
    Ok(Json(until_alone(|| attempt(&app, &caller, &request, remediation::resume)).await?))
}
