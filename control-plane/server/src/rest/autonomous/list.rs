//! `GET /api/v1/autonomous`: lists what Nimbus may do in each cluster.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AutonomousStatus, List, PageQuery};
use nimbus_control_core::model;
use nimbus_store::Filter;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::lists;
use crate::rest::view::{self, Fleet};

/// How far Nimbus may go, cluster by cluster
#[utoipa::path(
    get, path = "/api/v1/autonomous", operation_id = "autonomous", tag = "autonomous", params(PageQuery),
    responses((status = 200, description = "A page of clusters", body = List<AutonomousStatus>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<PageQuery>,
) -> Result<Json<List<AutonomousStatus>>, ApiError> {
    let filter = Filter { newest_first: false, ..lists::newest(query.limit, query.after) };
    let page = app.store().list::<model::Cluster>(&filter).await?;
    let fleet = Fleet::read(&app).await?;
    let items = page.items.iter().map(|cluster| view::autonomous(&cluster.doc, &fleet)).collect();
    Ok(Json(List { items, next: page.next }))
}
