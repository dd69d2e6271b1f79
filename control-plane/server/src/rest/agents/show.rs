//! `GET /api/v1/agents/{agent}`: shows one agent with its host's health.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::AgentDetail;
use nimbus_control_core::model;

use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view::{self, Fleet};

/// One agent with the health of its host, by id or name
#[utoipa::path(
    get, path = "/api/v1/agents/{agent}", operation_id = "agent", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The agent", body = AgentDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(agent): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let found = super::find(&app, &agent).await?;
    condition.answer(&detail(&app, &found.doc).await?)
}

/// An agent with what it last told of its host. A sample of an agent that is not connected is still shown: it says
/// when it was taken.
pub(super) async fn detail(app: &App, agent: &model::Agent) -> Result<AgentDetail, ApiError> {
    let fleet = Fleet::read(app).await?;
    let world = app.view.read();
    Ok(view::agent_detail(agent, world.hosts.get(&agent.id), &fleet))
}
