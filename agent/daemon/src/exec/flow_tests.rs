//! What a job may still do after it waited, or after a restart: a remedy that only counts, and a real journal.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;

use jiff::SignedDuration;
use nimbus_agent_core::Code;
use nimbus_protocol::v1::observation::Body;
use tokio::sync::mpsc;

use super::super::bench::{self, ALLOW, JOB, admitted};
use super::*;
use crate::outbox::Item;
use crate::watch::kube::ClusterHandle;

struct Bench {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    told: mpsc::Receiver<Item>,
}

impl Bench {
    /// An agent whose policy allows the one job, which was just admitted.
    fn new() -> (Self, Admitted<v1::Job>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.toml"), ALLOW).unwrap();
        let mut journal = JournalStore::open(dir.path(), clock::now()).unwrap();
        let admitted = admitted(clock::now(), &journal);
        journal.change(|journal| journal.begin(&admitted, clock::now())).unwrap();
        let (shared, told) = bench::shared(dir.path(), journal, ClusterHandle::default());
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

/// While it stands, the journal cannot be written.
fn block(bench: &Bench) -> PathBuf {
    let in_the_way = bench.dir.path().join("journal.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut journal = bench.shared.journal.lock().unwrap();
    let _ = journal.change(|journal| {
        journal.write_failed();
        Vec::new()
    });
    in_the_way
}

#[tokio::test]
async fn what_the_journal_does_not_have_on_disk_is_not_said() {
    let (mut bench, job) = Bench::new();
    let in_the_way = block(&bench);
    let acted = Arc::new(AtomicUsize::new(0));
    let remedy = Counting { shared: bench.shared.clone(), meanwhile: nothing, acted: acted.clone() };
    let flow = Flow { shared: &bench.shared, job: Arc::new(job) };
    flow.guarded(remedy, None).await;
    assert_eq!(acted.load(Ordering::SeqCst), 0, "nothing is changed without a journal");
    assert!(bench.told.try_recv().is_err(), "after a kill and a restart the job would run");
    assert_eq!(super::super::tick(&bench.shared).await, []);
    // A restart now finds the job where the disk has it.
    let after = JournalStore::open(bench.dir.path(), clock::now()).unwrap();
    assert_eq!(after.get().owed()[0].phase, Phase::Received);

    std::fs::remove_dir(in_the_way).unwrap();
    let said = super::super::tick(&bench.shared).await;
    assert_eq!((said.len(), said[0].phase(), said[0].job_id.as_str()), (1, Told::Refused, JOB));
    let after = JournalStore::open(bench.dir.path(), clock::now()).unwrap();
    assert_eq!((after.get().owed().len(), after.get().unreported()), (0, said));
    assert_eq!(super::super::tick(&bench.shared).await, [], "once");
}

#[tokio::test]
async fn a_refusal_that_is_not_on_disk_is_not_said_either() {
    let (mut bench, _) = Bench::new();
    block(&bench);
    let report =
        v1::JobReport { job_id: JOB.into(), phase: Told::Refused.into(), ..v1::JobReport::default() };
    super::super::tell_refusal(&bench.shared, Code::PolicyForbids, report.clone()).await;
    assert!(bench.told.try_recv().is_err() && bench.shared.held_back.load(Ordering::SeqCst));
    // One that the journal does not keep is no less true after a restart.
    let unknown = v1::JobReport { job_id: String::new(), ..report };
    let said = super::super::tell_refusal(&bench.shared, Code::BadSignature, unknown);
    let heard = async { bench.told.recv().await.unwrap().written.unwrap().send(true).unwrap() };
    tokio::join!(said, heard);
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
