//! What operators hear from a control plane that stands by for another, on the listener that serves them once it leads.
//!
//! It is alive, and ready, so that a rolling update goes on to the next one; everything but the version is answered with
//! 503 `standby`, on a connection that is closed: the next one may reach the control plane that leads.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower::Service as _;

use super::error::ApiError;
use super::{at, health, version};
use crate::config::Config;

/// The figures of one that stands by.
const METRICS: &str = "# HELP nimbus_control_plane_leading Whether this control plane leads.\n\
                       # TYPE nimbus_control_plane_leading gauge\nnimbus_control_plane_leading 0\n";

/// Answers as one that stands by, until it leads.
#[derive(Clone, Default)]
pub struct Switch {
    leading: Arc<OnceLock<Router>>,
}

impl Switch {
    /// What the listener serves, at the addresses and names of `config`.
    pub fn router(&self, config: &Config) -> Router {
        let standing_by = standing_by();
        let leading = Arc::clone(&self.leading);
        at(Router::new().fallback(answer).with_state((leading, standing_by)), config)
    }

    /// From now on everything is answered by `router`. Said once: who has led never stands by again.
    pub fn lead(&self, router: Router) {
        let _ = self.leading.set(router);
    }
}

async fn answer(
    State((leading, standing_by)): State<(Arc<OnceLock<Router>>, Router)>,
    request: Request,
) -> Response {
    let mut router = leading.get().cloned().unwrap_or(standing_by);
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn standing_by() -> Router {
    Router::new()
        .route(health::ALIVE, get(health::alive))
        .route(health::READY, get(async || "standing by\n"))
        .route("/metrics", get(async || METRICS))
        .route("/api/v1/version", get(version::version))
        .fallback(async || {
            let detail = "this control plane stands by for the one that leads";
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "standby", "Standing by", detail)
                .remedy("none needed: the next try may reach the one that leads")
                .retry_after(1);
            let mut response = error.into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    async fn ask(router: &Router, path: &str) -> (StatusCode, Option<String>, String) {
        let request = Request::builder().uri(path).header("host", "localhost").body(Body::empty()).unwrap();
        let response = router.clone().call(request).await.unwrap();
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, retry, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn one_that_stands_by_is_ready_and_sends_everybody_on_until_it_leads() {
        let switch = Switch::default();
        let router = switch.router(&Config::new("/x"));
        assert_eq!(ask(&router, "/readyz").await, (StatusCode::OK, None, "standing by\n".to_owned()));
        assert_eq!(ask(&router, "/healthz").await.0, StatusCode::OK);
        assert_eq!(ask(&router, "/api/v1/version").await.0, StatusCode::OK);
        assert!(ask(&router, "/metrics").await.2.contains("nimbus_control_plane_leading 0"));
        let (status, retry, body) = ask(&router, "/api/v1/status").await;
        assert_eq!((status, retry.as_deref()), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
        assert!(body.contains("\"code\":\"standby\""), "{body}");
        switch.lead(Router::new().fallback(async || "leads"));
        assert_eq!(ask(&router, "/readyz").await.2, "leads");
    }
}
