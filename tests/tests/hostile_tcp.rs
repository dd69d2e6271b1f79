//! Hostile and faulty peers on the way over TCP: they are refused as over QUIC, and the control plane keeps serving.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use std::net::SocketAddr;
use std::time::Duration;

use nimbus_agent::transport::framed::{FrameSink, FrameSource};
use nimbus_agent::transport::proxy::Proxies;
use nimbus_agent::transport::tcp::{self, Connection};
use nimbus_agent::transport::tls::Tls;
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::tcp::{DATA, ENROL, SESSION};
use nimbus_protocol::v1::{self, agent_frame, server_frame};
use nimbus_protocol::{frame, version};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::sim::stream::host_sample;
use nimbus_tests::sim::{Identity, enrol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longest time that a hostile peer may be left without an answer.
const ANSWER: Duration = Duration::from_secs(20);

async fn dial(server: SocketAddr, tls: &Tls) -> Connection {
    tcp::connect(&server.to_string(), tls, &Proxies::new("", "")).await.unwrap()
}

fn as_agent(who: &Identity) -> Tls {
    Tls::session(who.ca.clone(), who.chain.clone(), who.key.clone_key()).unwrap()
}

fn hello(who: &Identity) -> v1::AgentFrame {
    let hello = v1::Hello {
        lowest_version: version::LOWEST,
        highest_version: version::HIGHEST,
        agent_id: who.agent_id.clone(),
        kind: "host".into(),
        next_sequence: 1,
        ..Default::default()
    };
    v1::AgentFrame { body: Some(agent_frame::Body::Hello(hello)) }
}

async fn next(source: &mut FrameSource) -> Option<server_frame::Body> {
    let read = tokio::time::timeout(ANSWER, source.receive::<v1::ServerFrame>()).await;
    read.expect("an answer or an end, not silence").ok().flatten().and_then(|frame| frame.body)
}

async fn refusal(source: &mut FrameSource) -> v1::Refusal {
    match next(source).await {
        Some(server_frame::Body::Refusal(refusal)) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// A correct agent's session over TCP, welcomed.
struct Session {
    connection: Connection,
    acknowledged: u64,
    _sink: FrameSink,
    source: FrameSource,
}

async fn session(plane: &Plane, who: &Identity) -> Session {
    let connection = dial(plane.quic(), &as_agent(who)).await;
    let (mut sink, mut source) = connection.open(SESSION).await.unwrap();
    sink.send(&hello(who)).await.unwrap();
    match next(&mut source).await {
        Some(server_frame::Body::Welcome(welcome)) => {
            Session { connection, acknowledged: welcome.acknowledged, _sink: sink, source }
        }
        other => panic!("expected a welcome, found {other:?}"),
    }
}

/// A batch of a correct agent is stored.
async fn serves(plane: &Plane, who: &Identity) {
    let session = session(plane, who).await;
    let (mut sink, mut source) = session.connection.open(DATA).await.unwrap();
    let sequence = session.acknowledged + 1;
    let observations = vec![v1::Observation { sequence, ..host_sample(sequence) }];
    let batch = v1::ObservationBatch { first_sequence: sequence, observations };
    sink.send(&v1::AgentFrame { body: Some(agent_frame::Body::Batch(batch)) }).await.unwrap();
    match next(&mut source).await {
        Some(server_frame::Body::Ack(ack)) => assert_eq!(ack.sequence, sequence),
        other => panic!("expected an acknowledgement, found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_no_peer_gets_further_than_over_quic() {
    let plane = Plane::start(None, QUICK).await.unwrap();
    let token = plane.join_token("good", "host").await.unwrap();
    let good = enrol(plane.quic(), &token).await.unwrap();
    serves(&plane, &good).await;

    // A session without a certificate.
    let parsed: JoinToken = token.parse().unwrap();
    let nobody = dial(plane.quic(), &Tls::enrol(parsed.ca_sha256).unwrap()).await;
    let (mut sink, mut source) = nobody.open(SESSION).await.unwrap();
    let _ = sink.send(&hello(&good)).await;
    assert_eq!(refusal(&mut source).await.code, "certificate_required");

    // A token that was used.
    let used = dial(plane.quic(), &Tls::enrol(parsed.ca_sha256).unwrap()).await;
    let (mut sink, mut source) = used.open(ENROL).await.unwrap();
    let request = v1::EnrolRequest {
        lowest_version: version::LOWEST,
        highest_version: version::HIGHEST,
        token: token.clone(),
        ..Default::default()
    };
    sink.send(&v1::AgentFrame { body: Some(agent_frame::Body::Enrol(request)) }).await.unwrap();
    assert_eq!(refusal(&mut source).await.code, "token_used");

    // A data stream before there is a session, and a second session on one connection.
    let early = dial(plane.quic(), &as_agent(&good)).await;
    assert!(early.open(DATA).await.is_err());
    let live = session(&plane, &good).await;
    assert!(live.connection.open(SESSION).await.is_err());
    assert!(live.connection.open("/nimbus.v1.Agents/Other").await.is_err());

    // What is no frame, and a frame that claims to be longer than the bound.
    for garbage in [vec![0x5a; 4_096], [u32::MAX.to_be_bytes().as_slice(), &[0; 6]].concat()] {
        let connection = dial(plane.quic(), &as_agent(&good)).await;
        let (mut sink, mut source) = connection.open(SESSION).await.unwrap();
        sink.write(garbage).await.unwrap();
        assert_eq!(refusal(&mut source).await.code, "malformed");
    }
    // A piece that is longer than any frame may be.
    let connection = dial(plane.quic(), &as_agent(&good)).await;
    let (mut sink, mut source) = connection.open(SESSION).await.unwrap();
    let _ = sink.write(vec![0; frame::MAX_BODY + 4_096]).await;
    assert!(next(&mut source).await.is_none(), "the call is over");

    // No TLS at all.
    let mut plain = tokio::net::TcpStream::connect(plane.quic()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let ended = tokio::time::timeout(ANSWER, plain.read_to_end(&mut said)).await;
    ended.expect("the connection is closed").ok();

    serves(&plane, &good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_over_tcp_is_replaced_by_one_over_quic_and_hears_why() {
    let plane = Plane::start(None, QUICK).await.unwrap();
    let good = enrol(plane.quic(), &plane.join_token("good", "host").await.unwrap()).await.unwrap();
    let mut session = session(&plane, &good).await;
    let shown = plane.get("/agents/good").await.unwrap();
    assert_eq!(shown["transport"], "tcp");
    let _newer = nimbus_tests::sim::SimSession::start(plane.quic(), &good, 1).await.unwrap();
    let ended = loop {
        match tokio::time::timeout(ANSWER, session.source.receive::<v1::ServerFrame>()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a reason"),
            Err(error) => break error,
        }
    };
    let nimbus_agent::transport::framed::LinkError::Call(status) = ended else { panic!("{ended}") };
    let code = tcp::close_code(&status).map(|(code, _)| code);
    assert_eq!(code, Some(nimbus_protocol::close::CloseCode::Replaced.number().into()));
    let shown = plane.get("/agents/good").await.unwrap();
    assert_eq!(shown["transport"], "quic");
}
