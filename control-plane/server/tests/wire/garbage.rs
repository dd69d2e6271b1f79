//! Tests of observations that no correct agent sends: they affect neither other agents nor the next start.

use nimbus_control_core::model::{AgentKind, Incident};
use nimbus_control_plane::ControlPlane;
use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;

use crate::common::{blank, join, start, until};

fn drift(path: &str) -> Body {
    let state = |byte| v1::FileState {
        kind: "file".into(),
        mode: 0o644,
        sha256: vec![byte; 32],
        ..Default::default()
    };
    Body::File(v1::File {
        root: "/etc/app".into(),
        path: path.into(),
        baseline: Some(state(1)),
        current: Some(state(2)),
        ..Default::default()
    })
}

async fn drifted(plane: &ControlPlane) -> Vec<String> {
    let incidents = plane.app().store().all::<Incident>().await.unwrap();
    incidents.into_iter().map(|incident| incident.doc.object.name().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_database_keeps_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let bad = join(&plane, "bad", AgentKind::Cluster).await;
    let good = join(&plane, "good", AgentKind::Host).await;
    let mut session = bad.connect(&plane).await;
    let status = v1::AgentStatus { cluster_uid: "a\0b".into(), ..Default::default() };
    let term = v1::SyncMark { kind: "Pod".into(), phase: 1, lease_term: u64::MAX };
    session.tell("a\0b", vec![Body::Sync(term)]).await;
    session.tell("", vec![drift("/etc/app/x\0"), drift("/etc/app/x\u{fffd}")]).await;
    session.tell("", vec![drift(&"/long".repeat(2_000))]).await;
    for n in 0..100 {
        let report = v1::JobReport { job_id: "\0".into(), code: format!("x\0{n}"), ..Default::default() };
        session.report(report).await;
    }
    // Its session ends over this; nobody waits for the acknowledgement.
    let status = v1::Observation { body: Some(Body::AgentStatus(status)), ..blank(session.next) };
    session.send_batch(vec![status]).await;
    assert_eq!(session.closed().await.0, 1, "refused");

    let mut session = good.connect(&plane).await;
    session.tell("", vec![drift("/etc/app/fine")]).await;
    until("the good agent's incident", async || {
        drifted(&plane).await.contains(&"/etc/app/fine".to_owned()).then_some(())
    })
    .await;
    let mut seen = drifted(&plane).await;
    seen.sort();
    assert_eq!(seen, ["/etc/app/fine", "/etc/app/x\u{fffd}"]);
    assert!(plane.app().health.problems().is_empty(), "{:?}", plane.app().health.problems());
    let rows = plane.app().store().audit(&nimbus_store::AuditFilter::default()).await.unwrap();
    let audited = rows.rows.iter().filter(|row| row.draft.action == "job.report_unknown").count();
    assert!((1..=10).contains(&audited), "{audited} rows for a hundred reports");
    plane.stop().await;
    start(dir.path()).await.stop().await;
}
