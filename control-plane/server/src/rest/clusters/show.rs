//! `GET /api/v1/clusters/{cluster}`: shows one cluster.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::ClusterDetail;
use nimbus_control_core::model;

use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::lists;
use crate::rest::view::{self, Fleet};

/// One cluster with its agents and its nodes' figures, by UID or name
#[utoipa::path(
    get, path = "/api/v1/clusters/{cluster}", operation_id = "cluster", tag = "clusters",
    params(("cluster" = String, Path, description = "UID or name")),
    responses((status = 200, description = "The cluster", body = ClusterDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(cluster): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let found: model::Versioned<model::Cluster> =
        lists::by_id_or_name(&app, &cluster, None, "cluster", super::REMEDY).await?;
    let fleet = Fleet::read(&app).await?;
    let (cluster, agents) = (view::cluster(&found.doc, &fleet), view::agents_of(&found.doc.uid, &fleet));
    let nodes =
        app.view.read().clusters.get(&found.doc.uid).map(|inventory| view::nodes(inventory, app.now()));
    let nodes = nodes.unwrap_or_default();
    condition.answer(&ClusterDetail {
        cluster,
        agents,
        node_figures: nodes.figures,
        nodes_left_out: nodes.left_out,
        near_memory_limit: nodes.near_limit,
        near_memory_limit_left_out: nodes.near_limit_left_out,
    })
}
