//! `GET /api/v1/jobs/{id}`: shows a job with its signed envelope, so that anyone can verify it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::JobDetail;
use nimbus_control_core::model::Job;

use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view;

/// One job with its signed envelope
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", operation_id = "job", tag = "jobs",
    params(("id" = String, Path, description = "`job_…`")),
    responses((status = 200, description = "The job", body = JobDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("job", &id, "`nimbus jobs list` shows those there are");
    let job = app.store().get::<Job>(&id).await?.ok_or_else(missing)?.doc;
    condition.answer(&JobDetail { job: view::job(&job), envelope: job.envelope })
}
