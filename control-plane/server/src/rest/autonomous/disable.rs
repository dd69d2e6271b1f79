//! `POST /api/v1/autonomous/{cluster}/disable`: lets Nimbus do less in a cluster, or only observe it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AutonomousStatus, DisableRequest, OPERATOR};
use nimbus_control_core::heal;
use nimbus_control_core::model::ActionKind;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment};
use crate::rest::retry::until_alone;

/// Let Nimbus do less in a cluster, or only observe it
#[utoipa::path(
    post, path = "/api/v1/autonomous/{cluster}/disable", operation_id = "disable",
    tag = "autonomous", request_body = DisableRequest,
    params(("cluster" = String, Path, description = "UID or name")),
    description = "Jobs that are out already are not called back.",
    responses((status = 200, description = "How far Nimbus may go there now", body = AutonomousStatus))
)]
pub async fn disable(
    State(app): State<Arc<App>>,
    Segment(cluster): Segment,
    _: Params<Nothing>,
    Body(request): Body<DisableRequest>,
) -> Result<Json<AutonomousStatus>, ApiError> {
    let rules = super::named(request.rules.as_deref())?;
    Ok(Json(until_alone(|| attempt(&app, &cluster, &rules, request.dry_run)).await?))
}

async fn attempt(
    app: &App,
    cluster: &str,
    rules: &[ActionKind],
    dry_run: bool,
) -> Result<AutonomousStatus, ApiError> {
    let found = super::find(app, cluster).await?;
    let changes = heal::disable(&found, rules, OPERATOR, app.now())?;
    super::settle(app, &found, changes, dry_run).await
}
