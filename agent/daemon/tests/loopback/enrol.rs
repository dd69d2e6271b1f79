//! Tests of enrolment over real QUIC on loopback.

use std::path::Path;
use std::time::Duration;

use crate::plane::{AGENT, Plane};
use nimbus_agent::enrol::{EnrollingAgent, enrol};
use nimbus_agent::identity::Identity;
use nimbus_agent::{Agent, AgentError, Config, JOIN_CREDENTIAL};

fn enrolling_agent() -> EnrollingAgent {
    EnrollingAgent { hostname: "host".to_owned(), ..EnrollingAgent::default() }
}

#[tokio::test]
async fn an_agent_that_joined_is_known_after_a_restart_and_its_key_stays_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let plane = Plane::start();
    let dir = tempfile::tempdir().unwrap();
    let token = plane.token().to_string();
    let identity = enrol(dir.path(), &plane.server(), &token, enrolling_agent()).await.unwrap();
    assert_eq!((identity.agent_id.to_string().as_str(), identity.kind.as_str()), (AGENT, "host"));
    let loaded = Identity::load(dir.path()).unwrap().unwrap();
    assert_eq!((loaded.chain, loaded.ca, loaded.job_keys), (identity.chain, identity.ca, identity.job_keys));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn the_secret_never_reaches_a_control_plane_that_the_token_does_not_name() {
    let (named, impostor) = (Plane::start(), Plane::start());
    let dir = tempfile::tempdir().unwrap();
    let token = named.token().to_string();
    let error =
        enrol(dir.path(), &impostor.server(), &token, enrolling_agent()).await.unwrap_err().to_string();
    assert!(error.contains("another control plane than the one that made the join token"), "{error}");
    assert!(impostor.secrets().is_empty());
    assert!(Identity::load(dir.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_refusal_is_told_whole_and_the_next_try_uses_the_same_key() {
    let plane = Plane::start();
    plane.refuse("token_used");
    let dir = tempfile::tempdir().unwrap();
    let token = plane.token().to_string();
    let error = enrol(dir.path(), &plane.server(), &token, enrolling_agent()).await.unwrap_err().to_string();
    for word in ["token_used", "a new token", "a used one", "make another"] {
        assert!(error.contains(word), "{word} is missing: {error}");
    }
    let key = std::fs::read(dir.path().join("key.pem")).unwrap();
    let other = Plane::start();
    enrol(dir.path(), &other.server(), &other.token().to_string(), enrolling_agent()).await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("key.pem")).unwrap(), key);
}

/// A Service in front of two sends every second try to the one that stands by, now and then several in a row.
#[tokio::test]
async fn whoever_meets_one_that_stands_by_asks_again_soon_until_the_leader_answers() {
    let plane = Plane::start();
    plane.stand_by(3);
    let dir = tempfile::tempdir().unwrap();
    let begun = std::time::Instant::now();
    enrol(dir.path(), &plane.server(), &plane.token().to_string(), enrolling_agent()).await.unwrap();
    assert_eq!(plane.secrets().len(), 4);
    // 0.3 s, 0.6 s and 1.2 s, each and up to half of it again.
    assert!(begun.elapsed() >= Duration::from_millis(2_100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_an_identity_or_with_no_token_at_all_the_start_says_what_to_do() {
    let plane = Plane::start();
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path(), plane.server());
    let error = Agent::start(config.clone()).await.unwrap_err();
    assert!(error.to_string().contains("nimbus agents token create"), "{error}");
    config.join = Some("nimbus1.nonsense".to_owned());
    assert!(matches!(Agent::start(config.clone()).await, Err(AgentError::Identity(_))));
    config.server = "nowhere".to_owned();
    assert!(matches!(Agent::start(config).await, Err(AgentError::Server(_))));
}

#[tokio::test]
async fn a_damaged_identity_is_named_and_not_replaced() {
    let plane = Plane::start();
    let dir = tempfile::tempdir().unwrap();
    enrol(dir.path(), &plane.server(), &plane.token().to_string(), enrolling_agent()).await.unwrap();
    for file in ["key.pem", "cert.pem", "ca.pem", "job-keys", "agent.json"] {
        let path = dir.path().join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, "garbage").unwrap();
        let error = Identity::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(file), "{file}: {error}");
        std::fs::write(&path, good).unwrap();
    }
    assert!(Identity::load(dir.path()).unwrap().is_some());
}

/// The configuration of an agent that joined and whose certificate has ended since, with a token in the file that systemd
/// hands over.
async fn ended(plane: &Plane, dir: &Path) -> Config {
    let config = Config::new(dir.join("data"), plane.server());
    let first = Config { join: Some(plane.token().to_string()), ..config.clone() };
    Agent::start(first).await.unwrap().stop().await;
    std::fs::write(dir.join(JOIN_CREDENTIAL), plane.token().to_string()).unwrap();
    Config { credentials: Some(dir.to_owned()), ..config }
}

fn certificate(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("data/identity/cert.pem")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_certificate_is_replaced_with_the_token_that_systemd_hands_over() {
    let plane = Plane::with_life(Duration::ZERO);
    let dir = tempfile::tempdir().unwrap();
    let config = ended(&plane, dir.path()).await;
    let before = certificate(dir.path());
    let agent = Agent::start(config).await.unwrap();
    assert_eq!((agent.id(), plane.secrets().len()), (AGENT, 2));
    assert_ne!(certificate(dir.path()), before);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_certificate_ended_starts_though_no_token_gets_it_another() {
    let plane = Plane::with_life(Duration::ZERO);
    let dir = tempfile::tempdir().unwrap();
    let config = ended(&plane, dir.path()).await;
    plane.refuse("token_used");
    // An address at which no server can be.
    let alone = Config { server: "0.0.0.0:1".to_owned(), ..config.clone() };
    for (case, config, asked) in [("a used token", config.clone(), 2), ("no server", alone, 2)] {
        let agent = Agent::start(config).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!((agent.id(), plane.secrets().len()), (AGENT, asked), "{case}");
        agent.stop().await;
    }
    std::fs::write(dir.path().join(JOIN_CREDENTIAL), "no token any more").unwrap();
    let agent = Agent::start(config.clone()).await.unwrap();
    assert_eq!((agent.id(), plane.secrets().len()), (AGENT, 2), "a file that holds no token");
    agent.stop().await;
    // What a person gives with the start itself is not passed over.
    let given = Config { join: Some(plane.token().to_string()), ..config };
    assert!(matches!(Agent::start(given).await, Err(AgentError::Identity(_))));
}

/// The control plane's clock counts: a pod whose own is behind learns in the handshake that it has to join anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_the_certificate_ended_is_learned_from_the_control_planes_tls_on_both_ways() {
    let plane = Plane::with_life(Duration::ZERO);
    let dir = tempfile::tempdir().unwrap();
    let config = Config { credentials: None, ..ended(&plane, dir.path()).await };
    // A certificate holds through the second in which it ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
    learns(config.clone(), "QUIC").await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let mut tls = plane.tls.clone();
    tls.alpn_protocols = vec![nimbus_protocol::tcp::ALPN.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Refused, with the alert.
            let _ = acceptor.accept(stream).await;
        }
    });
    learns(Config { server, ..config }, "TCP").await;
    serving.abort();
}

async fn learns(config: Config, way: &str) {
    let agent = Agent::start(config).await.unwrap();
    let mut status = agent.status();
    let told = tokio::time::timeout(Duration::from_mins(1), status.wait_for(|status| status.unknown));
    let told = told.await.is_ok();
    assert!(told, "{way}: {:?}", *agent.status().borrow());
    agent.stop().await;
}
