//! `GET /api/v1/autonomous/history`: lists the remedies that were attempted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{HistoryItem, HistoryQuery, List};
use nimbus_control_core::model::Job;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::{lists, view};

/// The remedies that were tried, automatic and approved, newest first
#[utoipa::path(
    get, path = "/api/v1/autonomous/history", operation_id = "autonomous_history",
    tag = "autonomous", params(HistoryQuery),
    responses((status = 200, description = "A page of remedies", body = List<HistoryItem>))
)]
pub async fn history(
    State(app): State<Arc<App>>,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<List<HistoryItem>>, ApiError> {
    let mut filter = lists::newest(query.limit, query.after);
    filter.cluster = lists::cluster_name(&app, query.cluster).await?;
    let page = app.store().list::<Job>(&filter).await?;
    let items = page.items.iter().map(|job| view::tried(&job.doc)).collect();
    Ok(Json(List { items, next: page.next }))
}
