//! `/healthz`, `/readyz` and `/metrics`: the endpoints for supervisors and monitoring.
//!
//! Alive means that it answers; ready means that every part can do its work. Both are open and say no names.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::app::App;

/// The path that says whether the process is alive.
pub const ALIVE: &str = "/healthz";
/// The path that says whether it can do its work.
pub const READY: &str = "/readyz";

/// Is the process alive?
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "process", security(()),
    responses((status = 200, description = "It answers", body = String, content_type = "text/plain"))
)]
pub async fn alive() -> &'static str {
    "ok\n"
}

/// Can every part do its work?
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "process", security(()),
    responses((status = 200, description = "It can", body = String, content_type = "text/plain"))
)]
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.health.ready() {
        return "ready\n".into_response();
    }
    let detail = app.health.problems().join("; ");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail)
        .retry_after(1)
        .into_response()
}

/// The figures of this process in the Prometheus text format
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "process",
    description = "A peer on a loopback address needs no token.",
    responses((status = 200, description = "The figures", body = String, content_type = "text/plain"))
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
        .into_response()
}
