//! `GET /api/v1/clusters`: lists the clusters.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Cluster, List, PageQuery};
use nimbus_control_core::model;
use nimbus_store::Filter;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::lists;
use crate::rest::view::{self, Fleet};

/// Clusters, in the order in which they were first seen
#[utoipa::path(
    get, path = "/api/v1/clusters", operation_id = "clusters", tag = "clusters", params(PageQuery),
    responses((status = 200, description = "A page of clusters", body = List<Cluster>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<PageQuery>,
) -> Result<Json<List<Cluster>>, ApiError> {
    let filter = Filter { newest_first: false, ..lists::newest(query.limit, query.after) };
    let page = app.store().list::<model::Cluster>(&filter).await?;
    let fleet = Fleet::read(&app).await?;
    let items = page.items.iter().map(|cluster| view::cluster(&cluster.doc, &fleet)).collect();
    Ok(Json(List { items, next: page.next }))
}
