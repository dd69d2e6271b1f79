//! Who may ask: whoever holds the operator's token, for everything but a few paths that say nothing worth hiding.
//!
//! The list below is the whole of what is open; a path that is not on it, or that does not exist, needs the token.
//! The principal of this version is always `operator`: there is one token, and no header can claim another name.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::app::App;

/// Paths that are answered without a token.
pub const OPEN: [&str; 4] = ["/healthz", "/readyz", "/api/v1/version", "/api/v1/openapi.json"];

/// The path of the figures: without a token only for a peer on a loopback address.
pub const METRICS: &str = "/metrics";

/// Lets a request through when its token is right or its path is open.
pub async fn require_token(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if is_open(&request) || app.operator.authorises(presented) {
        return next.run(request).await;
    }
    let found = if presented.is_some() { "another one" } else { "none" };
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "Not authorized",
        "this needs the operator's token",
    )
    .expected("Authorization: Bearer TOKEN, with the token from operator.token in the data directory")
    .found(found)
    .remedy("set NIMBUS_TOKEN, or use the context that `nimbus up` made")
    .into_response()
}

fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    OPEN.contains(&path) || path == METRICS && from_loopback(request)
}

/// Whether the peer is on this machine; a server that does not say who the peer is counts as no.
fn from_loopback(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback())
}
