//! `GET /api/v1/clusters/{cluster}/nodes/{node}`: shows one node.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::NodeDetail;
use nimbus_control_core::model::{Cluster, Versioned};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segments};
use crate::rest::view::{self, Fleet};
use crate::rest::{clusters, lists};

/// One node with its pods, its agents and its incidents
#[utoipa::path(
    get, path = "/api/v1/clusters/{cluster}/nodes/{node}", operation_id = "node", tag = "clusters",
    params(
        ("cluster" = String, Path, description = "UID or name"),
        ("node" = String, Path, description = "The node's name")
    ),
    responses((status = 200, description = "The node", body = NodeDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segments([cluster, node]): Segments<2>,
    _: Params<Nothing>,
) -> Result<Json<NodeDetail>, ApiError> {
    let found: Versioned<Cluster> =
        lists::by_id_or_name(&app, &cluster, None, "cluster", clusters::REMEDY).await?;
    let fleet = Fleet::read(&app).await?;
    let now = app.now();
    let world = app.view.read();
    let detail = world
        .clusters
        .get(&found.doc.uid)
        .and_then(|inventory| view::node_detail(&found.doc, inventory, &node, &fleet, now));
    let remedy = format!("`nimbus nodes list --cluster {}` shows those that are known", found.doc.name);
    detail.map(Json).ok_or_else(|| ApiError::not_found("node", &node, &remedy))
}
