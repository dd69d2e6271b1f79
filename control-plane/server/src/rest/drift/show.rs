//! `GET /api/v1/drift/{id}`: shows one drifted file.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::Drift;
use nimbus_control_core::model::Plan;

use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view;

/// One drifted file: before, after, the diff, and the plan that would put it back
#[utoipa::path(
    get, path = "/api/v1/drift/{id}", operation_id = "drift", tag = "drift",
    params(("id" = String, Path, description = "`inc_…`")),
    responses((status = 200, description = "The file", body = Drift))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let incident = super::find(&app, &id).await?.doc;
    let plan = match &incident.plan_id {
        Some(id) => app.store().get::<Plan>(id).await?,
        None => None,
    };
    let docs = app.docs().await?;
    let mut drift = super::shown(&app, &docs, &incident, plan.as_ref().map(|plan| &plan.doc));
    drift.history = view::history(&incident);
    condition.answer(&drift)
}
