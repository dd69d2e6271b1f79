//! Tests of hostile and faulty peers against a control plane process: each gets a clear error, and the server keeps
//! serving a correct agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use std::time::Duration;

use nimbus_protocol::{frame, v1};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::sim::stream::host_sample;
use nimbus_tests::sim::{
    Connected, Identity, Refused, SimSession, client_config, enrol, enrol_with, read_frame, write_frame,
};
use rand::{RngCore as _, SeedableRng as _};

/// Longest time that a hostile peer may be left without an answer: the first-frame limit and some slack.
const ANSWER: Duration = Duration::from_secs(20);

async fn plane_and_agent() -> anyhow::Result<(Plane, Identity)> {
    let plane = Plane::start(None, QUICK).await?;
    let token = plane.join_token("good", "host").await?;
    let identity = enrol(plane.quic(), &token).await?;
    Ok((plane, identity))
}

/// A well-behaved agent gets its observation stored: the server serves.
async fn serves(plane: &Plane, good: &Identity) {
    let mut session = SimSession::start(plane.quic(), good, 1).await.expect("a good agent is welcome");
    let next = session.welcome.acknowledged + 1;
    session.send(next, vec![host_sample(next)]).await.expect("its batch is taken");
    let acked =
        tokio::time::timeout(ANSWER, session.ack()).await.expect("in time").expect("and acknowledged");
    assert_eq!(acked, next);
}

/// The refusal or the close reason that the peer got.
async fn answer(connected: &mut Connected) -> String {
    let read = tokio::time::timeout(ANSWER, read_frame::<v1::ServerFrame>(&mut connected.control.1)).await;
    match read.expect("an answer or a close, not silence") {
        Ok(v1::ServerFrame { body: Some(v1::server_frame::Body::Refusal(r)) }) => {
            format!("{} {}", r.code, r.found)
        }
        Ok(other) => panic!("expected a refusal, found {other:?}"),
        Err(_) => {
            tokio::time::timeout(ANSWER, connected.connection.closed()).await.expect("a close").to_string()
        }
    }
}

async fn dial(plane: &Plane, who: &Identity) -> Connected {
    let shown = Some((who.chain.clone(), who.key.clone_key()));
    Connected::dial(plane.quic(), client_config(&who.ca, shown).unwrap())
        .await
        .expect("its certificate is good")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_frames_are_refused_with_a_reason() {
    let (plane, good) = plane_and_agent().await.unwrap();
    let mut too_long = (u32::MAX).to_be_bytes().to_vec();
    too_long.extend_from_slice(&[0; 6]);
    let hello = v1::AgentFrame { body: Some(v1::agent_frame::Body::Hello(v1::Hello::default())) };
    let mut flipped = frame::encode(&hello).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let mut random = vec![0; 4096];
    rand::rngs::StdRng::seed_from_u64(7).fill_bytes(&mut random);
    random[0] = 0xff;
    for (name, bytes, word) in [
        ("too long", too_long, "long"),
        ("one bit flipped", flipped, "checksum"),
        ("random bytes", random, "frame"),
    ] {
        let mut peer = dial(&plane, &good).await;
        peer.control.0.write_all(&bytes).await.unwrap();
        let said = answer(&mut peer).await.to_lowercase();
        assert!(said.contains(word), "{name}: {said}");
        serves(&plane, &good).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_frame_ends_the_session_not_the_server() {
    let (plane, good) = plane_and_agent().await.unwrap();
    let whole = frame::encode(&v1::AgentFrame {
        body: Some(v1::agent_frame::Body::Hello(v1::Hello {
            agent_id: good.agent_id.clone(),
            ..Default::default()
        })),
    })
    .unwrap();
    let mut peer = dial(&plane, &good).await;
    peer.control.0.write_all(&whole[..whole.len() / 2]).await.unwrap();
    peer.control.0.finish().unwrap();
    let said = answer(&mut peer).await.to_lowercase();
    assert!(said.contains("frame") || said.contains("ended"), "{said}");
    serves(&plane, &good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_version_is_told_which_ones_are_spoken() {
    let (plane, good) = plane_and_agent().await.unwrap();
    let hello = v1::Hello {
        lowest_version: 90,
        highest_version: 99,
        agent_id: good.agent_id.clone(),
        ..Default::default()
    };
    let refused = SimSession::start_with(plane.quic(), &good, hello).await.err().expect("refused");
    let Refused(refusal) = refused.downcast_ref::<Refused>().expect("a refusal, not a cut line");
    assert_eq!(refusal.code, "unsupported_version");
    assert!(refusal.expected.contains('1') && refusal.found.contains("90"), "{refusal:?}");
    let token = plane.join_token("future", "host").await.unwrap();
    let refused = enrol_with(plane.quic(), &token, 90, 99).await.err().expect("refused");
    assert_eq!(refused.downcast_ref::<Refused>().expect("a refusal").0.code, "unsupported_version");
    serves(&plane, &good).await;
}

/// A certificate of `ca_pem`/`ca_key` for the good agent's id, valid between the given years.
fn forged(plane: &Plane, good: &Identity, own_ca: bool, years: (i32, i32)) -> Identity {
    let read = |name| std::fs::read_to_string(plane.data_dir().join(name)).unwrap();
    let ca_key =
        if own_ca { rcgen::KeyPair::generate() } else { rcgen::KeyPair::from_pem(&read("ca.key")) }.unwrap();
    let issuer = if own_ca {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        rcgen::Issuer::new(params, ca_key)
    } else {
        rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), ca_key).unwrap()
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, good.agent_id.clone());
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let cert = params.signed_by(&key, &issuer).unwrap();
    let pkcs8 = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    Identity { chain: vec![cert.der().clone()], key: pkcs8.into(), ..good.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_foreign_expired_or_stolen_certificate_gets_in() {
    let (plane, good) = plane_and_agent().await.unwrap();

    let mut nobody = Connected::dial(plane.quic(), client_config(&good.ca, None).unwrap()).await.unwrap();
    let hello = v1::Hello {
        lowest_version: 1,
        highest_version: 1,
        agent_id: good.agent_id.clone(),
        ..Default::default()
    };
    let hello = v1::AgentFrame { body: Some(v1::agent_frame::Body::Hello(hello)) };
    // The server may have turned the peer away before it said anything.
    let _ = write_frame(&mut nobody.control.0, &hello).await;
    assert!(answer(&mut nobody).await.contains("certificate"), "no certificate");
    serves(&plane, &good).await;

    for (name, identity) in [
        ("foreign", forged(&plane, &good, true, (2020, 2040))),
        ("expired", forged(&plane, &good, false, (2020, 2021))),
        // Signed by the right CA and in time, but not with the key that enrolled under this id.
        ("another key", forged(&plane, &good, false, (2020, 2040))),
    ] {
        let started = tokio::time::timeout(ANSWER, SimSession::start(plane.quic(), &identity, 1)).await;
        let error = started.expect("an answer").err().unwrap_or_else(|| panic!("{name}: let in"));
        let said = format!("{error:#}").to_lowercase();
        assert!(!said.contains("timed out"), "{name}: a clear error, found {said}");
        serves(&plane, &good).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_token_works_once() {
    let (plane, good) = plane_and_agent().await.unwrap();
    let token = plane.join_token("once", "host").await.unwrap();
    // Two at the same moment: exactly one gets in.
    let (one, two) = tokio::join!(enrol(plane.quic(), &token), enrol(plane.quic(), &token));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{:?} {:?}", one.err(), two.err());
    let again = enrol(plane.quic(), &token).await.err().expect("refused");
    let refusal = &again.downcast_ref::<Refused>().expect("a refusal").0;
    assert_eq!(refusal.code, "token_used");
    assert!(refusal.remedy.contains("agents token create"), "{refusal:?}");
    let altered = token.replacen("nimbus1.tok_", "nimbus1.tok_0", 1);
    assert!(enrol(plane.quic(), &altered).await.is_err());
    serves(&plane, &good).await;
}
