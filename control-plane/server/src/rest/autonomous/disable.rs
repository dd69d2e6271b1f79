//! `POST /api/v1/autonomous/{cluster}/disable`: restricts what Nimbus may do in a cluster, down to observing only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AutonomousStatus, DisableRequest};
use nimbus_control_core::model::ActionKind;
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment};
use crate::rest::retry::until_alone;

/// Let Nimbus do less in a cluster, or only observe it
#[utoipa::path(
    post, path = "/api/v1/autonomous/{cluster}/disable", operation_id = "disable",
    tag = "autonomous", request_body = DisableRequest,
    params(("cluster" = String, Path, description = "UID or name")),
    description = "Jobs in flight are not cancelled. With `off` the incidents of the cluster are closed, as not known to be put right.",
    responses((status = 200, description = "How far Nimbus may go there now", body = AutonomousStatus))
)]
pub async fn disable(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(cluster): Segment,
    _: Params<Nothing>,
    Body(request): Body<DisableRequest>,
) -> Result<Json<AutonomousStatus>, ApiError> {
    let rules = super::named(request.rules.as_deref())?;
    if request.off && !rules.is_empty() {
        return Err(ApiError::invalid("off", "false where `rules` names some", "true"));
    }
    Ok(Json(until_alone(|| attempt(&app, &caller, &cluster, &rules, &request)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    cluster: &str,
    rules: &[ActionKind],
    request: &DisableRequest,
) -> Result<AutonomousStatus, ApiError> {
    let found = super::find(app, cluster).await?;
    let changes = remediation::disable(&found, rules, request.off, caller.name(), app.now())?;
    super::commit_or_preview(app, &found, changes, request.dry_run).await
}
