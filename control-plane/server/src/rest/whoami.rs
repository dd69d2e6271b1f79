//! `GET /api/v1/whoami`: says who asks.

use axum::Json;
use nimbus_api::Whoami;

use super::caller::Caller;
use super::extract::{Nothing, Params};

/// Who asks, by the token that was sent
#[utoipa::path(
    get, path = "/api/v1/whoami", operation_id = "whoami", tag = "access",
    responses((status = 200, description = "Name and groups", body = Whoami))
)]
pub async fn whoami(Caller(caller): Caller, _: Params<Nothing>) -> Json<Whoami> {
    let kind = if caller.until().is_some() { "person" } else { "operator" };
    Json(Whoami {
        name: caller.name().to_owned(),
        groups: caller.groups().to_vec(),
        kind: kind.to_owned(),
        expires_at: caller.until(),
    })
}
