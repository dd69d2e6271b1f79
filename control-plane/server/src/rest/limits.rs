//! The limits of the REST interface: requests at the same time, long reads at the same time, and seconds for each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Requests that are worked on at once. At the bound the next one gets 503 with `Retry-After`.
pub const MAX_REQUESTS: usize = 256;
/// Walks along the whole audit chain (exports, verifications) at once. At the bound the next one gets 503.
pub const MAX_WALKS: usize = 4;
/// Longest time until an answer begins; then it is given up with 503.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The path of the audit log's verification, which may take longer than other answers.
const VERIFY: &str = "/api/v1/audit/verify";

/// The room that is left.
#[derive(Clone)]
pub struct Limits {
    requests: Arc<Semaphore>,
    walks: Arc<Semaphore>,
    timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(MAX_REQUESTS, MAX_WALKS, REQUEST_TIMEOUT)
    }
}

impl Limits {
    /// Room for so many requests and walks, each request answered in `timeout`.
    pub fn new(requests: usize, walks: usize, timeout: Duration) -> Self {
        Self { requests: Arc::new(Semaphore::new(requests)), walks: Arc::new(Semaphore::new(walks)), timeout }
    }

    /// Room for one walk along the audit chain, held until the permit is dropped.
    pub fn walk(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = |_| ApiError::overloaded("too many exports or verifications of the audit log at once");
        Arc::clone(&self.walks).try_acquire_owned().map_err(full)
    }
}

/// Holds a place while the request is worked on, and ends the wait for it when its time is over.
///
/// An order that was begun is finished even when its client goes away or its time is over: half an order could
/// leave the database changed and nobody told. Walks have no such time: they read bounded pages for as long as the
/// chain is, and few run at once. Whether the process is alive is answered also when there is no place.
pub async fn bound(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == super::health::ALIVE || path == super::health::READY {
        return next.run(request).await;
    }
    let Ok(place) = limits.requests.try_acquire_owned() else {
        return ApiError::overloaded("too many requests at once").into_response();
    };
    if path == VERIFY {
        return next.run(request).await;
    }
    let reads = request.method().is_safe();
    let work = async move {
        let response = next.run(request).await;
        drop(place);
        response
    };
    let answer = if reads {
        tokio::time::timeout(limits.timeout, work).await.map(Ok)
    } else {
        tokio::time::timeout(limits.timeout, tokio::spawn(work)).await
    };
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(failed)) => ApiError::internal("an order failed half-way", &failed).into_response(),
        Err(_) => too_late(limits.timeout).into_response(),
    }
}

fn too_late(timeout: Duration) -> ApiError {
    let detail = format!("no answer within {} s; whether it took effect is not known", timeout.as_secs());
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "Not done in time", detail)
        .remedy("look at the state of things before you repeat it")
        .retry_after(5)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn router(limits: Limits) -> Router {
        Router::new()
            .route("/", get(std::future::pending::<()>))
            .route("/now", get(|| async { "done" }))
            .layer(axum::middleware::from_fn_with_state(limits, bound))
    }

    fn ask(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_given_up_in_time() {
        let limits = Limits::new(1, 1, Duration::from_secs(30));
        let response = router(limits).oneshot(ask("/")).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
    }

    #[tokio::test]
    async fn an_order_is_finished_also_when_its_client_goes_away() {
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
        let (done, mut is_done) = tokio::sync::mpsc::channel(1);
        let go = Arc::new(tokio::sync::Notify::new());
        let handler_go = Arc::clone(&go);
        let order = move || async move {
            begun.send(()).await.unwrap();
            handler_go.notified().await;
            done.send("written").await.unwrap();
        };
        let limits = Limits::default();
        let router = Router::new()
            .route("/", axum::routing::post(order))
            .layer(axum::middleware::from_fn_with_state(limits.clone(), bound));
        let request = Request::builder().method("POST").uri("/").body(Body::empty()).unwrap();
        let client = tokio::spawn(router.oneshot(request));
        has_begun.recv().await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        go.notify_one();
        assert_eq!(is_done.recv().await, Some("written"));
    }

    #[tokio::test]
    async fn beyond_the_bound_a_request_is_refused_and_later_served() {
        let limits = Limits::new(1, 1, Duration::from_secs(30));
        let place = limits.requests.clone().try_acquire_owned().unwrap();
        let response = router(limits.clone()).oneshot(ask("/now")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()),
            (503, "1")
        );
        drop(place);
        assert_eq!(router(limits.clone()).oneshot(ask("/now")).await.unwrap().status(), 200);
        let walk = limits.walk().unwrap();
        assert!(limits.walk().is_err());
        drop(walk);
        assert!(limits.walk().is_ok());
    }
}
