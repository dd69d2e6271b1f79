//! Fixtures for the tests of the executors: the state that a job needs in a temporary directory, an admitted job, and a
//! stub API server.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use kube::Client;
use nimbus_agent_core::admit::{self, AdmittedJob, Identity};
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::action::{self, Body};
use nimbus_protocol::digest::{PlanFacts, plan_digest};
use nimbus_protocol::ids::{AgentId, IncidentId};
use nimbus_protocol::{Scope, signed, to_micros, v1};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::counters::Counters;
use crate::files::journal::JournalStore;
use crate::observation_queue::ObservationQueue;
use crate::pauses::Pauses;
use crate::status::SharedStatus;
use crate::watch::files::Files;
use crate::watch::files::baseline::Baselines;
use crate::watch::kube::ClusterHandle;

pub(super) const JOB: &str = "job_00000000000000000000000000000001";
pub(super) const ALLOW: &str = "allow = [\"accept_baseline\"]\npaths = [\"/etc/app\"]\n";

/// What a job needs, and the refusals that no journal keeps.
pub(super) fn shared(
    dir: &Path,
    journal: JournalStore,
    cluster: ClusterHandle,
) -> (Arc<Shared>, mpsc::Receiver<Box<v1::JobReport>>) {
    let (observations, _) = ObservationQueue::new();
    let (refusals, sent) = mpsc::channel(super::REFUSALS);
    let (status, counters) = (Arc::new(SharedStatus::new()), Arc::new(Counters::default()));
    let baselines = Arc::new(Baselines::open(dir).unwrap());
    let shared = Shared {
        agent_id: agent_id(),
        has_cluster: false,
        is_in_pod: false,
        policy: dir.join("policy.toml"),
        stop_dir: None,
        pauses: Arc::new(Pauses::open(dir)),
        keys: watch::Sender::new(vec![key().verifying_key()]).subscribe(),
        journal: Arc::new(Mutex::new(journal)),
        cluster: Arc::new(cluster),
        files: Files::new(
            &[],
            &[],
            &baselines,
            dir.join("policy.toml"),
            observations,
            status.clone(),
            counters.clone(),
        ),
        units: None,
        refusals,
        status,
        counters,
        alive: Arc::default(),
        started: std::time::Instant::now(),
        cancel: CancellationToken::new(),
    };
    (Arc::new(shared), sent)
}

fn agent_id() -> AgentId {
    "agt_00000000000000000000000000000001".parse().unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn admitted(now: Timestamp, journal: &JournalStore) -> AdmittedJob {
    let (policy, _) = Policy::parse(ALLOW).unwrap();
    let me = Identity { agent_id: agent_id(), cluster_uid: String::new() };
    admit::admit(envelope(now), &[key().verifying_key()], &me, &policy, journal.get(), now).unwrap()
}

/// The one job, signed, valid for a minute from `now`.
pub(super) fn envelope(now: Timestamp) -> v1::Envelope {
    let facts = v1::FileFacts { kind: "absent".into(), ..v1::FileFacts::default() };
    let accept = v1::AcceptBaseline {
        root: "/etc/app".into(),
        path: "/etc/app/x.conf".into(),
        expect_current: Some(facts),
    };
    let incident: IncidentId = "inc_00000000000000000000000000000001".parse().unwrap();
    let bytes = action::encode(Body::AcceptBaseline(accept));
    let digest = plan_digest(&PlanFacts {
        incident,
        scope: &Scope::Host(agent_id()),
        requested_by: "requester",
        needs_approval: false,
        action: &bytes,
    });
    let job = v1::Job {
        job_id: JOB.into(),
        agent_id: agent_id().to_string(),
        not_before_us: to_micros(now),
        expires_at_us: to_micros(now) + 60_000_000,
        epoch: 3,
        incident_id: incident.to_string(),
        plan_digest: digest.to_vec(),
        requested_by: "requester".into(),
        limits: Some(v1::Limits { act_ms: 5_000, verify_ms: 0, verify_timeout_ms: 0 }),
        action: bytes,
        ..v1::Job::default()
    };
    signed::sign(&job, &key()).envelope().clone()
}

/// A client of an API server that answers each request, by its path and body, as `answer` says.
pub(super) async fn api(
    answer: impl Fn(String, Value) -> (http::StatusCode, Value) + Clone + Send + Sync + 'static,
) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let app = axum::Router::new().fallback(move |uri: http::Uri, body: String| async move {
        let (status, body) = answer(uri.to_string(), serde_json::from_str(&body).unwrap_or_default());
        (status, body.to_string())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = kube::Config::new(url.parse().unwrap());
    // As the agent's own: a 429 is an answer.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}
