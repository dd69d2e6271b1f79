//! Tests of the gateway over loopback: what an agent may rely on.

use crate::common::{HERE, Identity, csr, enrol, host, join, read, start, until, within, write};
use nimbus_control_core::gateway::CloseReason;
use nimbus_control_core::model::{Agent, AgentKind, ChangeSet};
use nimbus_control_plane::ControlPlane;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use nimbus_protocol::v1::agent_frame::Body as ToServer;
use nimbus_protocol::v1::server_frame::Body as FromServer;
use rustls_pki_types::CertificateDer;

fn id(identity: &Identity) -> AgentId {
    identity.id.parse().unwrap()
}

async fn mark(plane: &ControlPlane, identity: &Identity) -> u64 {
    plane.app().store().high_water_marks().await.unwrap().get(&id(identity)).copied().unwrap_or(0)
}

/// Sequence numbers in the log, in order.
async fn stored(plane: &ControlPlane) -> Vec<u64> {
    let rows = plane.app().store().read_log(0, 500).await.unwrap();
    let unpack = |payload: &[u8]| {
        let plain = nimbus_protocol::frame::decompress(payload).unwrap();
        <v1::ObservationBatch as prost::Message>::decode(plain.as_slice()).unwrap()
    };
    rows.iter().flat_map(|row| unpack(&row.payload).observations).map(|o| o.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_acknowledged_after_its_commit_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    assert_eq!((session.welcome.acknowledged, session.welcome.version), (0, 1));
    session.send_blank(1..=3).await;
    assert_eq!(session.ack().await, 3);
    assert_eq!(mark(&plane, &identity).await, 3);
    // The same again, an overlap, and more.
    session.send_blank(1..=3).await;
    assert_eq!(session.ack().await, 3);
    session.send_blank(2..=5).await;
    assert_eq!(session.ack().await, 5);
    session.send_blank(6..=6).await;
    assert_eq!(session.ack().await, 6);
    assert_eq!(stored(&plane).await, [1, 2, 3, 4, 5, 6]);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_stored_and_everything_is_asked_for_again_once() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    session.send_blank(1..=2).await;
    session.send_blank(10..=11).await;
    session.send_blank(20..=20).await;
    assert_eq!((session.ack().await, session.ack().await, session.ack().await), (2, 11, 20));
    let FromServer::Resync(resync) = session.control().await else { panic!("expected a resync") };
    assert!(resync.reason.contains("missing"), "{}", resync.reason);
    // Nothing else comes: the answer to a heartbeat is the next message.
    write(&mut session.send, ToServer::Heartbeat(v1::Heartbeat::default())).await;
    assert!(matches!(session.control().await, FromServer::Heartbeat(_)));
    assert_eq!(stored(&plane).await, [1, 2, 10, 11, 20]);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_marks_and_raises_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    session.send_blank(1..=7).await;
    assert_eq!(session.ack().await, 7);
    let epoch = session.welcome.epoch;
    plane.stop().await;
    assert_eq!(session.closed().await.0, 4);

    let plane = start(dir.path()).await;
    let mut session = identity.connect(&plane).await;
    assert_eq!(session.welcome.acknowledged, 7);
    assert!(session.welcome.epoch > epoch);
    session.send_blank(5..=9).await;
    assert_eq!(session.ack().await, 9);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_session_of_an_agent_wins() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let older = identity.connect(&plane).await;
    let mut newer = identity.connect(&plane).await;
    assert_eq!(older.closed().await.0, 5);
    newer.send_blank(1..=1).await;
    assert_eq!(newer.ack().await, 1);
    assert_eq!(plane.app().sessions.count(), 1);
    plane.stop().await;
}

/// As one that was frozen after it committed a job, and wakes up when another one leads.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_any_more_hands_no_job_on() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    let app = plane.app();
    app.sessions.push(id(&identity), v1::Envelope::default()).unwrap();
    while !matches!(session.control().await, FromServer::Job(_)) {}
    app.belief.until(None);
    app.sessions.push(id(&identity), v1::Envelope::default()).unwrap();
    assert_eq!(session.closed().await.0, u64::from(CloseCode::ShuttingDown.number()));
    while let Ok(frame) = read(&mut session.recv).await {
        assert!(!matches!(frame, FromServer::Job(_)), "{frame:?}");
    }
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_that_does_not_read_is_not_served_any_longer_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut transport = quinn::TransportConfig::default();
    // Room for a welcome, and for a few answers to heartbeats.
    transport.stream_receive_window(quinn::VarInt::from_u32(256));
    let mut session = identity.connect_from(HERE, &plane, transport).await;
    for _ in 0..200 {
        write(&mut session.send, ToServer::Heartbeat(v1::Heartbeat::default())).await;
    }
    session.send_blank(1..=3).await;
    assert_eq!(session.ack().await, 3);
    let app = plane.app();
    let mut agent = app.store().get::<Agent>(&identity.id).await.unwrap().unwrap();
    agent.doc.revoked_at = Some(app.now());
    app.commit(&ChangeSet { agents: vec![agent], ..ChangeSet::default() }).await.unwrap();
    let began = std::time::Instant::now();
    app.sessions.close(id(&identity), CloseReason::Revoked);
    let (code, reason) = session.closed().await;
    assert!(code == 1 && reason.contains("revoked"), "{code}: {reason}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "not when its patience for a write ends");
    assert_eq!(app.sessions.count(), 0);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agents_live_session_is_closed_whoever_revoked_it_and_it_cannot_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    let app = plane.app();
    let mut agent = app.store().get::<Agent>(&identity.id).await.unwrap().unwrap();
    agent.doc.revoked_at = Some(app.now());
    app.commit(&ChangeSet { agents: vec![agent], ..ChangeSet::default() }).await.unwrap();
    let FromServer::Refusal(refusal) = session.control().await else { panic!("expected a refusal") };
    assert_eq!(refusal.code, "revoked");
    assert_eq!(session.closed().await.0, 1);
    let refusal = identity.connect_with(&plane, identity.hello()).await.err().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.retry_after_ms), ("revoked", 0));
    assert!(refusal.remedy.contains("nimbus agents token create"), "{refusal:?}");
    until("the registry to be empty", async || app.sessions.connected().is_empty().then_some(())).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_and_its_old_certificate_ends_with_the_first_use_of_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let old = join(&plane, "edge", AgentKind::Host).await;
    let mut session = old.connect(&plane).await;
    let key = rcgen::KeyPair::generate().unwrap();
    write(&mut session.send, ToServer::Renew(v1::RenewRequest { csr_der: csr(&key) })).await;
    let FromServer::Renewed(renewed) = session.control().await else { panic!("expected a certificate") };
    assert_eq!(renewed.job_keys, old.job_keys);
    let chain = renewed.certificate_chain_der.into_iter().map(CertificateDer::from).collect();
    // The answer could have been lost: the old one still works.
    let session = old.connect(&plane).await;
    session.connection.close(0u32.into(), b"");
    let (id, name, kind) = (old.id.clone(), old.name.clone(), old.kind.clone());
    let new = Identity { id, name, kind, chain, key, job_keys: renewed.job_keys, ca: old.ca.clone() };
    let session = new.connect(&plane).await;
    session.connection.close(0u32.into(), b"");
    let refusal = old.connect_with(&plane, old.hello()).await.err().unwrap();
    assert_eq!(refusal.code, "unknown_agent");
    new.connect(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_refused_and_costs_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let minute = std::time::Duration::from_mins(1);
    let second = plane.create_join_token(host("edge"), minute, "operator").await.unwrap().to_string();
    let first = join(&plane, "edge", AgentKind::Host).await;
    assert_eq!((first.name.as_str(), first.kind.as_str()), ("edge", "host"));
    let refused = plane.create_join_token(host("edge"), minute, "operator").await.unwrap_err().to_string();
    assert!(refused.contains(&first.id) && refused.contains("nimbus agents revoke"), "{refused}");
    // A token that was made before is as good as before, once the name is free.
    let refusal = enrol(&plane, &second).await.err().unwrap();
    assert_eq!(refusal.code, "name_taken");
    assert!(refusal.found.contains(&first.id) && refusal.remedy.contains("--name"), "{refusal:?}");
    let app = plane.app();
    let mut agent = app.store().get::<Agent>(&first.id).await.unwrap().unwrap();
    agent.doc.revoked_at = Some(app.now());
    app.commit(&ChangeSet { agents: vec![agent], ..ChangeSet::default() }).await.unwrap();
    assert_eq!(enrol(&plane, &second).await.unwrap_or_else(|refusal| panic!("{refusal:?}")).name, "edge");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_agents_share_commits_and_none_loses_an_observation() {
    let dir = tempfile::tempdir().unwrap();
    let plane = std::sync::Arc::new(start(dir.path()).await);
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..8 {
        let plane = std::sync::Arc::clone(&plane);
        agents.spawn(async move {
            let identity = join(&plane, &format!("edge-{agent}"), AgentKind::Host).await;
            let mut session = identity.connect(&plane).await;
            for batch in 0..20_u64 {
                session.send_blank(batch * 50 + 1..=batch * 50 + 50).await;
                if batch >= 8 {
                    session.ack().await;
                }
            }
            while session.ack().await < 1_000 {}
            assert_eq!(mark(&plane, &identity).await, 1_000);
        });
    }
    while let Some(done) = within("eight agents", agents.join_next()).await {
        done.unwrap();
    }
    assert_eq!(stored(&plane).await.len(), 8_000);
    let figures = plane.app().metrics.render();
    assert!(figures.contains("nimbus_observations_stored_total 8000"), "{figures}");
    std::sync::Arc::into_inner(plane).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_renewed_after_the_backup_is_let_in_and_its_older_certificate_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let made_at = plane.app().now();
    let old = join(&plane, "edge", AgentKind::Host).await;
    let mut session = old.connect(&plane).await;
    let key = rcgen::KeyPair::generate().unwrap();
    write(&mut session.send, ToServer::Renew(v1::RenewRequest { csr_der: csr(&key) })).await;
    let FromServer::Renewed(renewed) = session.control().await else { panic!("expected a certificate") };
    session.connection.close(0u32.into(), b"");
    let chain = renewed.certificate_chain_der.into_iter().map(CertificateDer::from).collect();
    let (id, name, kind) = (old.id.clone(), old.name.clone(), old.kind.clone());
    let new = Identity { id, name, kind, chain, key, job_keys: renewed.job_keys, ca: old.ca.clone() };

    // As a database from before the renewal has it.
    let store = plane.app().store();
    store.meta_set(&nimbus_store::renewal_name(&old.id), "another key").await.unwrap();
    let refusal = new.connect_with(&plane, new.hello()).await.err().unwrap();
    assert_eq!(refusal.code, "unknown_agent", "nothing was restored");
    let micros = nimbus_protocol::to_micros;
    let restored = format!("backup {} {}", micros(made_at), micros(plane.app().now()));
    store.meta_set("restored", &restored).await.unwrap();
    let session = new.connect(&plane).await;
    session.connection.close(0u32.into(), b"");
    let refusal = old.connect_with(&plane, old.hello()).await.err().unwrap();
    assert_eq!(refusal.code, "unknown_agent", "what it replaced stays replaced");
    new.connect(&plane).await;
    plane.stop().await;
}
