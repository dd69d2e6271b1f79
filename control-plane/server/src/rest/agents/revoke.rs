//! `POST /api/v1/agents/{agent}/revoke`: revokes an agent for good and ends its session at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AgentDetail, RevokeRequest};
use nimbus_control_core::gateway::CloseReason;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, Versioned};

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::retry::{AMONG_AGENTS, until_alone_within};

/// Refuse an agent for good; revoking it again changes nothing
#[utoipa::path(
    post, path = "/api/v1/agents/{agent}/revoke", operation_id = "revoke_agent",
    tag = "agents", request_body = RevokeRequest,
    params(("agent" = String, Path, description = "Id or name")),
    responses((status = 200, description = "The agent, revoked", body = AgentDetail))
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(agent): Segment,
    _: Params<Nothing>,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<AgentDetail>, ApiError> {
    let reason = reason(&request.reason)?;
    let revoked = until_alone_within(AMONG_AGENTS, || attempt(&app, &caller, &agent, &reason)).await?;
    app.sessions.close(revoked.id, CloseReason::Revoked);
    Ok(Json(super::show::detail(&app, &revoked).await?))
}

async fn attempt(app: &App, caller: &Principal, agent: &str, reason: &str) -> Result<Agent, ApiError> {
    let Versioned { version, mut doc } = super::find(app, agent).await?;
    if doc.revoked_at.is_some() {
        return Ok(doc);
    }
    let now = app.now();
    doc.revoked_at = Some(now);
    doc.leading = false;
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let audit = AuditDraft {
        at: now,
        actor: caller.name().to_owned(),
        action: "agent.revoked".to_owned(),
        subject: doc.id.to_string(),
        cluster: doc.name.clone(),
        detail: format!("agent {} is refused from now on{because}", doc.name),
    };
    let agents = vec![Versioned { version, doc: doc.clone() }];
    app.commit(&ChangeSet { agents, audit: vec![audit], ..ChangeSet::default() }).await?;
    Ok(doc)
}
