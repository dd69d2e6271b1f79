//! `GET /api/v1/agents/tokens`: lists the join tokens, without their secrets.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DEFAULT_LIMIT, JoinTokenItem, JoinTokenQuery, List};
use nimbus_control_core::model::{JoinTokenRecord, JoinTokenState};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, word};
use crate::rest::{lists, view};

/// Most pages of tokens that are looked through for one page of those in a state. At the bound the page may be short, or
/// empty, and `next` leads on.
const MAX_PAGES: usize = 20;

/// Join tokens, newest first; never their secrets
#[utoipa::path(
    get, path = "/api/v1/agents/tokens", operation_id = "tokens", tag = "agents", params(JoinTokenQuery),
    description = "Tokens that are over are kept for 90 days. A page may be shorter than its limit; only `next` says whether \
                   there is more.",
    responses((status = 200, description = "A page of join tokens", body = List<JoinTokenItem>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<JoinTokenQuery>,
) -> Result<Json<List<JoinTokenItem>>, ApiError> {
    let wanted = query.state.as_deref().map(|text| word::<JoinTokenState>("state", text)).transpose()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let mut filter = lists::newest(Some(limit), query.after);
    filter.states = wanted.map(|state| stored(state).to_owned()).into_iter().collect();
    let now = app.now();
    let mut tokens: Vec<JoinTokenRecord> = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        // Never more than is still missing, so that a page ends where its cursor says.
        filter.limit = limit - u32::try_from(tokens.len()).unwrap_or(limit);
        let page = app.store().list::<JoinTokenRecord>(&filter).await?;
        let found = page.items.into_iter().map(|token| token.doc);
        tokens.extend(found.filter(|token| wanted.is_none_or(|state| token.state(now) == state)));
        next = page.next;
        if next.is_none() || tokens.len() >= limit as usize {
            break;
        }
        filter.after.clone_from(&next);
    }
    let docs = app.docs().await?;
    Ok(Json(List { items: tokens.iter().map(|token| view::token(token, &docs, now)).collect(), next }))
}

/// The word by which the store finds tokens in this state: nothing is written when the time of one is over.
fn stored(state: JoinTokenState) -> &'static str {
    match state {
        JoinTokenState::Usable | JoinTokenState::Expired => "unused",
        JoinTokenState::Used => "used",
        JoinTokenState::Revoked => "revoked",
    }
}
