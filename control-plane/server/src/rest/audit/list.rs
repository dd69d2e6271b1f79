//! `GET /api/v1/audit`: lists the audit rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{AuditQuery, AuditRow, DEFAULT_LIMIT, List};
use nimbus_store::AuditFilter;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::view;

/// Audit rows, newest first
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of rows", body = List<AuditRow>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<List<AuditRow>>, ApiError> {
    let filter = AuditFilter {
        after: query.after,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        newest_first: true,
        ..super::filter(query.user, query.action, query.since.as_deref(), query.until.as_deref())?
    };
    let page = app.store().audit(&filter).await?;
    Ok(Json(List { items: page.rows.iter().map(view::audit_row).collect(), next: page.next }))
}
