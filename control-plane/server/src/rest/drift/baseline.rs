//! `POST /api/v1/drift/{id}/baseline`: takes a file's present state as the truth.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{BaselineRequest, OPERATOR, Started};
use nimbus_control_core::heal;
use nimbus_control_core::model::ChangeSet;
use nimbus_protocol::ids::IncidentId;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment};
use crate::rest::retry::until_alone;
use crate::rest::view;

/// Take a drifted file's present state as the truth; the order itself is the decision
#[utoipa::path(
    post, path = "/api/v1/drift/{id}/baseline", operation_id = "accept_baseline",
    tag = "drift", request_body = BaselineRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    description = "With `dry_run` it writes nothing.",
    responses((status = 200, description = "What was set in motion, or would be", body = Started))
)]
pub async fn baseline(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<BaselineRequest>,
) -> Result<Json<Started>, ApiError> {
    Ok(Json(until_alone(|| attempt(&app, &id, request.dry_run)).await?))
}

async fn attempt(app: &App, id: &str, dry_run: bool) -> Result<Started, ApiError> {
    let incident = super::find(app, id).await?;
    let changes = decided(app, &incident.doc.id).await?;
    if !dry_run {
        app.commit(&changes).await?;
    }
    let after = changes.incidents.iter().find(|changed| changed.doc.id == incident.doc.id);
    Ok(Started {
        dry_run,
        incident: view::incident(&after.unwrap_or(&incident).doc),
        plan: changes.plans.first().map(|plan| view::plan(&plan.doc)),
        approval_id: None,
    })
}

async fn decided(app: &App, incident: &IncidentId) -> Result<ChangeSet, ApiError> {
    let docs = app.docs().await?;
    let world = app.world();
    let snapshot = docs.snapshot(app, &world);
    Ok(heal::accept_baseline(&snapshot, incident, OPERATOR, app.now(), &mut app.ids())?)
}
