//! `GET /api/v1/nodes`: lists the nodes of all clusters, or of one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DEFAULT_LIMIT, List, MAX_LIMIT, Node, NodeQuery, words};
use nimbus_control_core::model::{Cluster, Versioned};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::view::{self, Fleet};
use crate::rest::{clusters, lists};

/// Nodes, by cluster and name
#[utoipa::path(
    get, path = "/api/v1/nodes", operation_id = "nodes", tag = "clusters", params(NodeQuery),
    responses((status = 200, description = "A page of nodes", body = List<Node>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<NodeQuery>,
) -> Result<Json<List<Node>>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("1 to {MAX_LIMIT}"), limit.to_string()));
    }
    if let Some(state) = query.state.as_deref().filter(|state| !words::NodeState::WORDS.contains(state)) {
        let expected = format!("one of {}", words::NodeState::WORDS.join(", "));
        return Err(ApiError::invalid("state", expected, state));
    }
    let after = query.after.as_deref().map(place).transpose()?;
    let fleet = Fleet::read(&app).await?;
    let mut known: Vec<&Cluster> = fleet.docs.clusters.iter().map(|cluster| &cluster.doc).collect();
    if let Some(text) = &query.cluster {
        let only: Versioned<Cluster> =
            lists::by_id_or_name(&app, text, None, "cluster", clusters::REMEDY).await?;
        known.retain(|cluster| cluster.uid == only.doc.uid);
    }
    known.sort_by(|a, b| (&a.name, &a.uid).cmp(&(&b.name, &b.uid)));
    let now = app.now();
    let world = app.view.read();
    let mut items = Vec::new();
    for cluster in known {
        let Some(inventory) = world.clusters.get(&cluster.uid) else { continue };
        if after.is_some_and(|(name, uid, _)| (cluster.name.as_str(), cluster.uid.as_str()) < (name, uid)) {
            continue;
        }
        let is_later = |node: &str| {
            let place = (cluster.name.as_str(), cluster.uid.as_str(), node);
            after.is_none_or(|after| place > after)
        };
        let nodes = view::nodes_of(cluster, inventory, &fleet, now);
        items.extend(
            nodes
                .into_iter()
                .filter(|node| is_later(&node.name))
                .filter(|node| query.state.as_ref().is_none_or(|state| node.state == *state)),
        );
        // One more than the page holds says that there is more.
        if items.len() > limit as usize {
            break;
        }
    }
    drop(world);
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(cursor);
    Ok(Json(List { items, next }))
}

/// Where a page ends. A cluster's name may have slashes; its UID and a node's name have none.
fn cursor(node: &Node) -> String {
    format!("{}/{}/{}", node.cluster, node.cluster_uid, node.name)
}

/// The cluster's name, its UID and the node's name of a cursor.
fn place(cursor: &str) -> Result<(&str, &str, &str), ApiError> {
    let mut parts = cursor.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(node), Some(uid), Some(cluster)) => Ok((cluster, uid, node)),
        _ => Err(ApiError::invalid("after", "the `next` of a page of nodes", cursor)),
    }
}
