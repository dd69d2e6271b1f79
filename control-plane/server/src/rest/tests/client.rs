//! Tests of the API client against the real REST interface over a real socket.

use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use nimbus_api::client::{Client, ClientError, collect};
use nimbus_api::{
    AgentQuery, ApproveRequest, AuditDocument, AuditQuery, DenyRequest, ExportQuery, IncidentQuery,
    JoinTokenQuery, PageQuery, RevokeRequest,
};
use nimbus_control_core::model::{AuditDraft, ChangeSet, Versioned};
use tokio::net::TcpListener;

use super::TestApi;
use super::site::{self, site};
use crate::ca::Leaf;
use crate::tls;

/// Serves the interface on a free loopback port until the test ends.
async fn serve(api: &TestApi) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn client(api: &TestApi) -> Client {
    Client::new(&serve(api).await, &api.token, None).unwrap()
}

/// Status and code of a refusal.
fn refusal(error: &ClientError) -> (u16, &str) {
    let ClientError::Problem(problem) = error else { panic!("expected a refusal, found {error}") };
    (problem.status, &problem.code)
}

#[tokio::test]
async fn every_reading_method_reads_what_the_server_writes() {
    let api = TestApi::with(site()).await;
    let client = client(&api).await;
    let page = PageQuery::default();
    let (inc, file) = (format!("inc_{:032x}", 1), format!("inc_{:032x}", 2));
    assert_eq!(client.version().await.unwrap().typed.api, "v1");
    assert!(!client.status().await.unwrap().typed.ready);
    assert!(client.openapi().await.unwrap().typed["paths"].is_object());
    assert_eq!(client.clusters(&page).await.unwrap().typed.items[0].name, "prod");
    assert_eq!(client.cluster("prod").await.unwrap().typed.cluster.mode, "observe");
    assert_eq!(client.agents(&AgentQuery::default()).await.unwrap().typed.items.len(), 2);
    assert_eq!(client.agent("edge").await.unwrap().typed.agent.state, "disconnected");
    let token = client.tokens(&JoinTokenQuery::default()).await.unwrap().typed.items.remove(0);
    assert_eq!((token.name.as_str(), token.state.as_str(), token.used), ("standby", "usable", 1));
    assert_eq!(client.incidents(&IncidentQuery::default()).await.unwrap().typed.items.len(), 2);
    assert_eq!(client.incident(&inc).await.unwrap().typed.incident.id, inc);
    let approval =
        client.approvals(&nimbus_api::ApprovalQuery::default()).await.unwrap().typed.items.remove(0);
    let detail = client.approval(&approval.id).await.unwrap().typed;
    assert_eq!(client.plan(&approval.plan_id).await.unwrap().typed, detail.plan);
    let job = client.jobs(&nimbus_api::JobQuery::default()).await.unwrap().typed.items.remove(0);
    assert_eq!(client.job(&job.id).await.unwrap().typed.envelope, "c2lnbmVk");
    assert_eq!(client.autonomous(&page).await.unwrap().typed.items[0].state, "observe");
    assert!(client.rules().await.unwrap().typed.items.len() >= 3);
    let history = client.autonomous_history(&nimbus_api::HistoryQuery::default()).await.unwrap().typed;
    assert_eq!((history.items[0].automatic, history.items[0].duration_ms), (true, Some(120_000)));
    assert_eq!(client.drifts(&nimbus_api::DriftQuery::default()).await.unwrap().typed.items[0].id, file);
    assert_eq!(client.drift(&file).await.unwrap().typed.change, "modified");
}

#[tokio::test]
async fn a_decision_and_its_refusal_reach_the_caller() {
    let api = TestApi::with(site()).await;
    let client = client(&api).await;
    let id = format!("apr_{:032x}", 1);
    let wrong = ApproveRequest { plan_digest: "00".into(), reason: String::new(), break_glass: false };
    let error = client.approve(&id, &wrong).await.unwrap_err();
    assert_eq!(refusal(&error), (409, "plan_changed"));
    let denied = client.deny(&id, &DenyRequest { reason: "no".into() }).await.unwrap().typed;
    assert_eq!(denied.approval.state, "denied");
    let revoked =
        client.revoke_token("standby", &RevokeRequest { reason: "leaked".into() }).await.unwrap().typed;
    assert_eq!((revoked.state.as_str(), revoked.revoked_at.is_some()), ("revoked", true));
    assert_eq!(refusal(&client.job("job_nowhere").await.unwrap_err()), (404, "not_found"));
    let unknown = Client::new(&client.server(), "nbo_wrong", None).unwrap();
    let error = unknown.status().await.unwrap_err();
    assert_eq!(refusal(&error), (401, "unauthorized"));
    assert!(error.to_string().contains("operator.token"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_is_something_else_is_told_apart() {
    let api = TestApi::new().await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = Client::new(&closed, &api.token, None).unwrap().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = format!("http://{}", listener.local_addr().unwrap());
    let page = axum::Router::new().fallback(|| async { "<html>hello</html>" });
    tokio::spawn(async move { axum::serve(listener, page).await });
    let error = Client::new(&other, &api.token, None).unwrap().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn over_tls_only_the_control_planes_own_ca_is_believed() {
    let api = TestApi::new().await;
    let names = vec!["127.0.0.1".to_owned()];
    let leaf = Leaf::new(Arc::clone(&api.app.keys.ca), tls::provider(), names, nimbus_platform::now).unwrap();
    let config = RustlsConfig::from_config(Arc::new(tls::for_operators(Arc::new(leaf)).unwrap()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    let service = api.router.clone().into_make_service();
    let listening = axum_server::from_tcp_rustls(listener, config).unwrap().serve(service);
    tokio::spawn(listening);
    let ca = |api: &TestApi| std::fs::read(api.dir.path().join("ca.pem")).unwrap();
    let own = Client::new(&server, &api.token, Some(&ca(&api))).unwrap();
    assert_eq!(own.status().await.unwrap().typed.agents.total, 0);
    let foreign = ca(&TestApi::new().await);
    for other in [Some(foreign.as_slice()), None] {
        let error = Client::new(&server, &api.token, other).unwrap().status().await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn pages_are_collected_and_an_export_is_read_piece_by_piece() {
    let draft = |n: i64| AuditDraft {
        at: site::at(n),
        actor: "nimbus".into(),
        action: "plan.made".into(),
        subject: n.to_string(),
        cluster: String::new(),
        detail: "x".repeat(100),
    };
    let incidents = (1..=9).map(|n| Versioned::new(site::file(n, &format!("/f/{n}")))).collect();
    let audit = (1..=1_100).map(draft).collect();
    let api = TestApi::with(ChangeSet { incidents, audit, ..ChangeSet::default() }).await;
    let client = client(&api).await;
    let all = collect(100, async |after| {
        client.incidents(&IncidentQuery { limit: Some(4), after, ..IncidentQuery::default() }).await
    });
    let all = all.await.unwrap();
    assert_eq!((all.items.len(), all.next), (9, None));
    let newest = client.audit(&AuditQuery { limit: Some(1), ..AuditQuery::default() }).await.unwrap().typed;
    assert_eq!(newest.items[0].seq, 1_100);
    assert!(client.verify_audit().await.unwrap().typed.valid);
    let mut export = client.export_audit(&ExportQuery::default()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = export.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    let document: AuditDocument = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document.items.len(), 1_100);
    let query = ExportQuery { format: Some("xml".into()), ..ExportQuery::default() };
    assert!(matches!(client.export_audit(&query).await, Err(ClientError::Problem(_))));
}
