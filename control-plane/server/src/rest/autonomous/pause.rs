//! `POST /api/v1/autonomous/pause`: the kill switch, of a cluster or the whole fleet.

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

/// Begin nothing new in a cluster or the whole fleet, whoever orders it
#[utoipa::path(
    post, path = "/api/v1/autonomous/pause", operation_id = "pause",
    tag = "autonomous", request_body = PauseRequest,
    description = "It holds once this answers: no job is sent any more, and every connected agent is told, which keeps \
                   it also while it has no control plane. What was begun is finished and, where it did not help, undone; Nimbus \
                   goes on watching, planning and asking. With `for_seconds` it ends by itself. Of several people's \
                   pauses of the same the longest shows and the others are beneath it; a second one of the same person that lasts no \
                   longer changes nothing. With `dry_run` it writes nothing.",
    responses((status = 200, description = "Every pause that holds now, or would", body = List<Pause>))
)]
pub async fn pause(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    _: Params<Nothing>,
    Body(request): Body<PauseRequest>,
) -> Result<Json<List<Pause>>, ApiError> {
    Ok(Json(until_alone(|| attempt(&app, &caller, &request, remediation::pause)).await?))
}
