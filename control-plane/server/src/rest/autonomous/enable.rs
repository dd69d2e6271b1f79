//! `POST /api/v1/autonomous/{cluster}/enable`: allows Nimbus to act in a cluster.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AutonomousStatus, EnableRequest};
use nimbus_control_core::model::{ActionKind, Mode};
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, word};
use crate::rest::retry::until_alone;

/// Let Nimbus act in a cluster
#[utoipa::path(
    post, path = "/api/v1/autonomous/{cluster}/enable", operation_id = "enable",
    tag = "autonomous", request_body = EnableRequest,
    params(("cluster" = String, Path, description = "UID or name")),
    description = "A cluster that is enabled for the first time asks a person for each remedy (`recommend`), until `mode` says `act`. What the agent's own policy forbids stays forbidden: see `forbidden` in the answer.",
    responses((status = 200, description = "How far Nimbus may go there now", body = AutonomousStatus))
)]
pub async fn enable(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(cluster): Segment,
    _: Params<Nothing>,
    Body(request): Body<EnableRequest>,
) -> Result<Json<AutonomousStatus>, ApiError> {
    let rules = super::named(request.rules.as_deref())?;
    let mode = request.mode.as_deref().map(|text| word::<Mode>("mode", text)).transpose()?;
    Ok(Json(until_alone(|| attempt(&app, &caller, &cluster, (&rules, mode), request.dry_run)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    cluster: &str,
    (rules, mode): (&[ActionKind], Option<Mode>),
    dry_run: bool,
) -> Result<AutonomousStatus, ApiError> {
    let found = super::find(app, cluster).await?;
    let changes = remediation::enable(&found, rules, mode, caller.name(), app.now())?;
    super::commit_or_preview(app, &found, changes, dry_run).await
}
