//! `POST /api/v1/access/tokens`: makes an access token for a person. The secret is in this response and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nimbus_api::{AccessTokenRequest, OPERATOR};
use nimbus_control_core::model::{
    AccessToken, AccessTokenState, AnyDocument, AuditDraft, ChangeSet, Versioned,
};
use nimbus_control_core::settings::quorum::{MAX_GROUPS, MAX_NAME, is_name};
use nimbus_protocol::ids::AccessTokenId;
use nimbus_store::Filter;

use crate::access_token;
use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params};
use crate::rest::retry::until_alone;

/// Seconds that a token may last: a minute to a year.
const TTL: std::ops::RangeInclusive<u64> = 60..=31_536_000;
/// Most tokens that are not revoked.
const MAX_TOKENS: u32 = 500;
/// Names that nobody may have: what is audited under them was done by Nimbus, by a rule, or with the operator's token.
const RESERVED: [&str; 3] = [OPERATOR, "nimbus", "policy"];

/// Make an access token for a person
#[utoipa::path(
    post, path = "/api/v1/access/tokens", operation_id = "create_access_token",
    tag = "access", request_body = AccessTokenRequest,
    description = "With the operator's token alone. Whoever holds the new token does everything else as this person.",
    responses((status = 201, description = "The token; it is shown this once", body = nimbus_api::AccessToken))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    _: Params<Nothing>,
    Body(request): Body<AccessTokenRequest>,
) -> Result<Response, ApiError> {
    caller.require_operator()?;
    let request = checked(request)?;
    let (token, text) = until_alone(|| attempt(&app, &caller, &request)).await?;
    let answer = nimbus_api::AccessToken {
        id: token.id.to_string(),
        created_at: token.created_at,
        name: token.name,
        groups: token.groups,
        expires_at: token.expires_at,
        token: text,
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn checked(mut request: AccessTokenRequest) -> Result<AccessTokenRequest, ApiError> {
    let form = format!("1 to {MAX_NAME} small letters, digits, '-', '_' or '.'");
    if !is_name(&request.name) {
        return Err(ApiError::invalid("name", form, format!("{:?}", request.name)));
    }
    // One that looks like a token's id could be taken for it.
    if RESERVED.contains(&request.name.as_str()) || request.name.starts_with("acc_") {
        let expected = format!("another name than {}, and none that begins with acc_", RESERVED.join(", "));
        return Err(ApiError::invalid("name", expected, request.name));
    }
    if let Some(group) = request.groups.iter().find(|group| !is_name(group)) {
        return Err(ApiError::invalid("groups", form, format!("{group:?}")));
    }
    if request.groups.len() > MAX_GROUPS {
        let found = request.groups.len().to_string();
        return Err(ApiError::invalid("groups", format!("at most {MAX_GROUPS}"), found));
    }
    if !TTL.contains(&request.ttl_seconds) {
        let expected = format!("{} to {} seconds (a year)", TTL.start(), TTL.end());
        return Err(ApiError::invalid("ttl_seconds", expected, request.ttl_seconds.to_string()));
    }
    request.groups.sort_unstable();
    request.groups.dedup();
    Ok(request)
}

async fn attempt(
    app: &App,
    caller: &Principal,
    request: &AccessTokenRequest,
) -> Result<(AccessToken, String), ApiError> {
    let now = app.now();
    let filter = Filter { states: vec!["active".to_owned()], limit: MAX_TOKENS, ..Filter::default() };
    let active = app.store().list::<AccessToken>(&filter).await?.items;
    if active.len() >= MAX_TOKENS as usize {
        let detail = format!("there are {MAX_TOKENS} access tokens that nobody revoked");
        return Err(ApiError::conflict("too_many", detail).remedy("revoke those that nobody needs"));
    }
    let (mut documents, mut instead) = (Vec::new(), String::new());
    if let Some(Versioned { version, doc }) = active.into_iter().find(|token| token.doc.name == request.name)
    {
        if doc.state(now) == AccessTokenState::Usable {
            let detail = format!("an access token of {} is there already", doc.name);
            return Err(ApiError::conflict("name_taken", detail)
                .expected("a name that no usable token has")
                .found(format!("{}, whose token {} ends at {}", doc.name, doc.id, doc.expires_at))
                .remedy(
                    "revoke that one first (`nimbus access tokens revoke NAME`), or choose another name",
                ));
        }
        // Its time is over: the name is free again.
        instead = format!(", instead of {}, which ended at {}", doc.id, doc.expires_at);
        let ended = AccessToken { revoked_at: Some(doc.expires_at), ..doc };
        documents.push(Versioned { version, doc: AnyDocument::of(&ended) });
    }
    let id = AccessTokenId::new(&mut app.ids());
    let (text, secret_sha256) = access_token::make(id);
    let token = AccessToken {
        id,
        name: request.name.clone(),
        groups: request.groups.clone(),
        secret_sha256,
        created_at: now,
        created_by: caller.name().to_owned(),
        // At most a year from now: representable until the year 9999.
        expires_at: now.checked_add(Duration::from_secs(request.ttl_seconds)).unwrap_or(now),
        revoked_at: None,
    };
    let groups = if token.groups.is_empty() { "no group".to_owned() } else { token.groups.join(", ") };
    let audit = AuditDraft {
        at: now,
        actor: caller.name().to_owned(),
        action: "access.token_created".to_owned(),
        subject: id.to_string(),
        cluster: String::new(),
        detail: format!("for {}, in {groups}, until {}{instead}", token.name, token.expires_at),
    };
    documents.push(Versioned::new(AnyDocument::of(&token)));
    let written = app.commit(&ChangeSet { documents, audit: vec![audit], ..ChangeSet::default() }).await;
    // Read anew, whatever became of it: nothing that is revoked meanwhile comes back.
    app.people.read_anew(app.store()).await;
    written?;
    Ok((token, text))
}
