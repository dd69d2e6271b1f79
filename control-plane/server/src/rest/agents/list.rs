//! `GET /api/v1/agents`: lists the agents.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Agent, AgentQuery, List};
use nimbus_control_core::model;
use nimbus_store::Filter;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::lists;
use crate::rest::view::{self, Fleet};

/// Agents, in the order in which they enrolled
#[utoipa::path(
    get, path = "/api/v1/agents", operation_id = "agents", tag = "agents", params(AgentQuery),
    responses((status = 200, description = "A page of agents", body = List<Agent>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<AgentQuery>,
) -> Result<Json<List<Agent>>, ApiError> {
    let mut filter = Filter { newest_first: false, ..lists::newest(query.limit, query.after) };
    if query.gone == Some(false) {
        filter.states = ["active", "revoked"].map(str::to_owned).into();
    }
    let page = app.store().list::<model::Agent>(&filter).await?;
    let fleet = Fleet::read(&app).await?;
    let items = page.items.iter().map(|agent| view::agent(&agent.doc, &fleet)).collect();
    Ok(Json(List { items, next: page.next }))
}
