//! Authenticates requests by the operator's bearer token. Only a few paths, which reveal nothing of value, are open.
//!
//! The list below is the whole of what is open; a path that is not on it, or that does not exist, needs the token.
//! The principal of this version is always `operator`: there is one token, and no header can claim another name. Handlers
//! get it through [`super::caller::Caller`].

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Principal;
use super::error::ApiError;
use crate::app::App;
use crate::connections::Place;

/// Paths that are answered without a token.
pub const OPEN: [&str; 4] = ["/healthz", "/readyz", "/api/v1/version", "/api/v1/openapi.json"];

/// The path of the figures: for who shows the token that reads them alone, and without one for a peer on a loopback address.
pub const METRICS: &str = "/metrics";

/// Lets a request through when its token is right or its path is open.
pub async fn require_token(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let found = if presented.is_some() { "another one" } else { "none" };
    if app.keys.operator.authorises(presented) {
        if let Some(place) = request.extensions().get::<Place>() {
            place.trust();
        }
        request.extensions_mut().insert(Principal::operator());
    } else if !is_open(&request) && !may_read_figures(&app, &request, presented) {
        return ApiError::unauthorized(found).into_response();
    }
    next.run(request).await
}

fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    OPEN.contains(&path) || path == METRICS && from_loopback(request)
}

/// Does it ask for the figures, with the token for them?
fn may_read_figures(app: &App, request: &Request, presented: Option<&str>) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == METRICS;
    reads && app.keys.metrics.as_ref().is_some_and(|token| token.authorises(presented))
}

/// Whether the peer is on this machine; a server that does not say who the peer is counts as no.
fn from_loopback(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback())
}
