//! Tests of peers that violate the protocol: each gets a clear refusal, and the server goes on serving the others.

use std::time::Duration;

use crate::common::{
    ELSEWHERE, client, closed, config, csr, enrol, enrol_from, host, join, read, serves_a_good_agent, start,
    until, within, write,
};
use nimbus_control_core::model::AgentKind;
use nimbus_control_plane::gateway::limits::MAX_HANDSHAKES_EACH;
use nimbus_control_plane::{Config, ControlPlane};
use nimbus_protocol::frame;
use nimbus_protocol::v1::agent_frame::Body as ToServer;
use nimbus_protocol::v1::server_frame::Body as FromServer;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION, v1};
use quinn::ConnectionError;
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes that are no hello, each with a word of the reason.
fn hostile_bytes() -> Vec<(&'static str, Vec<u8>)> {
    let heartbeat = v1::AgentFrame { body: Some(ToServer::Heartbeat(v1::Heartbeat { at_us: 1 })) };
    let good = frame::encode(&heartbeat).unwrap();
    let mut too_long = good.clone();
    too_long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut encoding = good.clone();
    encoding[4] = 9;
    let mut checksum = good.clone();
    *checksum.last_mut().unwrap() ^= 1;
    let mut body = frame::compress(b"tiny");
    body[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut decompression_bomb = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    decompression_bomb.extend([1, 0]);
    decompression_bomb.extend(crc32(&body).to_be_bytes());
    decompression_bomb.extend(&body);
    let random: Vec<u8> =
        (0..4_096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 0x80).collect();
    vec![
        ("too long", too_long),
        ("encoding", encoding),
        ("checksum", checksum),
        ("decompressed", decompression_bomb),
        ("frame", random),
        ("inside a frame", good[..good.len() - 1].to_vec()),
        ("hello", good),
    ]
}

/// CRC-32 as frames carry it, taken from a frame with the same body.
fn crc32(body: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_cost_their_sender_the_connection_and_nobody_else_anything() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    for (word, bytes) in hostile_bytes() {
        // As the first message of a session.
        let connection = identity.dial(&plane).await;
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let answer = within(word, read(&mut recv)).await.unwrap();
        let FromServer::Refusal(refusal) = answer else { panic!("{word}: {answer:?}") };
        assert_eq!(refusal.code, "malformed", "{word}");
        let said = format!("{} {}", refusal.expected, refusal.found);
        assert!(said.contains(word), "{word}: {refusal:?}");
        assert_eq!(closed(&connection).await.0, 2, "{word}");
        // On the data stream of a session.
        let mut session = identity.connect(&plane).await;
        session.data_send.write_all(&bytes).await.unwrap();
        if word == "hello" {
            // A heartbeat makes the stream visible and is fine here; a hello is not.
            write(&mut session.data_send, ToServer::Hello(identity.hello())).await;
        }
        let _ = session.data_send.finish();
        let FromServer::Refusal(refusal) = session.control().await else { panic!("{word}") };
        assert_eq!(refusal.code, "malformed", "{word}");
        let (code, reason) = session.closed().await;
        assert_eq!(code, 2, "{word}: {reason}");
        // As an enrolment.
        let connection = client(&identity.ca, ALPN_ENROL, None)
            .connect(plane.quic_addr(), "nimbus-control-plane")
            .unwrap();
        let connection = connection.await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let answer = within(word, read(&mut recv)).await.unwrap();
        assert!(matches!(&answer, FromServer::Refusal(r) if r.code == "malformed"), "{word}: {answer:?}");
    }
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_out_of_order_is_named_and_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    for sequences in [vec![3, 2], vec![0], vec![4, 4], vec![u64::MAX]] {
        let mut session = identity.connect(&plane).await;
        session.send_blank(sequences).await;
        let FromServer::Refusal(refusal) = session.control().await else { panic!("expected a refusal") };
        assert!(refusal.found.contains("sequence"), "{refusal:?}");
        assert_eq!(session.closed().await.0, 2);
    }
    assert!(plane.app().store().high_water_marks().await.unwrap().is_empty());
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_version_and_another_agents_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let hello = v1::Hello { lowest_version: 7, highest_version: 9, ..identity.hello() };
    let refusal = identity.connect_with(&plane, hello).await.err().unwrap();
    assert_eq!(refusal.code, "unsupported_version");
    assert!(refusal.found.contains("7 to 9"), "{refusal:?}");
    let other = join(&plane, "other", AgentKind::Host).await;
    let refusal = identity.connect_with(&plane, other.hello()).await.err().unwrap();
    assert_eq!(refusal.code, "wrong_agent");
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_a_session_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let endpoint = client(&identity.ca, ALPN_SESSION, None);
    let connection = endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    write(&mut send, ToServer::Hello(identity.hello())).await;
    let answer = within("a refusal", read(&mut recv)).await.unwrap();
    let FromServer::Refusal(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.code, "certificate_required");
    assert_eq!(closed(&connection).await.0, 1);
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_without_a_certificate_that_say_nothing_take_no_agents_place_and_are_closed_soon() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(Config { max_connections: 40, ..config(dir.path()) }).await.unwrap();
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let began = std::time::Instant::now();
    let mut silent = Vec::new();
    for n in 0..60 {
        let alpn = if n % 2 == 0 { ALPN_ENROL } else { ALPN_SESSION };
        let endpoint = client(&identity.ca, alpn, None);
        let connection = endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await.unwrap();
        silent.push(connection);
    }
    // More of them than there is room for agents, and more than are served at once: the agent is welcome, and whoever
    // wants to join from elsewhere does not stand in line behind them.
    let session = identity.connect(&plane).await;
    let token = plane.create_join_token(host("late"), Duration::from_mins(1), "operator").await.unwrap();
    enrol_from(ELSEWHERE, &plane, &token.to_string()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "before any of them was closed");
    for connection in &silent {
        let (code, reason) = closed(connection).await;
        assert!(matches!(code, 2 | 3), "{code}: {reason}");
    }
    // Five seconds of waiting for a place and five in it, of which nobody is spared the end.
    drop(session);
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_get_every_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let other = join(&plane, "other", AgentKind::Host).await;
    // A certificate and then nothing: each is waited for.
    let mut silent = Vec::new();
    for _ in 0..MAX_HANDSHAKES_EACH {
        silent.push(identity.dial(&plane).await);
    }
    let endpoint = client(&identity.ca, ALPN_SESSION, Some(identity.tls()));
    let dial = || endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap();
    let ConnectionError::ConnectionClosed(close) = dial().await.err().unwrap() else {
        panic!("expected a refusal without a handshake")
    };
    // CONNECTION_REFUSED of RFC 9000.
    assert_eq!(u64::from(close.error_code), 2, "{close}");
    let session = other.connect_from(ELSEWHERE, &plane, quinn::TransportConfig::default()).await;
    drop(session);
    for connection in &silent {
        connection.close(0u32.into(), b"");
    }
    until("room again", async || dial().await.ok()).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_and_an_expired_certificate_fail_the_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let app = plane.app();
    let id = identity.id.parse().unwrap();
    let lifetime = Duration::from_hours(1);
    let key = KeyPair::generate().unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let paths = (elsewhere.path().join("ca.pem"), elsewhere.path().join("ca.key"));
    let foreign = nimbus_control_plane::ca::Authority::open(&paths.0, &paths.1, app.now()).unwrap();
    let foreign = foreign.issue_agent(id, &csr(&key), app.now(), lifetime).unwrap();
    let long_ago = app.now() - Duration::from_hours(2);
    let expired = app.keys.ca.issue_agent(id, &csr(&key), long_ago, lifetime).unwrap();
    for (what, chain) in [("foreign", foreign.chain), ("expired", expired.chain)] {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let endpoint = client(&identity.ca, ALPN_SESSION, Some((chain, private)));
        let dialled = endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await;
        // TLS 1.3 lets a client finish before the server has looked at its certificate.
        let error = match dialled {
            Err(error) => error,
            Ok(connection) => within(what, connection.closed()).await,
        };
        let ConnectionError::ConnectionClosed(close) = error else { panic!("{what}: {error}") };
        // Crypto errors are 0x100 plus the TLS alert.
        let code = u64::from(close.error_code);
        assert!((0x100..0x200).contains(&code), "{what}: {close}");
        eprintln!("{what}: the client is told {close}");
    }
    assert_eq!(app.sessions.count(), 0);
    // Counted by a task of its own, a moment after the client was told.
    let both = || app.metrics.render().contains("nimbus_handshakes_failed_total 2").then_some(());
    until("both counted", async || both()).await;
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_request_does_not_spend_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let token = plane.create_join_token(host("edge"), Duration::from_mins(1), "operator").await.unwrap();
    let endpoint = client(&crate::common::ca(&plane), ALPN_ENROL, None);
    let connection = endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let request = v1::EnrolRequest {
        lowest_version: 1,
        highest_version: 1,
        token: token.to_string(),
        csr_der: vec![1, 2, 3],
        ..Default::default()
    };
    write(&mut send, ToServer::Enrol(request)).await;
    let answer = within("a refusal", read(&mut recv)).await.unwrap();
    assert!(matches!(&answer, FromServer::Refusal(r) if r.code == "malformed"), "{answer:?}");
    assert!(enrol(&plane, &token.to_string()).await.is_ok());
    plane.stop().await;
}
