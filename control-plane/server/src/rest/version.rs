//! `GET /api/v1/version`: shows the version of this control plane. The endpoint is open and reveals nothing that a port
//! scan would not.

use axum::Json;
use nimbus_api::Version;
use nimbus_protocol::version::{HIGHEST, LOWEST};

use super::error::ApiError;
use super::extract::{Nothing, Params};

/// Which control plane this is
#[utoipa::path(
    get, path = "/api/v1/version", operation_id = "version", tag = "fleet", security(()),
    responses((status = 200, description = "Build and protocol versions", body = Version))
)]
pub async fn version(_: Params<Nothing>) -> Result<Json<Version>, ApiError> {
    Ok(Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        protocol_lowest: LOWEST,
        protocol_highest: HIGHEST,
    }))
}
