//! Tests of authentication, and of what is refused before a request reaches an endpoint.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::json;
use tower::ServiceExt as _;

use super::TestApi;
use crate::rest::openapi;

fn bare(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn without_the_token_every_path_is_closed_but_the_few_that_say_nothing() {
    let api = TestApi::new().await;
    let mut closed = 0;
    let mut document = openapi::DOCUMENT.clone();
    for (path, item) in &mut document.paths.paths {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD"] {
            let answer = api.send(bare(method, &path.replace(['{', '}'], ""))).await;
            if crate::rest::auth::OPEN.contains(&path.as_str()) {
                assert_ne!(answer.status, 401, "{method} {path}");
            } else {
                assert_eq!(answer.status, 401, "{method} {path}");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
                closed += 1;
            }
        }
        assert!(openapi::operations(item).count() > 0);
    }
    assert!(closed > 100, "{closed}");
    api.send(bare("GET", "/no/such/path")).await.problem(401, "unauthorized");
    let problem = api.send(bare("GET", "/api/v1/status")).await.problem(401, "unauthorized");
    assert_eq!(problem["found"], "none");
}

#[tokio::test]
async fn a_wrong_token_is_as_good_as_none_and_is_not_repeated() {
    let api = TestApi::new().await;
    for wrong in ["Bearer nbo_wrong", "Bearer ", "Basic b3BlcmF0b3I6eA==", &api.token] {
        let mut request = bare("GET", "/api/v1/status");
        request.headers_mut().insert("authorization", wrong.parse().unwrap());
        let answer = api.send(request).await;
        answer.problem(401, "unauthorized");
        assert!(!answer.text.contains("nbo_"), "{}", answer.text);
    }
    assert_eq!(api.get("/api/v1/status").await.status, 200);
}

#[tokio::test]
async fn the_figures_are_for_this_machine_or_the_token() {
    let api = TestApi::new().await;
    let from = |peer: &str| {
        let mut request = bare("GET", "/metrics");
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        request
    };
    api.send(bare("GET", "/metrics")).await.problem(401, "unauthorized");
    api.send(from("192.0.2.7:40000")).await.problem(401, "unauthorized");
    let answer = api.send(from("127.0.0.1:40000")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("nimbus_agents_connected"), "{}", answer.text);
    assert_eq!(api.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn under_a_name_that_is_not_its_own_it_answers_nothing_not_even_to_the_token() {
    let api = TestApi::new().await;
    let config = crate::Config::new(api.dir.path());
    let router = crate::rest::router(std::sync::Arc::clone(&api.app), &config);
    let ask = async |path: &str, host: &str| {
        let request = api.request("GET", path).header("host", host).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    };
    for path in ["/metrics", "/healthz", "/api/v1/status", "/no/such/path"] {
        let refused = ask(path, "rebound.example:7070").await;
        assert_eq!(refused.status(), 421, "{path}");
        assert_ne!(ask(path, "127.0.0.1:7070").await.status(), 421, "{path}");
    }
}

#[tokio::test]
async fn alive_and_ready_are_two_things() {
    let api = TestApi::new().await;
    assert_eq!(api.send(bare("GET", "/healthz")).await.text, "ok\n");
    let problem = api.send(bare("GET", "/readyz")).await.problem(503, "not_ready");
    assert_eq!(problem["detail"], "start: starting");
    api.app.health.works(crate::health::Part::Start);
    assert_eq!(api.send(bare("GET", "/readyz")).await.text, "ready\n");
}

#[tokio::test]
async fn another_path_method_type_or_size_is_a_problem_document_too() {
    let api = TestApi::new().await;
    api.get("/api/v1/nothing").await.problem(404, "not_found");
    api.post("/api/v1/status", json!({})).await.problem(405, "method_not_allowed");
    let path = "/api/v1/agents/tokens";
    let text = api.request("POST", path).header("content-type", "text/plain").body(Body::from("{}")).unwrap();
    api.send(text).await.problem(415, "unsupported_media_type");
    let untyped = api.request("POST", path).body(Body::from("{}")).unwrap();
    api.send(untyped).await.problem(415, "unsupported_media_type");
    let long = json!({"name": "x".repeat(1 << 20), "kind": "host"});
    api.post(path, long).await.problem(413, "too_large");
    let typed = || api.request("POST", path).header("content-type", "application/json; charset=utf-8");
    let broken = api.send(typed().body(Body::from("{\"name\": ")).unwrap()).await.problem(400, "invalid");
    assert!(broken["found"].as_str().unwrap().contains("line 1 column"), "{broken}");
    let unknown = api.post(path, json!({"name": "a", "kind": "host", "tll_seconds": 5})).await;
    assert!(unknown.problem(400, "invalid")["found"].as_str().unwrap().contains("tll_seconds"));
    assert!(api.actions().await.is_empty(), "a refused order must leave nothing behind");
}

#[tokio::test]
async fn unknown_and_impossible_parameters_are_refused_everywhere() {
    let api = TestApi::new().await;
    let lists = [
        "clusters",
        "agents",
        "agents/tokens",
        "incidents",
        "approvals",
        "jobs",
        "autonomous",
        "autonomous/history",
        "drift",
        "audit",
    ];
    for list in lists {
        api.get(&format!("/api/v1/{list}?limit=500")).await.ok();
        for bad in ["limit=0", "limit=501", "limit=ten", "colour=red", "limit=1&limit=2"] {
            api.get(&format!("/api/v1/{list}?{bad}")).await.problem(400, "invalid");
        }
        api.get(&format!("/api/v1/{list}?after=no-cursor")).await.problem(400, "invalid");
        api.get(&format!("/api/v1/{list}?after=%00")).await.problem(400, "invalid");
    }
    for single in ["status", "version", "autonomous/rules", "audit/verify", "openapi.json"] {
        api.get(&format!("/api/v1/{single}?x=1")).await.problem(400, "invalid");
    }
    for list in ["clusters", "agents", "incidents", "approvals", "jobs", "plans", "drift"] {
        for bad in ["%ff", "a%00b", "%0a"] {
            api.get(&format!("/api/v1/{list}/{bad}")).await.problem(400, "invalid");
        }
    }
    for (path, expected) in [
        ("incidents?state=closed", "waiting_approval"),
        ("approvals?state=open", "pending"),
        ("jobs?state=done", "succeeded"),
        ("agents/tokens?state=good", "usable"),
        ("audit?since=yesterday", "RFC 3339"),
        ("audit/export?format=xml", "cef"),
    ] {
        let problem = api.get(&format!("/api/v1/{path}")).await.problem(400, "invalid");
        assert!(problem["expected"].as_str().unwrap().contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn the_token_for_the_figures_reads_them_and_opens_nothing_else() {
    let (dir, token) = (tempfile::tempdir().unwrap(), "0123456789abcdef".repeat(2));
    nimbus_platform::write_atomic(&dir.path().join("metrics.token"), token.as_bytes(), 0o600).unwrap();
    let api = TestApi::of(dir).await;
    let ask = |method: &str, path: &str, token: &str| {
        let request = Request::builder().method(method).uri(path);
        request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    assert_eq!(api.send(ask("GET", "/metrics", &token)).await.status, 200);
    assert_eq!(api.send(ask("HEAD", "/metrics", &token)).await.status, 200);
    api.send(ask("GET", "/metrics", &format!("{token}0"))).await.problem(401, "unauthorized");
    for (method, path) in [
        ("POST", "/metrics"),
        ("GET", "/metrics/"),
        ("GET", "/metrics/../api/v1/status"),
        ("GET", "//metrics"),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/agents"),
        ("POST", "/api/v1/agents/tokens"),
    ] {
        api.send(ask(method, path, &token)).await.problem(401, "unauthorized");
    }
    assert_eq!(api.get("/metrics").await.status, 200, "the operator's token reads them too");
}
