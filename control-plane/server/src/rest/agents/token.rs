//! `POST /api/v1/agents/tokens`: creates a join token for one new agent. The secret is in this response and nowhere
//! else.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nimbus_api::{JoinToken, JoinTokenRequest};
use nimbus_control_core::model;

use crate::app::App;
use crate::rest::caller::Caller;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, word};
use crate::tokens::{MAX_USES, NewAgent, TokenError};

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Name(found) => {
                Self::invalid("name", "1 to 63 letters, digits, '-', '_' or '.'", format!("{found:?}"))
            }
            TokenError::Ttl(found) => {
                let found = format!("{} seconds", found.as_secs());
                Self::invalid("ttl_seconds", "1 to 604800 seconds (7 days)", found)
            }
            TokenError::ClusterOfHost(kind) => Self::invalid(
                "cluster",
                "no cluster, or the kind cluster",
                format!("one with the kind {kind}"),
            ),
            TokenError::Uses(found) => Self::invalid("uses", format!("1 to {MAX_USES}"), found.to_string()),
            TokenError::UsesOfHost { uses, kind } => {
                Self::invalid("uses", "1, or the kind cluster", format!("{uses} with the kind {kind}"))
            }
            TokenError::Taken { name, agent } => {
                let detail = format!("an agent called {name} is there already");
                Self::conflict("name_taken", detail)
                    .expected("a name that no other agent has")
                    .found(format!("{name}, which agent {agent} has"))
                    .remedy(TokenError::TAKEN)
            }
            TokenError::Store(error) => error.into(),
        }
    }
}

/// Make a token for one new agent
#[utoipa::path(
    post, path = "/api/v1/agents/tokens", operation_id = "create_token",
    tag = "agents", request_body = JoinTokenRequest,
    responses((status = 201, description = "The token; it is shown this once", body = JoinToken))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    _: Params<Nothing>,
    Body(request): Body<JoinTokenRequest>,
) -> Result<Response, ApiError> {
    let kind = match request.kind.as_str() {
        // As this kind was called before.
        "vpc" => model::AgentKind::Host,
        kind => word("kind", kind)?,
    };
    let ttl = Duration::from_secs(request.ttl_seconds);
    let cluster = match &request.cluster {
        Some(given) => Some(uid_of(&app, given).await?),
        None => None,
    };
    let name = match (request.name.as_str(), kind) {
        ("", model::AgentKind::Cluster) => free_name(&app).await?,
        (name, model::AgentKind::Cluster | model::AgentKind::Host) => name.to_owned(),
    };
    let new_agent = NewAgent { name: &name, kind, cluster: cluster.as_deref(), uses: request.uses };
    let token = app.create_join_token(new_agent, ttl, caller.name()).await?;
    let missing = || ApiError::internal("a token that was just made is gone", &token.id);
    let record = app.store().get::<model::JoinTokenRecord>(token.id).await?.ok_or_else(missing)?.doc;
    let answer = JoinToken {
        id: record.id.to_string(),
        created_at: record.created_at,
        name: record.name,
        kind: record.kind.to_string(),
        cluster: record.cluster,
        expires_at: record.expires_at,
        uses: record.uses,
        token: token.to_string(),
        server: Some(app.agents_address()).filter(|address| !address.is_empty()),
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// A name for a token that none was given for: one that no agent, no cluster and no other token has with which an agent may join.
async fn free_name(app: &App) -> Result<String, ApiError> {
    let docs = app.docs().await?;
    let mut tokens = app.store().all::<model::JoinTokenRecord>().await?;
    tokens.retain(|token| token.doc.state(app.now()) == model::JoinTokenState::Usable);
    let is_free = |name: &String| {
        docs.named(name).is_none()
            && !docs.clusters.iter().any(|cluster| cluster.doc.name == *name)
            && !tokens.iter().any(|token| token.doc.name == *name)
    };
    // One more candidate than there are names: one of them is free.
    let most = docs.agents.len() + docs.clusters.len() + tokens.len() + 2;
    let mut names = std::iter::once("cluster".to_owned()).chain((2..=most).map(|n| format!("cluster-{n}")));
    Ok(names.find(is_free).unwrap_or_else(|| "cluster".to_owned()))
}

/// The UID of a cluster that is known by its name or its UID, or a UID that is not known yet.
async fn uid_of(app: &App, given: &str) -> Result<String, ApiError> {
    let docs = app.docs().await?;
    let known = docs.clusters.iter().map(|cluster| &cluster.doc);
    if let Some(cluster) = known.clone().find(|cluster| cluster.uid == given || cluster.name == given) {
        return Ok(cluster.uid.clone());
    }
    uuid::Uuid::try_parse(given).map(|uid| uid.hyphenated().to_string()).map_err(|_| {
        let names: Vec<&str> = known.map(|cluster| cluster.name.as_str()).take(10).collect();
        let names = if names.is_empty() { "none is known yet".to_owned() } else { names.join(", ") };
        let expected =
            format!("the name of a known cluster ({names}), or the UID of its kube-system namespace");
        let found: String = given.chars().take(100).collect();
        ApiError::invalid("cluster", expected, format!("{found:?}"))
    })
}
