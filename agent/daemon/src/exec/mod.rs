//! Runs admitted jobs, each at most once.
//!
//! The order is fixed: the journal knows the job before anything is read for it, and knows that it is about to act
//! before it acts; what was done is journalled and reported before it is verified. After a crash the journal says what
//! is owed, and each remedy can tell whether its effect is there. Reports go through the spool. The last word on a job is
//! only said once the journal has it on disk: a restart must not contradict it.

mod accept_baseline;
#[cfg(test)]
mod bench;
mod flow;
mod kube;
mod remedy;
mod restart_pod;
mod restore_file;
mod rollback_deployment;
mod sweep;

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use nimbus_agent_core::admit::{self, Admitted, Identity};
use nimbus_agent_core::journal::{Effect, Journal, Owed};
use nimbus_agent_core::policy::Policy;
use nimbus_agent_core::{Code, Refusal};
use nimbus_protocol::v1::{self, observation};
use rustix::fs::OFlags;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::clock;
use crate::counters::Counters;
use crate::failpoint;
use crate::files::journal::JournalStore;
use crate::outbox::Outbox;
use crate::transport::hub::Order;
use crate::watch::files::Files;
use crate::watch::kube::ClusterHandle;

/// Jobs that run at the same time; further ones wait, and expire if they wait too long.
const AT_ONCE: usize = 16;
/// Orders that may wait to be looked at.
pub const ORDERS: usize = 64;
/// For so long after the start an order waits for the own cluster to be found: an agent that just started must not
/// refuse a job of its own cluster.
const CLUSTER_WAIT: Duration = Duration::from_secs(15);
/// For so long after the start an interrupted job waits for it.
const OWED_WAIT: Duration = Duration::from_mins(5);
/// Longest policy file that is read.
const MAX_POLICY: u64 = 64 << 10;

/// What every job needs.
pub struct Shared {
    /// The agent's id.
    pub agent_id: String,
    /// True when this agent is to watch a cluster.
    pub has_cluster: bool,
    /// The policy file.
    pub policy: PathBuf,
    /// Whose jobs are believed.
    pub keys: watch::Receiver<Vec<VerifyingKey>>,
    /// Every job seen.
    pub journal: Arc<Mutex<JournalStore>>,
    /// The cluster and the leadership.
    pub cluster: Arc<ClusterHandle>,
    /// The watched files.
    pub files: Files,
    /// Where reports go.
    pub outbox: Outbox,
    /// Where problems are said.
    pub board: Arc<Board>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Last words were held back because the journal could not be written.
    pub held_back: AtomicBool,
    /// When this process started the executors.
    pub started: std::time::Instant,
    /// Ends everything.
    pub cancel: CancellationToken,
}

impl Shared {
    /// Changes the journal durably, on a blocking thread. On an error nothing may be done that relies on it.
    async fn journal(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Journal) -> Vec<Effect> + Send + 'static,
    ) -> Result<(), String> {
        let done = self.with_journal(move |store| store.change(change)).await;
        let done =
            done.unwrap_or_else(|| Err("the job journal stopped working; restart the agent".to_owned()));
        self.board.problem("journal", done.as_ref().err().cloned());
        done
    }

    async fn with_journal<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut JournalStore) -> T + Send + 'static,
    ) -> Option<T> {
        let journal = self.journal.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.ok()
    }

    fn me(&self) -> Identity {
        let cluster_uid = self.cluster.cluster().map(|cluster| cluster.uid).unwrap_or_default();
        Identity { agent_id: self.agent_id.clone(), cluster_uid }
    }

    /// The policy as the file says now; a missing file allows nothing, and so does a broken one, which is a problem.
    pub fn read_policy(&self) -> (Policy, Option<String>) {
        let (policy, problem) = read_policy(&self.policy);
        self.board.problem("policy", problem.clone());
        (policy, problem)
    }

    /// Queues a report of a phase that is not the last one; it is durable soon.
    async fn tell(&self, cluster_uid: &str, report: v1::JobReport) {
        self.outbox.observe(cluster_uid, observation::Body::JobReport(report)).await;
    }
}

fn read_policy(path: &Path) -> (Policy, Option<String>) {
    let wrong = |found: String| {
        let text = format!(
            "expected a policy in {}, found: {found}; until it is right this agent only observes",
            path.display()
        );
        (Policy::default(), Some(text))
    };
    match read_bounded(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Policy::default(), None),
        Err(error) => wrong(error.to_string()),
        Ok(text) => match Policy::parse(&text) {
            Ok(policy) => (policy, None),
            Err(error) => wrong(error.to_string()),
        },
    }
}

/// A plain file of at most [`MAX_POLICY`] bytes. Nothing here waits: it is read while the journal is held, and a pipe
/// without a writer would hold it for ever.
fn read_bounded(path: &Path) -> io::Result<String> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits() | OFlags::NOCTTY.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no plain file"));
    }
    let mut text = String::new();
    file.take(MAX_POLICY + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_POLICY {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {MAX_POLICY} bytes")));
    }
    Ok(text)
}

/// A refusal by a policy that could not be read says so, with the file and the line: that is what has to be mended.
fn because_of(mut refusal: Refusal, problem: Option<&str>) -> Refusal {
    if let (Code::PolicyForbids, Some(problem)) = (refusal.code, problem) {
        refusal.reason = format!("{problem} ({})", refusal.reason);
    }
    refusal
}

/// Takes orders until cancelled; first finishes what the journal owes.
pub async fn run(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    let mut running = JoinSet::new();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    resume(&shared, &slots, &mut running).await;
    running.spawn(sweep::run(shared.clone()));
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.cancel.cancelled() => break,
            Some(done) = running.join_next() => {
                if let Err(error) = done && error.is_panic() {
                    tracing::error!(%error, "a job stopped half-way; it is finished after a restart");
                }
            }
            order = orders.recv() => match order {
                Some(Order::Job(envelope)) => receive(&shared, envelope, &slots, &mut running).await,
                Some(Order::Epoch(epoch)) => {
                    let _ = shared.journal(move |journal| journal.note_epoch(epoch)).await;
                }
                None => break,
            },
            _ = ticks.tick() => {
                for report in tick(&shared).await {
                    say_again(&shared, report, &mut running);
                }
            }
        }
    }
    // Jobs see the cancellation themselves and lift what they must; the rest is owed after the next start.
    let _ =
        tokio::time::timeout(Duration::from_secs(4), async { while running.join_next().await.is_some() {} })
            .await;
    running.shutdown().await;
}

/// Notes the time in the journal; gives the last words to be said now that were held back until it could be written.
async fn tick(shared: &Arc<Shared>) -> Vec<v1::JobReport> {
    let held_back = shared.held_back.swap(false, Ordering::SeqCst);
    let written = shared.journal(|journal| journal.tick(clock::now())).await;
    if !held_back {
        return Vec::new();
    }
    if written.is_err() {
        shared.held_back.store(true, Ordering::SeqCst);
        return Vec::new();
    }
    // One that is on its way to the spool just now may be among them; a report counts once.
    shared.with_journal(|store| store.get().unreported()).await.unwrap_or_default()
}

/// Puts a report that the journal has into the spool.
fn say_again(shared: &Arc<Shared>, report: v1::JobReport, running: &mut JoinSet<()>) {
    let shared = shared.clone();
    running.spawn(async move {
        let job_id = report.job_id.clone();
        if shared.outbox.report("", report).await {
            let _ = shared.journal(move |journal| journal.reported(&job_id)).await;
        }
    });
}

/// Finishes what was begun before this process started.
async fn resume(shared: &Arc<Shared>, slots: &Arc<Semaphore>, running: &mut JoinSet<()>) {
    let left = shared.with_journal(|store| (store.get().unreported(), store.get().owed())).await;
    let Some((unreported, owed)) = left else { return };
    for report in unreported {
        tracing::info!(job = report.job_id, "reporting a job that ended before the restart");
        say_again(shared, report, running);
    }
    for owed in owed {
        tracing::warn!(job = owed.job_id, phase = ?owed.phase, "a job was interrupted; finding out how far it came");
        let (shared, slots) = (shared.clone(), slots.clone());
        running.spawn(async move {
            let Ok(_slot) = slots.acquire_owned().await else { return };
            resume_one(&shared, owed).await;
        });
    }
}

async fn resume_one(shared: &Arc<Shared>, owed: Owed) {
    wait_for_cluster(shared, OWED_WAIT).await;
    let keys = shared.keys.borrow().clone();
    match admit::resume(&owed, &keys, &shared.me()) {
        Ok(admitted) => flow::resume(shared, admitted, owed).await,
        Err(refusal) => {
            // It was believed once: whether it took effect cannot be told without believing it again.
            let reason = format!("interrupted by a restart, and not to be resumed: {}", refusal.reason);
            let report = v1::JobReport {
                job_id: owed.job_id.clone(),
                phase: v1::job_report::Phase::Unknown.into(),
                at_us: clock::now_us(),
                code: refusal.code.as_str().to_owned(),
                reason,
                envelope_sha256: refusal.envelope_sha256.to_vec(),
                ..v1::JobReport::default()
            };
            flow::finish(shared, "", report).await;
        }
    }
}

/// Admits or refuses one order; an admitted one runs in its own task.
async fn receive(
    shared: &Arc<Shared>,
    envelope: v1::Envelope,
    slots: &Arc<Semaphore>,
    running: &mut JoinSet<()>,
) {
    failpoint::reached("agent::received");
    wait_for_cluster(shared, CLUSTER_WAIT).await;
    let (me, keys) = (shared.me(), shared.keys.borrow().clone());
    let reader = shared.clone();
    let admitted = shared
        .with_journal(move |store| {
            let (policy, problem) = reader.read_policy();
            let now = store.get().floor(clock::now());
            decide(store, envelope, &keys, &me, (&policy, problem.as_deref()), now)
        })
        .await;
    match admitted {
        None => tracing::error!("the job journal stopped working; the job was not run"),
        Some(Err(refusal)) => {
            tracing::warn!(code = refusal.code.as_str(), reason = refusal.reason, "job refused");
            let report = refusal.report(clock::now());
            shared.counters.job(if refusal.code == Code::Replayed { "replay_refused" } else { "refused" });
            let shared = shared.clone();
            running.spawn(async move { tell_refusal(&shared, refusal.code, report).await });
        }
        Some(Ok(admitted)) => {
            tracing::info!(job = admitted.get().job_id, "job admitted");
            let (shared, slots) = (shared.clone(), slots.clone());
            running.spawn(async move {
                let Ok(_slot) = slots.acquire_owned().await else { return };
                flow::run(&shared, admitted).await;
            });
        }
    }
}

/// A refusal that the journal keeps is reported until the spool has it, and not before the journal has it on disk; any
/// other one is told once.
async fn tell_refusal(shared: &Arc<Shared>, code: Code, report: v1::JobReport) {
    let job_id = report.job_id.clone();
    if code != Code::Replayed {
        let kept = job_id.clone();
        let unsure =
            shared.with_journal(move |store| store.get().is_dirty() && store.get().phase(&kept).is_some());
        if unsure.await.unwrap_or(true) {
            shared.held_back.store(true, Ordering::SeqCst);
            return;
        }
    }
    let stored = shared.outbox.report("", report).await;
    if stored && code != Code::Replayed && !job_id.is_empty() {
        let _ = shared.journal(move |journal| journal.reported(&job_id)).await;
    }
}

/// Admission and its durable record are one step, so that two copies of a job cannot both pass.
fn decide(
    store: &mut JournalStore,
    envelope: v1::Envelope,
    keys: &[VerifyingKey],
    me: &Identity,
    (policy, problem): (&Policy, Option<&str>),
    now: Timestamp,
) -> Result<Admitted<v1::Job>, Refusal> {
    let decided = admit::admit(envelope, keys, me, policy, store.get(), now)
        .map_err(|refusal| because_of(refusal, problem));
    let recorded = match &decided {
        Ok(admitted) => store.change(|journal| journal.begin(admitted, now)),
        Err(refusal) => store.change(|journal| journal.refuse(refusal, now)),
    };
    match (decided, recorded) {
        (Ok(admitted), Err(problem)) => {
            // Without a durable record it could run twice.
            let refusal = remedy::precondition(format!("nothing is run without a journal: {problem}"))
                .of(&admitted.get().job_id, admitted.envelope_sha256());
            let report = refusal.report(now);
            let _ = store.change(|journal| journal.finish(&report, now).unwrap_or_default());
            Err(refusal)
        }
        (decided, _) => decided,
    }
}

/// Waits until the own cluster is found, if there is to be one, but not longer than so long after the start.
async fn wait_for_cluster(shared: &Shared, since_start: Duration) {
    let left = since_start.saturating_sub(shared.started.elapsed());
    if shared.has_cluster && shared.cluster.cluster().is_none() && !left.is_zero() {
        let mut changes = shared.cluster.cluster_changes();
        tokio::select! {
            () = shared.cancel.cancelled() => {}
            _ = tokio::time::timeout(left, changes.wait_for(Option::is_some)) => {}
        }
    }
}
