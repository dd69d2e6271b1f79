//! Tests of the whole REST interface over a real embedded database, without a socket.

mod access;
mod audit;
mod calendar;
mod client;
mod contract;
mod decisions;
mod drain;
mod fleet;
mod investigation;
mod lists;
mod nodes;
mod pauses;
mod people;
mod rules;
mod site;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use nimbus_control_core::Settings;
use nimbus_control_core::model::ChangeSet;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::limits::Limits;
use crate::app::App;

/// A control plane without gateway and tasks, so that nothing but the requests changes it.
struct TestApi {
    app: Arc<App>,
    router: Router,
    token: String,
    dir: TempDir,
}

/// An answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The answer, which has to be a problem document with this status and code.
    fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{problem}");
        assert_eq!(problem["type"], format!("urn:nimbus:problem:{code}"));
        problem
    }

    /// The answer, which has to be a success.
    fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.json()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl TestApi {
    async fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap()).await
    }

    async fn of(dir: tempfile::TempDir) -> Self {
        Self::of_settings(dir, Settings::default()).await
    }

    async fn of_settings(dir: tempfile::TempDir, settings: Settings) -> Self {
        let app = crate::app::testing::app_with(dir.path(), settings).await;
        let token = std::fs::read_to_string(dir.path().join("operator.token")).unwrap().trim().to_owned();
        let router = super::limited(Arc::clone(&app), Limits::default());
        Self { app, router, token, dir }
    }

    /// With documents in the store.
    async fn with(changes: ChangeSet) -> Self {
        let api = Self::new().await;
        api.app.commit(&changes).await.unwrap();
        api
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// A request with the token.
    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", self.token))
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path).body(Body::empty()).unwrap()).await
    }

    /// As whoever holds another token.
    fn with_token(&self, token: &str) -> OtherCaller<'_> {
        OtherCaller { api: self, token: token.to_owned() }
    }

    /// The actions in the audit chain, oldest first.
    async fn actions(&self) -> Vec<String> {
        let rows = self.app.store().audit_rows(1, 500).await.unwrap();
        rows.into_iter().map(|row| row.draft.action).collect()
    }
}

/// Somebody with another token.
struct OtherCaller<'a> {
    api: &'a TestApi,
    token: String,
}

impl OtherCaller<'_> {
    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", self.token))
    }

    async fn get(&self, path: &str) -> Answer {
        self.api.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        self.api.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}
