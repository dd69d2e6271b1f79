//! What the tests of the executors share: everything that a job needs over a directory of its own, and an admitted job.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use nimbus_agent_core::admit::{self, Admitted, Identity};
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::v1::job::Action;
use nimbus_protocol::{signed, to_micros, v1};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::board::Board;
use crate::counters::Counters;
use crate::files::journal::JournalStore;
use crate::outbox::{Item, Outbox};
use crate::watch::files::Files;
use crate::watch::files::baseline::Baselines;
use crate::watch::kube::ClusterHandle;

pub(super) const JOB: &str = "job_00000000000000000000000000000001";
pub(super) const ALLOW: &str = "allow = [\"accept_baseline\"]\npaths = [\"/etc/app\"]\n";

pub(super) fn shared(
    dir: &Path,
    journal: JournalStore,
    cluster: ClusterHandle,
) -> (Arc<Shared>, mpsc::Receiver<Item>) {
    let (outbox, told) = Outbox::new();
    let (board, counters) = (Arc::new(Board::new()), Arc::new(Counters::default()));
    let baselines = Arc::new(Baselines::open(dir).unwrap());
    let files = Files::new(&[], &[], &baselines, outbox.clone(), board.clone(), counters.clone());
    let shared = Shared {
        agent_id: "agt_1".to_owned(),
        has_cluster: false,
        policy: dir.join("policy.toml"),
        keys: watch::Sender::new(vec![key().verifying_key()]).subscribe(),
        journal: Arc::new(Mutex::new(journal)),
        cluster: Arc::new(cluster),
        files,
        outbox,
        board,
        counters,
        held_back: AtomicBool::new(false),
        started: std::time::Instant::now(),
        cancel: CancellationToken::new(),
    };
    (Arc::new(shared), told)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn admitted(now: Timestamp, journal: &JournalStore) -> Admitted<v1::Job> {
    let policy = Policy::parse(ALLOW).unwrap();
    admit::admit(envelope(now), &[key().verifying_key()], &me(), &policy, journal.get(), now).unwrap()
}

fn me() -> Identity {
    Identity { agent_id: "agt_1".into(), cluster_uid: String::new() }
}

/// The one job, signed, valid for a minute from `now`.
fn envelope(now: Timestamp) -> v1::Envelope {
    let facts = v1::FileFacts { kind: "absent".into(), ..v1::FileFacts::default() };
    let order = v1::AcceptBaseline {
        root: "/etc/app".into(),
        path: "/etc/app/x.conf".into(),
        expect_current: Some(facts),
    };
    let job = v1::Job {
        job_id: JOB.into(),
        agent_id: "agt_1".into(),
        not_before_us: to_micros(now),
        expires_at_us: to_micros(now) + 60_000_000,
        epoch: 3,
        plan_digest: vec![7; 32],
        limits: Some(v1::Limits { act_ms: 5_000, verify_ms: 0, verify_timeout_ms: 0 }),
        action: Some(Action::AcceptBaseline(order)),
        ..v1::Job::default()
    };
    signed::sign(&job, &key()).envelope().clone()
}
