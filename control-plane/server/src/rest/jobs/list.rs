//! `GET /api/v1/jobs`: lists the jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Job, JobQuery, List};
use nimbus_control_core::model::{self, JobState};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, word};
use crate::rest::{lists, view};

/// Jobs, newest first
#[utoipa::path(
    get, path = "/api/v1/jobs", operation_id = "jobs", tag = "jobs", params(JobQuery),
    responses((status = 200, description = "A page of jobs", body = List<Job>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<JobQuery>,
) -> Result<Json<List<Job>>, ApiError> {
    let mut filter = lists::newest(query.limit, query.after);
    if let Some(text) = &query.state {
        filter.states = vec![word::<JobState>("state", text)?.to_string()];
    }
    filter.cluster = lists::cluster_name(&app, query.cluster).await?;
    let page = app.store().list::<model::Job>(&filter).await?;
    let items = page.items.iter().map(|job| view::job(&job.doc)).collect();
    Ok(Json(List { items, next: page.next }))
}
