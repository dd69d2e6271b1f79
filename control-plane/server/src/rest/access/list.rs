//! `GET /api/v1/access/tokens`: lists the access tokens, without their secrets.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AccessTokenItem, List, PageQuery};
use nimbus_control_core::model::AccessToken;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::lists;

/// Access tokens, newest first; never their secrets
#[utoipa::path(
    get, path = "/api/v1/access/tokens", operation_id = "access_tokens", tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of access tokens", body = List<AccessTokenItem>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<PageQuery>,
) -> Result<Json<List<AccessTokenItem>>, ApiError> {
    let page = app.store().list::<AccessToken>(&lists::newest(query.limit, query.after)).await?;
    let items = page.items.iter().map(|token| super::item(&token.doc, &app)).collect();
    Ok(Json(List { items, next: page.next }))
}
