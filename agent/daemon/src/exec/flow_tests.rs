//! Tests of what a job may still do after it waited or after a restart, with a remedy that counts its calls and a real
//! journal.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use nimbus_agent_core::pause::Pause;
use nimbus_agent_core::{Code, admit::JobHistory as _};
use tokio::sync::mpsc;

use super::super::test_support::{self, ALLOW, JOB, admitted};
use super::*;
use crate::watch::kube::ClusterHandle;

struct TestAgent {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    refusals: mpsc::Receiver<Box<v1::JobReport>>,
}

impl TestAgent {
    /// An agent whose policy allows the one job, which was just admitted.
    fn new() -> (Self, AdmittedJob) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.toml"), ALLOW).unwrap();
        let mut journal = JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
        let admitted = admitted(nimbus_platform::now(), &journal);
        journal.change(|journal| journal.begin(&admitted, nimbus_platform::now())).unwrap();
        let (shared, refusals) = test_support::shared(dir.path(), journal, ClusterHandle::default());
        (Self { dir, shared, refusals }, admitted)
    }

    fn say(&self, policy: &str) {
        std::fs::write(&self.shared.policy, policy).unwrap();
    }

    /// Every report that may be sent.
    fn reports(&self) -> Vec<v1::JobReport> {
        self.shared.journal.lock().unwrap().get().unacknowledged(usize::MAX, |_| false)
    }

    /// Runs the job; how often it acted, and its last report.
    async fn run(
        self,
        job: AdmittedJob,
        interrupted: Option<InterruptedJob>,
        meanwhile: Meanwhile,
    ) -> (usize, v1::JobReport) {
        let (acted, _, report) = self.run_as(Counting::new(&self.shared, meanwhile), job, interrupted).await;
        (acted, report)
    }

    /// As `run`, with this remedy; how often it acted and how often it undid that, too.
    async fn run_as(
        &self,
        remedy: Counting,
        job: AdmittedJob,
        interrupted: Option<InterruptedJob>,
    ) -> (usize, usize, v1::JobReport) {
        let (acted, undone) = (remedy.acted.clone(), remedy.undone.clone());
        let flow = Flow { shared: &self.shared, job: Arc::new(job) };
        flow.guarded(remedy, interrupted).await;
        let last = self.reports().pop().unwrap();
        assert!(self.shared.journal.lock().unwrap().get().interrupted().is_empty());
        (acted.load(Ordering::SeqCst), undone.load(Ordering::SeqCst), last)
    }
}

/// What happens while the job waits for its target.
type Meanwhile = fn(&Shared);

struct Counting {
    shared: Arc<Shared>,
    meanwhile: Meanwhile,
    outcome: Outcome,
    compensation: fn() -> Compensation,
    acted: Arc<AtomicUsize>,
    undone: Arc<AtomicUsize>,
}

impl Counting {
    fn new(shared: &Arc<Shared>, meanwhile: Meanwhile) -> Self {
        Self {
            shared: shared.clone(),
            meanwhile,
            outcome: Outcome::Succeeded,
            compensation: || panic!("nothing is to be undone"),
            acted: Arc::default(),
            undone: Arc::default(),
        }
    }

    /// One that does not help.
    fn failing(shared: &Arc<Shared>, compensation: fn() -> Compensation) -> Self {
        Self { outcome: Outcome::Failed, compensation, ..Self::new(shared, nothing) }
    }
}

impl Remedy for Counting {
    async fn check(&mut self) -> Result<(), Refusal> {
        (self.meanwhile)(&self.shared);
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        self.acted.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn probe(&mut self) -> Effect {
        Effect::Absent
    }

    async fn verify(&mut self) -> Verdict {
        Verdict::new(self.outcome, "seen")
    }

    async fn compensate(&mut self) -> Compensation {
        let at = self.shared.journal.lock().unwrap().get().interrupted()[0].phase;
        assert_eq!(at, Phase::Compensating, "the journal knows it first");
        self.undone.fetch_add(1, Ordering::SeqCst);
        (self.compensation)()
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn forbid(shared: &Shared) {
    std::fs::write(&shared.policy, "allow = []\n").unwrap();
}

fn expire(shared: &Shared) {
    // The control plane's clock is the one that counts.
    shared.status.heard_time(nimbus_platform::now() + SignedDuration::from_mins(2));
}

fn succeed(shared: &Shared) {
    shared.journal.lock().unwrap().change(|journal| journal.note_epoch(4)).unwrap();
}

fn nothing(_: &Shared) {}

#[allow(clippy::unnecessary_wraps, reason = "what it gives is what the flow takes")]
fn interrupted(agent: &TestAgent, phase: Phase) -> Option<InterruptedJob> {
    let mut store = agent.shared.journal.lock().unwrap();
    let step = Step { undone_because: "it did not help".into(), ..Step::to(phase, Vec::new()) };
    store
        .change(|journal| journal.advance(JOB.parse().unwrap(), step, nimbus_platform::now()).unwrap())
        .unwrap();
    Some(store.get().interrupted().remove(0))
}

#[tokio::test]
async fn a_job_that_waited_begins_only_if_it_still_may() {
    let (agent, job) = TestAgent::new();
    let (acted, report) = agent.run(job, None, nothing).await;
    assert_eq!((acted, report.phase()), (1, ReportPhase::Succeeded), "{}", report.reason);

    let cases: [(Meanwhile, Code); 3] =
        [(forbid, Code::PolicyForbids), (expire, Code::Expired), (succeed, Code::StaleEpoch)];
    for (meanwhile, code) in cases {
        let (agent, job) = TestAgent::new();
        let (acted, report) = agent.run(job, None, meanwhile).await;
        assert_eq!((acted, report.phase(), report.code.as_str()), (0, ReportPhase::Refused, code.as_str()));
    }
}

#[tokio::test]
async fn after_a_restart_what_had_done_nothing_is_asked_anew() {
    for phase in [Phase::Received, Phase::Intent] {
        let (agent, job) = TestAgent::new();
        let left = interrupted(&agent, phase);
        let (acted, report) = agent.run(job, left, nothing).await;
        assert_eq!((acted, report.phase()), (1, ReportPhase::Succeeded), "{}", report.reason);

        let cases: [(Meanwhile, Code); 3] =
            [(forbid, Code::PolicyForbids), (expire, Code::Expired), (succeed, Code::StaleEpoch)];
        for (before, code) in cases {
            let (agent, job) = TestAgent::new();
            let left = interrupted(&agent, phase);
            before(&agent.shared);
            let (acted, report) = agent.run(job, left, nothing).await;
            assert_eq!(
                (acted, report.phase(), report.code.as_str()),
                (0, ReportPhase::Refused, code.as_str())
            );
            assert!(report.reason.starts_with("interrupted "), "{}", report.reason);
        }
    }
}

#[tokio::test]
async fn after_a_restart_what_was_done_is_finished_whatever_the_policy_says() {
    let (agent, job) = TestAgent::new();
    let left = interrupted(&agent, Phase::Applied);
    forbid(&agent.shared);
    expire(&agent.shared);
    let (acted, report) = agent.run(job, left, nothing).await;
    assert_eq!((acted, report.phase()), (0, ReportPhase::Succeeded), "{}", report.reason);
}

/// While it stands, the journal cannot be written.
fn block(agent: &TestAgent) -> PathBuf {
    let in_the_way = agent.dir.path().join("journal.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut journal = agent.shared.journal.lock().unwrap();
    let _ = journal.change(|journal| {
        journal.write_failed();
        Vec::new()
    });
    in_the_way
}

#[tokio::test]
async fn what_the_journal_does_not_have_on_disk_is_not_sent() {
    let (agent, job) = TestAgent::new();
    let in_the_way = block(&agent);
    let remedy = Counting::new(&agent.shared, nothing);
    let acted = remedy.acted.clone();
    Flow { shared: &agent.shared, job: Arc::new(job) }.guarded(remedy, None).await;
    assert_eq!(acted.load(Ordering::SeqCst), 0, "nothing is changed without a journal");
    assert_eq!(agent.reports(), [], "after a kill and a restart the job would run");
    // A restart now finds the job where the disk has it.
    let after = JournalStore::open(agent.dir.path(), nimbus_platform::now()).unwrap();
    assert_eq!(after.get().interrupted()[0].phase, Phase::Received);

    std::fs::remove_dir(in_the_way).unwrap();
    agent.shared.journal(|journal| journal.tick(nimbus_platform::now())).await.unwrap();
    let sent = agent.reports();
    assert_eq!((sent.len(), sent[0].phase(), sent[0].job_id.as_str()), (1, ReportPhase::Refused, JOB));
    let after = JournalStore::open(agent.dir.path(), nimbus_platform::now()).unwrap();
    assert_eq!(after.get().interrupted(), []);
    assert_eq!(after.get().unacknowledged(usize::MAX, |_| false), sent);
}

#[tokio::test]
async fn a_refusal_is_kept_by_the_journal_or_sent_once() {
    let (mut agent, _) = TestAgent::new();
    let receive = async |agent: &TestAgent, envelope| {
        let slots = Arc::new(tokio::sync::Semaphore::new(1));
        let mut running = tokio::task::JoinSet::new();
        super::super::receive(&agent.shared, envelope, &slots, &mut running).await;
        assert!(running.is_empty(), "nothing runs");
    };
    // The one job is in the journal: a second copy is a replay, of which the journal keeps nothing.
    receive(&agent, test_support::envelope(nimbus_platform::now())).await;
    let replay = agent.refusals.try_recv().unwrap();
    assert_eq!((replay.phase(), replay.job_id.as_str()), (ReportPhase::ReplayRefused, JOB));
    receive(&agent, v1::Envelope::default()).await;
    let nameless = agent.refusals.try_recv().unwrap();
    assert_eq!((nameless.code.as_str(), nameless.job_id.as_str()), ("bad_signature", ""));
    assert_eq!((nameless.envelope_sha256.len(), agent.reports().len()), (32, 0));
    // Too many are dropped, not piled up.
    for _ in 0..2 * super::super::REFUSALS {
        receive(&agent, v1::Envelope::default()).await;
    }
    assert_eq!(agent.refusals.len(), super::super::REFUSALS);

    // A job that the journal does not know is refused by the policy: that is kept.
    let dir = tempfile::tempdir().unwrap();
    let journal = JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
    let (shared, refusals) = test_support::shared(dir.path(), journal, ClusterHandle::default());
    let agent = TestAgent { dir, shared, refusals };
    receive(&agent, test_support::envelope(nimbus_platform::now())).await;
    let kept = agent.reports();
    assert_eq!((kept.len(), kept[0].code.as_str(), agent.refusals.len()), (1, "policy_forbids", 0));
    assert!(agent.shared.journal.lock().unwrap().get().seen(JOB.parse().unwrap()).is_some());
}

#[tokio::test]
async fn what_did_not_help_is_undone_or_says_why_not() {
    type Case = (fn() -> Compensation, ReportPhase, &'static str);
    let cases: [Case; 3] = [
        (
            || Compensation::Undone(vec!["put back".into()]),
            ReportPhase::Compensated,
            "as it was before the job",
        ),
        (|| Compensation::NotReversible("it is gone"), ReportPhase::Failed, "not undone: it is gone"),
        (
            || Compensation::Failed("half of it".into()),
            ReportPhase::Failed,
            "could not be undone: half of it",
        ),
    ];
    for (compensation, phase, reason) in cases {
        for left_at in [None, Some(Phase::Applied), Some(Phase::Compensating)] {
            let (agent, job) = TestAgent::new();
            let left = left_at.and_then(|phase| interrupted(&agent, phase));
            // What has begun is undone whatever the policy says by now.
            if left_at.is_some() {
                forbid(&agent.shared);
            }
            let remedy = Counting::failing(&agent.shared, compensation);
            let (acted, undone, report) = agent.run_as(remedy, job, left).await;
            assert_eq!((acted, undone), (usize::from(left_at.is_none()), 1));
            assert_eq!(report.phase(), phase, "{}", report.reason);
            assert!(report.reason.contains(reason), "{}", report.reason);
            let interrupted_too = left_at == Some(Phase::Compensating);
            assert_eq!(report.reason.starts_with("it did not help; interrupted"), interrupted_too);
            assert_eq!(report.evidence.contains(&"put back".to_owned()), phase == ReportPhase::Compensated);
        }
    }
}

#[tokio::test]
async fn nothing_is_undone_that_the_journal_does_not_know_of() {
    let (agent, job) = TestAgent::new();
    let left = interrupted(&agent, Phase::Applied);
    block(&agent);
    let remedy = Counting::failing(&agent.shared, || panic!("undone without a journal"));
    Flow { shared: &agent.shared, job: Arc::new(job) }.guarded(remedy, left).await;
    assert_eq!(agent.reports(), []);
    let after = JournalStore::open(agent.dir.path(), nimbus_platform::now()).unwrap();
    assert_eq!(after.get().interrupted()[0].phase, Phase::Applied, "a restart verifies it again");
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_named_as_the_reason() {
    let too_long = format!("{ALLOW}# {}\n", "x".repeat(64 << 10));
    for (text, found) in [("allow = []\nalow = []\n", "line 2"), (too_long.as_str(), "65536 bytes")] {
        let (agent, job) = TestAgent::new();
        agent.say(text);
        let path = agent.shared.policy.display().to_string();
        let (acted, report) = agent.run(job, None, nothing).await;
        assert_eq!((acted, report.code.as_str()), (0, "policy_forbids"));
        assert!(report.reason.contains(found) && report.reason.contains(&path), "{}", report.reason);
    }
}

#[tokio::test]
async fn a_pipe_in_the_policys_place_is_refused_and_not_waited_for() {
    let (agent, job) = TestAgent::new();
    std::fs::remove_file(&agent.shared.policy).unwrap();
    fifo(&agent.shared.policy);
    let (acted, report) = agent.run(job, None, nothing).await;
    assert_eq!((acted, report.code.as_str()), (0, "policy_forbids"));
    assert!(report.reason.contains("a pipe, which is no regular file"), "{}", report.reason);
}

fn fifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RUSR, 0).unwrap();
}

fn paused_by_the_control_plane(shared: &Shared) {
    shared.pauses.hear(&v1::Pause { paused: true, what: "the fleet".into(), ..Default::default() });
}

fn paused_here(shared: &Shared) {
    let pause = Pause::new("this agent", "root", "disks", nimbus_platform::now());
    crate::pauses::pause(shared.policy.parent().unwrap(), &pause).unwrap();
}

#[tokio::test]
async fn nothing_is_begun_while_people_have_paused_this_agent_and_its_policy_stays_what_it_is() {
    let cases: [(Meanwhile, &str); 2] =
        [(paused_by_the_control_plane, "the fleet"), (paused_here, "this agent")];
    for (pause, what) in cases {
        let (agent, job) = TestAgent::new();
        let remedy = Counting::new(&agent.shared, pause);
        let (acted, _, report) = agent.run_as(remedy, job, None).await;
        assert_eq!((acted, report.code.as_str()), (0, "paused"));
        assert!(report.reason.contains(&format!("{what} is paused by")), "{}", report.reason);
        assert_eq!(agent.shared.read_policy().policy.allowed_actions().len(), 1);
    }
}

#[tokio::test]
async fn what_was_done_before_a_pause_is_finished_and_undone_where_it_did_not_help() {
    let (agent, job) = TestAgent::new();
    let left = interrupted(&agent, Phase::Applied);
    paused_here(&agent.shared);
    let (acted, report) = agent.run(job, left, nothing).await;
    assert_eq!((acted, report.phase()), (0, ReportPhase::Succeeded), "{}", report.reason);

    let (agent, job) = TestAgent::new();
    let left = interrupted(&agent, Phase::Applied);
    paused_by_the_control_plane(&agent.shared);
    let remedy = Counting::failing(&agent.shared, || Compensation::Undone(vec!["as before".into()]));
    let (acted, undone, report) = agent.run_as(remedy, job, left).await;
    assert_eq!((acted, undone, report.phase()), (0, 1, ReportPhase::Compensated), "{}", report.reason);
}
