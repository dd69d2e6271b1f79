//! `GET /api/v1/plans/{id}`: shows one plan.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_control_core::model;

use super::conditional::Conditional;
use super::error::ApiError;
use super::extract::{Nothing, Params, Segment};
use super::view;
use crate::app::App;

/// One plan with what was considered
#[utoipa::path(
    get, path = "/api/v1/plans/{id}", operation_id = "plan", tag = "plans",
    params(("id" = String, Path, description = "`pln_…`")),
    responses((status = 200, description = "The plan", body = nimbus_api::Plan))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("plan", &id, "incidents and approvals name their plans");
    let plan = app.store().get::<model::Plan>(&id).await?.ok_or_else(missing)?;
    condition.answer(&view::plan(&plan.doc))
}
