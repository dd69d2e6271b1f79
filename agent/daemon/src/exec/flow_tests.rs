//! What a job may still do after it waited, or after a restart: a remedy that only counts, and a real journal.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use nimbus_agent_core::Code;
use nimbus_agent_core::admit::Identity;
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::{signed, to_micros};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::board::Board;
use crate::counters::Counters;
use crate::outbox::{Item, Outbox};
use crate::watch::files::Files;
use crate::watch::files::baseline::Baselines;
use crate::watch::kube::ClusterHandle;

const JOB: &str = "job_00000000000000000000000000000001";
const ALLOW: &str = "allow = [\"accept_baseline\"]\npaths = [\"/etc/app\"]\n";

struct Bench {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    told: mpsc::Receiver<Item>,
}

impl Bench {
    /// An agent whose policy allows the one job, which was just admitted.
    fn new() -> (Self, Admitted<v1::Job>) {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy.toml");
        std::fs::write(&policy, ALLOW).unwrap();
        let mut journal = JournalStore::open(dir.path(), clock::now()).unwrap();
        let admitted = admitted(clock::now(), &journal);
        journal.change(|journal| journal.begin(&admitted, clock::now())).unwrap();
        let (outbox, told) = Outbox::new();
        let (board, counters) = (Arc::new(Board::new()), Arc::new(Counters::default()));
        let baselines = Arc::new(Baselines::open(dir.path()).unwrap());
        let files = Files::new(&[], &[], &baselines, outbox.clone(), board.clone(), counters.clone());
        let shared = Arc::new(Shared {
            agent_id: "agt_1".to_owned(),
            has_cluster: false,
            policy,
            keys: watch::Sender::new(vec![key().verifying_key()]).subscribe(),
            journal: Arc::new(Mutex::new(journal)),
            cluster: Arc::new(ClusterHandle::default()),
            files,
            outbox,
            board,
            counters,
            started: std::time::Instant::now(),
            cancel: CancellationToken::new(),
        });
        (Self { dir, shared, told }, admitted)
    }

    fn say(&self, policy: &str) {
        std::fs::write(&self.shared.policy, policy).unwrap();
    }

    /// Runs the job; how often it acted, and its last report.
    async fn run(
        mut self,
        job: Admitted<v1::Job>,
        owed: Option<Owed>,
        meanwhile: Meanwhile,
    ) -> (usize, v1::JobReport) {
        let acted = Arc::new(AtomicUsize::new(0));
        let remedy = Counting { shared: self.shared.clone(), meanwhile, acted: acted.clone() };
        let flow = Flow { shared: &self.shared, job: Arc::new(job) };
        let heard = async {
            let mut last = v1::JobReport::default();
            while let Some(item) = self.told.recv().await {
                if let Some(Body::JobReport(report)) = item.observation.body {
                    last = report;
                }
                if let Some(written) = item.written {
                    written.send(true).unwrap();
                    break;
                }
            }
            last
        };
        let ((), report) = tokio::join!(flow.guarded(remedy, owed), heard);
        assert!(self.dir.path().exists());
        (acted.load(Ordering::SeqCst), report)
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn admitted(now: Timestamp, journal: &JournalStore) -> Admitted<v1::Job> {
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
    let envelope = signed::sign(&job, &key()).envelope().clone();
    let me = Identity { agent_id: "agt_1".into(), cluster_uid: String::new() };
    let policy = Policy::parse(ALLOW).unwrap();
    admit::admit(envelope, &[key().verifying_key()], &me, &policy, journal.get(), now).unwrap()
}

/// What happens while the job waits for its target.
type Meanwhile = fn(&Shared);

struct Counting {
    shared: Arc<Shared>,
    meanwhile: Meanwhile,
    acted: Arc<AtomicUsize>,
}

impl Remedy for Counting {
    async fn check(&mut self) -> Result<(), Refusal> {
        (self.meanwhile)(&self.shared);
        Ok(())
    }

    fn memo(&self) -> Vec<u8> {
        Vec::new()
    }

    fn recall(&mut self, _memo: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        self.acted.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn probe(&mut self) -> Probe {
        Probe::NotThere
    }

    async fn verify(&mut self) -> Verdict {
        Verdict::new(Told::Succeeded, "seen")
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn forbid(shared: &Shared) {
    std::fs::write(&shared.policy, "allow = []\n").unwrap();
}

fn expire(shared: &Shared) {
    let later = clock::now() + SignedDuration::from_mins(2);
    shared.journal.lock().unwrap().change(|journal| journal.tick(later)).unwrap();
}

fn succeed(shared: &Shared) {
    shared.journal.lock().unwrap().change(|journal| journal.note_epoch(4)).unwrap();
}

fn nothing(_: &Shared) {}

#[allow(clippy::unnecessary_wraps, reason = "what it gives is what the flow takes")]
fn owed(bench: &Bench, phase: Phase) -> Option<Owed> {
    let mut store = bench.shared.journal.lock().unwrap();
    if phase > Phase::Received {
        store.change(|journal| journal.advance(JOB, phase, b"", clock::now()).unwrap()).unwrap();
    }
    Some(store.get().owed().remove(0))
}

#[tokio::test]
async fn a_job_that_waited_begins_only_if_it_still_may() {
    let (bench, job) = Bench::new();
    let (acted, report) = bench.run(job, None, nothing).await;
    assert_eq!((acted, report.phase()), (1, Told::Succeeded), "{}", report.reason);

    let cases: [(Meanwhile, Code); 3] =
        [(forbid, Code::PolicyForbids), (expire, Code::Expired), (succeed, Code::StaleEpoch)];
    for (meanwhile, code) in cases {
        let (bench, job) = Bench::new();
        let (acted, report) = bench.run(job, None, meanwhile).await;
        assert_eq!((acted, report.phase(), report.code.as_str()), (0, Told::Refused, code.as_str()));
    }
}

#[tokio::test]
async fn after_a_restart_what_had_done_nothing_is_asked_anew() {
    for phase in [Phase::Received, Phase::Intent] {
        let (bench, job) = Bench::new();
        let left = owed(&bench, phase);
        let (acted, report) = bench.run(job, left, nothing).await;
        assert_eq!((acted, report.phase()), (1, Told::Succeeded), "{}", report.reason);

        let cases: [(Meanwhile, Code); 3] =
            [(forbid, Code::PolicyForbids), (expire, Code::Expired), (succeed, Code::StaleEpoch)];
        for (before, code) in cases {
            let (bench, job) = Bench::new();
            let left = owed(&bench, phase);
            before(&bench.shared);
            let (acted, report) = bench.run(job, left, nothing).await;
            assert_eq!((acted, report.phase(), report.code.as_str()), (0, Told::Refused, code.as_str()));
            assert!(report.reason.starts_with("interrupted "), "{}", report.reason);
        }
    }
}

#[tokio::test]
async fn after_a_restart_what_was_done_is_finished_whatever_the_policy_says() {
    let (bench, job) = Bench::new();
    let left = owed(&bench, Phase::Applied);
    forbid(&bench.shared);
    expire(&bench.shared);
    let (acted, report) = bench.run(job, left, nothing).await;
    assert_eq!((acted, report.phase()), (0, Told::Succeeded), "{}", report.reason);
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_named_as_the_reason() {
    let too_long = format!("{ALLOW}# {}\n", "x".repeat(64 << 10));
    for (text, found) in [("allow = []\nalow = []\n", "line 2"), (too_long.as_str(), "65536 bytes")] {
        let (bench, job) = Bench::new();
        bench.say(text);
        let path = bench.shared.policy.display().to_string();
        let (acted, report) = bench.run(job, None, nothing).await;
        assert_eq!((acted, report.code.as_str()), (0, "policy_forbids"));
        assert!(report.reason.contains(found) && report.reason.contains(&path), "{}", report.reason);
    }
}

#[tokio::test]
async fn a_pipe_in_the_policys_place_is_refused_and_not_waited_for() {
    let (bench, job) = Bench::new();
    std::fs::remove_file(&bench.shared.policy).unwrap();
    fifo(&bench.shared.policy);
    let (acted, report) = bench.run(job, None, nothing).await;
    assert_eq!((acted, report.code.as_str()), (0, "policy_forbids"));
    assert!(report.reason.contains("no plain file"), "{}", report.reason);
}

fn fifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RUSR, 0).unwrap();
}
