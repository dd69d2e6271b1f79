//! `POST /api/v1/access/tokens/{token}/revoke`: takes an access token back for good. What it was used for stays.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AccessTokenItem, RevokeRequest};
use nimbus_control_core::model::{AccessToken, AnyDocument, AuditDraft, ChangeSet, Versioned};

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::lists;
use crate::rest::retry::until_alone;

/// Refuse an access token for good; revoking it again changes nothing
#[utoipa::path(
    post, path = "/api/v1/access/tokens/{token}/revoke", operation_id = "revoke_access_token",
    tag = "access", request_body = RevokeRequest,
    params(("token" = String, Path, description = "Id, or the name of one that is not revoked")),
    description = "With the operator's token, or by the person whom it stands for. What that person decided before stays decided, and so \
                   does a word of several that an approval waits for: deny that, where it has to go.",
    responses((status = 200, description = "The token, revoked", body = AccessTokenItem))
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(token): Segment,
    _: Params<Nothing>,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<AccessTokenItem>, ApiError> {
    let reason = reason(&request.reason)?;
    let revoked = until_alone(|| attempt(&app, &caller, &token, &reason)).await?;
    Ok(Json(super::item(&revoked, &app)))
}

async fn attempt(app: &App, caller: &Principal, token: &str, reason: &str) -> Result<AccessToken, ApiError> {
    let remedy = "`nimbus access tokens list` shows those there are";
    let found =
        lists::by_id_or_name::<AccessToken>(app, token, Some("active"), "access token", remedy).await?;
    let Versioned { version, mut doc } = found;
    if caller.name() != doc.name {
        caller.require_operator()?;
    }
    if doc.revoked_at.is_some() {
        return Ok(doc);
    }
    let now = app.now();
    doc.revoked_at = Some(now);
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let audit = AuditDraft {
        at: now,
        actor: caller.name().to_owned(),
        action: "access.token_revoked".to_owned(),
        subject: doc.id.to_string(),
        cluster: String::new(),
        detail: format!("the access token of {} is refused from now on{because}", doc.name),
    };
    let documents = vec![Versioned { version, doc: AnyDocument::of(&doc) }];
    let changes = ChangeSet { documents, audit: vec![audit], ..ChangeSet::default() };
    if let Err(error) = app.commit(&changes).await {
        app.people.read_anew(app.store()).await;
        return Err(error.into());
    }
    app.people.drop_token(&doc.id.to_string()).await;
    Ok(doc)
}
