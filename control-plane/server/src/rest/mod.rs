//! The operator's REST interface: one file for each endpoint, around the decisions of `nimbus-control-core`.
//!
//! It decides under which names it answers ([`host`]), who may ask ([`auth`]), how much at once ([`limits`]), how a request is read ([`extract`]) and what a
//! refusal looks like ([`error`]). What is answered is copied from documents ([`view`]); what an order changes is
//! decided by the core and committed through [`App::commit`]. TLS and the listener belong to the caller.
//!
//! Orders can be repeated safely: approving, denying, enabling, disabling and revoking the same thing again changes
//! nothing; making a join token makes another one.

mod access;
mod agents;
mod approvals;
pub mod audit;
pub mod auth;
mod autonomous;
pub mod caller;
mod clusters;
mod conditional;
mod drift;
pub mod error;
pub mod extract;
mod health;
mod host;
mod incidents;
mod jobs;
pub mod limits;
mod lists;
mod nodes;
pub mod openapi;
mod plan;
mod retry;
pub mod standby;
mod status;
#[cfg(test)]
mod tests;
mod version;
mod view;
mod whoami;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::{Extension, Router, middleware};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::config::Config;
use error::ApiError;
use host::Hosts;
use limits::Limits;

/// Everything that operators can ask of `app`, with the usual limits, at the addresses and names of `config`.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: without the peer's address `/metrics` needs
/// the token also on loopback.
pub fn router(app: Arc<App>, config: &Config) -> Router {
    at(limited(app, Limits::default()), config)
}

/// `router`, which over plain HTTP answers only to its own names.
fn at(router: Router, config: &Config) -> Router {
    if config.rest_is_tls() {
        // A client that trusts the certificate has compared the name already.
        return router;
    }
    router.layer(middleware::from_fn_with_state(Arc::new(Hosts::of(config)), host::require_own))
}

/// As [`router`], with other limits.
pub fn limited(app: Arc<App>, limits: Limits) -> Router {
    let (paths, _) = routes().split_for_parts();
    paths
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(extract::MAX_BODY))
        .layer(Extension(limits.clone()))
        .layer(middleware::from_fn_with_state(limits, limits::bound))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::require_token))
        .with_state(app)
}

/// The one list of paths: routes and document are both made from it.
fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::ApiDocument::openapi())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(version::version))
        .routes(routes!(openapi::openapi))
        .routes(routes!(status::status))
        .routes(routes!(clusters::list::list))
        .routes(routes!(clusters::show::show))
        .routes(routes!(clusters::drain::drain))
        .routes(routes!(clusters::remove::remove))
        .routes(routes!(nodes::list::list))
        .routes(routes!(nodes::show::show))
        .routes(routes!(agents::list::list))
        .routes(routes!(agents::show::show))
        .routes(routes!(agents::token::create))
        .routes(routes!(agents::token_list::list))
        .routes(routes!(agents::token_revoke::revoke))
        .routes(routes!(agents::revoke::revoke))
        .routes(routes!(incidents::list::list))
        .routes(routes!(incidents::show::show))
        .routes(routes!(incidents::investigate::investigate))
        .routes(routes!(incidents::silence::silence))
        .routes(routes!(incidents::ack::acknowledge))
        .routes(routes!(incidents::ask::ask))
        .routes(routes!(approvals::list::list))
        .routes(routes!(approvals::show::show))
        .routes(routes!(approvals::approve::approve))
        .routes(routes!(approvals::deny::deny))
        .routes(routes!(approvals::review::review))
        .routes(routes!(access::create::create))
        .routes(routes!(access::list::list))
        .routes(routes!(access::revoke::revoke))
        .routes(routes!(whoami::whoami))
        .routes(routes!(plan::show))
        .routes(routes!(jobs::list::list))
        .routes(routes!(jobs::show::show))
        .routes(routes!(autonomous::list::list))
        .routes(routes!(autonomous::rules::list, autonomous::rule::set::set))
        .routes(routes!(autonomous::rule::show::show, autonomous::rule::delete::delete))
        .routes(routes!(autonomous::rule::trial::trial))
        .routes(routes!(autonomous::rule::proposals::list))
        .routes(routes!(autonomous::calendar::list))
        .routes(routes!(autonomous::history::history))
        .routes(routes!(autonomous::enable::enable))
        .routes(routes!(autonomous::disable::disable))
        .routes(routes!(autonomous::pause::pause))
        .routes(routes!(autonomous::resume::resume))
        .routes(routes!(autonomous::pauses::list))
        .routes(routes!(drift::list::list))
        .routes(routes!(drift::baselines::list))
        .routes(routes!(drift::withdraw::withdraw))
        .routes(routes!(drift::show::show))
        .routes(routes!(drift::fix::fix))
        .routes(routes!(drift::baseline::baseline))
        .routes(routes!(audit::list::list))
        .routes(routes!(audit::export::export))
        .routes(routes!(audit::verify::verify))
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found("path", uri.path(), "/api/v1/openapi.json lists every path")
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let detail = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Another method", detail)
        .found(method.to_string())
        .remedy("/api/v1/openapi.json lists the methods of every path")
}
