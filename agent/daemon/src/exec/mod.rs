//! The executor: runs admitted jobs, each at most once.
//!
//! The order is fixed: the journal knows the job before anything is read for it, and knows that it is about to act
//! before it acts; what was done is journalled before it is verified, and that it is to be undone before it is undone.
//! After a crash the journal says which jobs were interrupted, and each remedy can tell whether its effect is there.
//! Reports go through the journal, which hands them to the session once they are on disk: a restart must not contradict
//! what was said.

mod accept_baseline;
mod clock;
mod expand_volume;
mod flow;
mod kube;
mod raise_autoscaler_maximum;
mod raise_memory_limit;
mod remedy;
mod renew_certificate;
mod restart_pod;
mod restart_unit;
mod restore_file;
mod rollback_deployment;
mod scale_workload;
mod sweep;
#[cfg(test)]
mod test_support;
mod uncordon_node;
mod withdraw_baseline;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use nimbus_agent_core::admit::{self, AdmittedJob, Identity};
use nimbus_agent_core::journal::{Effect, InterruptedJob, Journal};
use nimbus_agent_core::{Code, Refusal};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alive::Alive;
use crate::counters::Counters;
use crate::files::journal::JournalStore;
use crate::pauses::Pauses;
use crate::policy_files::PolicyNow;
use crate::session_loop::ControlMessage;
use crate::status::SharedStatus;
use crate::watch::files::Files;
use crate::watch::files::restores::UnderWay;
use crate::watch::kube::ClusterHandle;
use crate::watch::units::bus::SystemBus;
use clock::Clock;
use remedy::ReportPhase;

/// Jobs that run at the same time, as many as the control plane sends by default and some more: each takes seconds, most of
/// which it only looks whether it helped. Further ones wait, and expire if they wait too long.
const AT_ONCE: usize = 64;
/// Messages of the control plane that may wait to be looked at.
pub const CONTROL_MESSAGES: usize = 64;
/// Refusals that no journal keeps and that may wait to be sent; further ones are dropped.
pub const REFUSALS: usize = 16;
/// For so long after the start a job waits for the own cluster to be found: an agent that just started must not
/// refuse a job of its own cluster.
const CLUSTER_WAIT: Duration = Duration::from_secs(15);
/// For so long after the start an interrupted job waits for it.
const INTERRUPTED_WAIT: Duration = Duration::from_mins(5);

/// What every job needs.
pub struct Shared {
    /// The agent's id.
    pub agent_id: AgentId,
    /// True when this agent is to watch a cluster.
    pub has_cluster: bool,
    /// True in a pod, whose policy is for its own cluster alone.
    pub is_in_pod: bool,
    /// The person's policy file; the managed one is beside it.
    pub policy: PathBuf,
    /// What stops this agent, if there is such a place.
    pub stop_dir: Option<PathBuf>,
    /// Whether people have paused this agent.
    pub pauses: Arc<Pauses>,
    /// Whose jobs are believed.
    pub keys: watch::Receiver<Vec<VerifyingKey>>,
    /// Every job seen, and the reports of it that are not acknowledged.
    pub journal: Arc<Mutex<JournalStore>>,
    /// The cluster and the leadership.
    pub cluster: Arc<ClusterHandle>,
    /// The watched files.
    pub files: Files,
    /// The host's systemd; `None` where no units are watched.
    pub units: Option<Arc<SystemBus>>,
    /// Where refusals go that no journal keeps.
    pub refusals: mpsc::Sender<Box<v1::JobReport>>,
    /// Where problems are said.
    pub status: Arc<SharedStatus>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Where the loop says that it came round.
    pub alive: Arc<Alive>,
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
        self.status.problem("journal", done.as_ref().err().cloned());
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

    /// The time by which jobs are judged: the control plane's, as far as it told it.
    pub(crate) fn job_time(&self) -> Timestamp {
        self.status.job_time()
    }

    fn me(&self) -> Identity {
        let cluster_uid = self.cluster.cluster().map(|cluster| cluster.uid).unwrap_or_default();
        Identity { agent_id: self.agent_id, cluster_uid }
    }

    /// The policy as its files say now; what is wrong with them is shown as a problem.
    pub fn read_policy(&self) -> PolicyNow {
        let now = PolicyNow::read_unless_stopped(&self.policy, self.stop_dir.as_deref());
        self.status.problem("policy", now.problem());
        let cluster = self.cluster.cluster().filter(|_| self.is_in_pod);
        let elsewhere = cluster.and_then(|cluster| now.policy.is_of_another_cluster(&cluster.uid));
        self.status.problem("policy-cluster", elsewhere);
        now
    }

    /// What a job may be begun by: the policy, and nothing while people have paused this agent.
    fn policy_for_jobs(&self) -> PolicyNow {
        let now = self.read_policy();
        let local = self.pauses.local().unwrap_or_default();
        // The control plane hears of it with the refusal, and does not wait for the next look at the files.
        if self.status.status().paused != local {
            self.status.update(|status| status.paused = local);
        }
        match self.pauses.holds() {
            Some(why) => PolicyNow { paused: Some(why), ..PolicyNow::default() },
            None => now,
        }
    }
}

/// Takes jobs until cancelled; first finishes what was interrupted.
pub fn run(
    shared: Arc<Shared>,
    messages: mpsc::Receiver<ControlMessage>,
) -> impl Future<Output = ()> + Send + 'static {
    // At once: the watchers, which start beside it, must not take for somebody's what an interrupted restore left.
    let interrupted = interrupted(&shared);
    take_jobs(shared, messages, interrupted)
}

async fn take_jobs(
    shared: Arc<Shared>,
    mut messages: mpsc::Receiver<ControlMessage>,
    interrupted: Vec<(InterruptedJob, UnderWay)>,
) {
    let mut running = JoinSet::new();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    resume(&shared, interrupted, &slots, &mut running);
    running.spawn(sweep::run(shared.clone()));
    let mut clock = Clock::default();
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
            message = messages.recv() => match message {
                Some(ControlMessage::Job(envelope)) => receive(&shared, envelope, &slots, &mut running).await,
                Some(ControlMessage::Epoch(epoch)) => {
                    let _ = shared.journal(move |journal| journal.note_epoch(epoch)).await;
                }
                None => break,
            },
            // Also writes what could not be written before, and with it the reports that waited for that.
            _ = ticks.tick() => {
                clock.look(&shared.status);
                let now = shared.job_time();
                drop(shared.journal(move |journal| journal.tick(now)).await);
                shared.alive.jobs().beat();
            }
        }
    }
    // Jobs see the cancellation themselves and lift what must not stay; the rest is resumed after the next start.
    let _ =
        tokio::time::timeout(Duration::from_secs(4), async { while running.join_next().await.is_some() {} })
            .await;
    running.shutdown().await;
}

/// What was begun before this process started.
fn interrupted(shared: &Shared) -> Vec<(InterruptedJob, UnderWay)> {
    let journal = shared.journal.lock().unwrap_or_else(PoisonError::into_inner);
    let under_way = |job: InterruptedJob| {
        let under_way = shared.files.under_way(job.job_id);
        (job, under_way)
    };
    journal.get().interrupted().into_iter().map(under_way).collect()
}

/// Finishes it.
fn resume(
    shared: &Arc<Shared>,
    interrupted: Vec<(InterruptedJob, UnderWay)>,
    slots: &Arc<Semaphore>,
    running: &mut JoinSet<()>,
) {
    for (job, under_way) in interrupted {
        tracing::warn!(job = %job.job_id, phase = ?job.phase, "a job was interrupted; finding out how far it came");
        let (shared, slots) = (shared.clone(), slots.clone());
        running.spawn(async move {
            let _under_way = under_way;
            let Ok(_slot) = slots.acquire_owned().await else { return };
            resume_one(&shared, job).await;
        });
    }
}

async fn resume_one(shared: &Arc<Shared>, job: InterruptedJob) {
    wait_for_cluster(shared, INTERRUPTED_WAIT).await;
    let keys = shared.keys.borrow().clone();
    match admit::resume(job.envelope.clone(), job.job_id, &keys, &shared.me()) {
        Ok(admitted) => flow::resume(shared, admitted, job).await,
        Err(refusal) => {
            // It was believed once: whether it took effect cannot be found out without believing it again.
            let reason = format!("interrupted by a restart, and not to be resumed: {}", refusal.reason);
            let envelope_sha256 = refusal.envelope_sha256;
            let report = v1::JobReport {
                phase: ReportPhase::Unknown.into(),
                reason,
                ..refusal.of(job.job_id, envelope_sha256).report(shared.job_time())
            };
            flow::finish(shared, report).await;
        }
    }
}

/// Admits or refuses one job; an admitted one runs in its own task.
async fn receive(
    shared: &Arc<Shared>,
    envelope: v1::Envelope,
    slots: &Arc<Semaphore>,
    running: &mut JoinSet<()>,
) {
    nimbus_platform::reached("agent::received");
    wait_for_cluster(shared, CLUSTER_WAIT).await;
    let (me, keys) = (shared.me(), shared.keys.borrow().clone());
    let reader = shared.clone();
    let decided = shared
        .with_journal(move |store| {
            let policy = reader.policy_for_jobs();
            let now = reader.job_time();
            let ends = reader.status.status().leaving;
            let decided = decide(store, envelope, &keys, &me, (&policy, ends), now);
            decided.map_err(|refusal| {
                let report = Box::new(refusal.report(now));
                (refusal, (!store.get().keeps(&report)).then_some(report))
            })
        })
        .await;
    match decided {
        None => tracing::error!("the job journal stopped working; the job was not run"),
        Some(Err((refusal, unkept))) => {
            tracing::warn!(code = refusal.code.as_str(), reason = refusal.reason, "job refused");
            shared.counters.job(if refusal.code == Code::Replayed { "replay_refused" } else { "refused" });
            if let Some(report) = unkept
                && shared.refusals.try_send(report).is_err()
            {
                tracing::warn!("too many refusals wait to be sent; this one is dropped");
            }
        }
        Some(Ok(admitted)) => {
            tracing::info!(job = %admitted.id(), action = %admitted.action().kind(), "job admitted");
            let (shared, slots) = (shared.clone(), slots.clone());
            running.spawn(async move {
                let Ok(_slot) = slots.acquire_owned().await else { return };
                flow::run(&shared, admitted).await;
            });
        }
    }
}

/// Admission and its durable record are one step, so that two copies of a job cannot both pass.
fn decide(
    store: &mut JournalStore,
    envelope: v1::Envelope,
    keys: &[VerifyingKey],
    me: &Identity,
    (policy, ends): (&PolicyNow, bool),
    now: Timestamp,
) -> Result<AdmittedJob, Refusal> {
    let decided = admit::admit(envelope, keys, me, &policy.policy, store.get(), now)
        .map_err(|refusal| policy.explain(refusal))
        .and_then(|admitted| {
            if ends {
                let why = remedy::precondition("this agent is told to end, and begins nothing any more");
                return Err(admitted.refused(why, now));
            }
            Ok(admitted)
        });
    let recorded = match &decided {
        Ok(admitted) => store.change(|journal| journal.begin(admitted, now)),
        Err(refusal) => store.change(|journal| journal.refuse(refusal, now)),
    };
    match (decided, recorded) {
        (Ok(admitted), Err(problem)) => {
            // Without a durable record it could run twice.
            let refusal = remedy::precondition(format!("nothing is run without a journal: {problem}"))
                .of(admitted.id(), admitted.envelope_sha256());
            let report = refusal.report(now);
            let _ = store.change(|journal| journal.finish(report, now).unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use super::test_support::{ALLOW, JOB, envelope, shared};
    use super::*;

    /// A job, as the control plane sends it, at an agent that is told to end or is not.
    async fn received(ends: bool) -> (Arc<Shared>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.toml"), ALLOW).unwrap();
        let journal = JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
        let (shared, _refusals) = shared(dir.path(), journal, ClusterHandle::default());
        shared.status.update(|status| status.leaving = ends);
        let (slots, mut running) = (Arc::new(Semaphore::new(1)), JoinSet::new());
        receive(&shared, envelope(nimbus_platform::now()), &slots, &mut running).await;
        assert_eq!(running.len(), usize::from(!ends), "a job that is refused runs nowhere");
        running.shutdown().await;
        (shared, dir)
    }

    #[tokio::test]
    async fn an_agent_that_is_told_to_end_begins_no_job_and_says_so() {
        let (shared, _dir) = received(true).await;
        let journal = shared.journal.lock().unwrap();
        let reports = journal.get().unacknowledged(usize::MAX, |_| false);
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].job_id == JOB && reports[0].reason.contains("told to end"), "{reports:?}");
        assert!(journal.get().interrupted().is_empty());
    }

    #[tokio::test]
    async fn the_same_job_is_begun_by_one_that_goes_on() {
        let (shared, _dir) = received(false).await;
        assert_eq!(shared.journal.lock().unwrap().get().interrupted().len(), 1);
    }
}
