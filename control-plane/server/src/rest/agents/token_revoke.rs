//! `POST /api/v1/agents/tokens/{token}/revoke`: takes a join token back for good. The agents that joined with it stay: each
//! has a certificate of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{JoinTokenItem, RevokeRequest};
use nimbus_control_core::model::{AuditDraft, ChangeSet, JoinTokenRecord, Versioned};

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::retry::{AMONG_AGENTS, until_alone_within};
use crate::rest::{lists, view};

/// Refuse a join token for good; revoking it again changes nothing
#[utoipa::path(
    post, path = "/api/v1/agents/tokens/{token}/revoke", operation_id = "revoke_token",
    tag = "agents", request_body = RevokeRequest,
    params(("token" = String, Path, description = "Id, or the name of one that is neither used up nor revoked")),
    description = "Nobody joins with it any more. The agents that joined with it stay, as each has a certificate of its own, \
                   and so do the public keys of a cluster that one of them made known.",
    responses((status = 200, description = "The token, revoked", body = JoinTokenItem))
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(token): Segment,
    _: Params<Nothing>,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<JoinTokenItem>, ApiError> {
    let reason = reason(&request.reason)?;
    let revoked = until_alone_within(AMONG_AGENTS, || attempt(&app, &caller, &token, &reason)).await?;
    let docs = app.docs().await?;
    Ok(Json(view::token(&revoked, &docs, app.now())))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    token: &str,
    reason: &str,
) -> Result<JoinTokenRecord, ApiError> {
    let remedy = "`nimbus agents token list` shows those there are";
    let Versioned { version, mut doc } =
        lists::by_id_or_name::<JoinTokenRecord>(app, token, Some("unused"), "join token", remedy).await?;
    if doc.revoked_at.is_some() {
        return Ok(doc);
    }
    let now = app.now();
    doc.revoke(now);
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let audit = AuditDraft {
        at: now,
        actor: caller.name().to_owned(),
        action: "token.revoked".to_owned(),
        subject: doc.id.to_string(),
        cluster: doc.cluster.clone().or_else(|| doc.first_cluster.clone()).unwrap_or_default(),
        detail: format!(
            "the join token for {} is refused from now on, after {} of {} uses{because}",
            doc.name,
            doc.times_used(),
            doc.uses
        ),
    };
    let tokens = vec![Versioned { version, doc: doc.clone() }];
    app.commit(&ChangeSet { tokens, audit: vec![audit], ..ChangeSet::default() }).await?;
    Ok(doc)
}
