//! Authenticates requests by a bearer token: the operator's, or an access token that stands for a person. Only a few paths, which
//! reveal nothing of value, are open.
//!
//! The list below is the whole of what is open; a path that is not on it, or that does not exist, needs a token. Who asks is known by
//! the token alone: no header can claim another name. Handlers get it through [`super::caller::Caller`]. An access token is looked
//! up with each request among those in memory ([`crate::people`]), so one that is revoked holds no longer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nimbus_control_core::model::AccessTokenState;

use super::caller::Principal;
use super::error::ApiError;
use crate::access_token::Shown;
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
    let needs_none = is_open(&request) || may_read_figures(&app, &request, presented);
    let principal = if app.keys.operator.authorises(presented) {
        Some(Principal::operator())
    } else if needs_none {
        None
    } else {
        match person(&app, presented).await {
            Ok(Some(person)) => Some(person),
            Ok(None) => return ApiError::unauthorized(found).into_response(),
            Err(error) => return error.into_response(),
        }
    };
    if let Some(principal) = principal {
        if let Some(place) = request.extensions().get::<Place>() {
            place.trust();
        }
        request.extensions_mut().insert(principal);
    }
    next.run(request).await
}

/// The person whom the access token stands for that was shown, where it is one, and is neither over nor revoked.
async fn person(app: &App, presented: Option<&str>) -> Result<Option<Principal>, ApiError> {
    let token = presented.and_then(|value| value.split_once(' '));
    let token =
        token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(shown) = token.and_then(Shown::read) else { return Ok(None) };
    let Some(kept) = app.people.find(app.store(), &shown.id.to_string()).await? else { return Ok(None) };
    let holds = shown.is(&kept) && kept.state(app.now()) == AccessTokenState::Usable;
    Ok(holds.then(|| Principal::person(&kept)))
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
