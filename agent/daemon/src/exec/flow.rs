//! The one flow of every remedy: journal, check, act, report, verify, report. Interrupted jobs join it where they were.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::{self, Admitted};
use nimbus_agent_core::journal::{Owed, Phase};
use nimbus_protocol::v1;
use nimbus_protocol::v1::job::Action;
use nimbus_protocol::v1::job_report::Phase as Told;

use super::accept_baseline::AcceptBaseline;
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use super::restart_pod::RestartPod;
use super::restore_file::RestoreFile;
use super::rollback_deployment::RollbackDeployment;
use super::{Shared, because_of};
use crate::clock;
use crate::failpoint;
use crate::files::journal::JournalStore;

/// Tries to lift what was only needed on the way, and the wait between two.
const CLEAN_UP: (u32, Duration) = (10, Duration::from_secs(2));
/// Longest wait of an interrupted job for an answer whether its effect is there.
const PROBE: Duration = Duration::from_mins(2);

struct Flow<'a> {
    shared: &'a Arc<Shared>,
    job: Arc<Admitted<v1::Job>>,
}

/// Runs a job that was just admitted.
pub(super) async fn run(shared: &Arc<Shared>, admitted: Admitted<v1::Job>) {
    let flow = Flow { shared, job: Arc::new(admitted) };
    // It may have waited long for a slot: what is over by then is not taken first and refused later.
    if let Err(refusal) = flow.under_policy(|_| Ok(())).await {
        return flow.refused(refusal).await;
    }
    let accepted = flow.report(Told::Accepted, String::new());
    shared.tell(&flow.job.get().cluster_uid, accepted).await;
    flow.dispatch(None).await;
}

/// Goes on with a job that a restart interrupted.
pub(super) async fn resume(shared: &Arc<Shared>, admitted: Admitted<v1::Job>, owed: Owed) {
    let flow = Flow { shared, job: Arc::new(admitted) };
    flow.dispatch(Some(owed)).await;
}

/// The last word on a job: durable in the journal, then in the spool. While the journal cannot be written it is held
/// back: after a restart the job would be owed still, and might end in another way.
pub(super) async fn finish(shared: &Arc<Shared>, cluster_uid: &str, report: v1::JobReport) {
    let outcome = outcome(report.phase());
    shared.counters.job(outcome);
    tracing::info!(job = report.job_id, outcome, reason = report.reason, "job ended");
    let (job_id, final_report) = (report.job_id.clone(), report.clone());
    let journalled = shared
        .journal(move |journal| {
            journal.finish(&final_report, clock::now()).unwrap_or_else(|error| {
                tracing::error!(%error, "the journal did not take a job's end");
                Vec::new()
            })
        })
        .await;
    if let Err(problem) = journalled {
        tracing::error!(
            job = job_id,
            problem,
            "what became of a job is told once the journal can be written"
        );
        shared.held_back.store(true, Ordering::SeqCst);
        return;
    }
    let stored = shared.outbox.report(cluster_uid, report).await;
    failpoint::reached("agent::reported");
    if stored {
        let _ = shared.journal(move |journal| journal.reported(&job_id)).await;
    }
}

fn outcome(phase: Told) -> &'static str {
    match phase {
        Told::Succeeded => "succeeded",
        Told::Refused => "refused",
        Told::ReplayRefused => "replay_refused",
        Told::Compensated => "compensated",
        Told::Failed => "failed",
        _ => "unknown",
    }
}

/// Durably in this phase. A second try after an interruption is there already; only its memo is new.
fn advance(
    shared: &Shared,
    store: &mut JournalStore,
    job_id: &str,
    to: Phase,
    memo: &[u8],
) -> Result<(), String> {
    let mut unfit = Ok(());
    let written = store.change(|journal| {
        journal.advance(job_id, to, memo, clock::now()).unwrap_or_else(|error| {
            unfit = Err(error.to_string());
            Vec::new()
        })
    });
    shared.board.problem("journal", written.as_ref().err().cloned());
    written.and(unfit)
}

impl Flow<'_> {
    async fn dispatch(&self, owed: Option<Owed>) {
        let job = self.job.clone();
        match &job.get().action {
            Some(Action::RestartPod(order)) => {
                self.guarded(RestartPod::new(self.shared.clone(), job.clone(), order.clone()), owed).await;
            }
            Some(Action::RollbackDeployment(order)) => {
                self.guarded(RollbackDeployment::new(self.shared.clone(), job.clone(), order.clone()), owed)
                    .await;
            }
            Some(Action::RestoreFile(order)) => {
                self.guarded(RestoreFile::new(self.shared.clone(), &job, order.clone()), owed).await;
            }
            Some(Action::AcceptBaseline(order)) => {
                self.guarded(AcceptBaseline::new(self.shared.clone(), &job, order.clone()), owed).await;
            }
            // Admission lets only known actions through; a newer build's job owed to an older one ends here.
            None => self.refused(precondition("expected a known action, found none")).await,
        }
    }

    /// Runs to the end, or, when the agent stops, lifts what must not stay and leaves the rest owed.
    async fn guarded<R: Remedy>(&self, mut remedy: R, owed: Option<Owed>) {
        let stopped = tokio::select! {
            () = self.shared.cancel.cancelled() => true,
            () = self.steps(&mut remedy, owed) => false,
        };
        if stopped {
            let _ = tokio::time::timeout(Duration::from_secs(3), remedy.clean_up()).await;
        }
    }

    async fn steps<R: Remedy>(&self, remedy: &mut R, owed: Option<Owed>) {
        match owed {
            None => self.fresh(remedy).await,
            Some(owed) => {
                remedy.recall(&owed.memo);
                match owed.phase {
                    Phase::Received => self.again(remedy, "before it acted").await,
                    Phase::Intent => self.find_out(remedy).await,
                    _ => self.verify(remedy).await,
                }
            }
        }
    }

    async fn fresh<R: Remedy>(&self, remedy: &mut R) {
        match self.begin(remedy).await {
            Ok(()) => {
                failpoint::reached("agent::journalled");
                self.act(remedy).await;
            }
            Err(refusal) => self.refused(refusal).await,
        }
    }

    /// What comes right before acting. However long the job waited, for a slot or for its target: it may have expired,
    /// and the local policy may forbid it by now.
    async fn begin<R: Remedy>(&self, remedy: &mut R) -> Result<(), Refusal> {
        remedy.check().await?;
        let (job_id, memo) = (self.job.get().job_id.clone(), remedy.memo());
        // In one step with the record of it, so that nothing waits in between. After an interruption the intent may be
        // in the journal already; the memo of this try must be too.
        let shared = self.shared.clone();
        self.under_policy(move |store| advance(&shared, store, &job_id, Phase::Intent, &memo)).await
    }

    /// Does what belongs to the beginning if the job may still begin by the policy file as it is now.
    async fn under_policy(
        &self,
        then: impl FnOnce(&mut JournalStore) -> Result<(), String> + Send + 'static,
    ) -> Result<(), Refusal> {
        let (shared, job) = (self.shared.clone(), self.job.clone());
        let asked = self.shared.with_journal(move |store| {
            let (policy, problem) = shared.read_policy();
            admit::may_begin(&job, &policy, store.get(), clock::now())
                .map_err(|refusal| because_of(refusal, problem.as_deref()))?;
            then(store)
                .map_err(|problem| precondition(format!("nothing is changed without a journal: {problem}")))
        });
        let stopped = || Err(precondition("nothing is changed without a journal: it stopped working"));
        asked.await.unwrap_or_else(stopped)
    }

    async fn act<R: Remedy>(&self, remedy: &mut R) {
        let limits = Limits::of(self.job.get());
        let acted = tokio::time::timeout(limits.act, remedy.act()).await;
        let acted = acted.unwrap_or_else(|_| {
            Err(ActError::Uncertain(format!("it took longer than {} ms", limits.act.as_millis())))
        });
        match acted {
            Ok(evidence) => {
                failpoint::reached("agent::applied");
                self.applied(remedy, evidence).await;
            }
            Err(ActError::Refused(refusal)) => {
                self.clean_up(remedy).await;
                self.refused(refusal).await;
            }
            Err(ActError::Failed(reason)) => {
                let left = self.clean_up(remedy).await;
                self.end(Verdict { evidence: left, ..Verdict::new(Told::Failed, reason) }).await;
            }
            Err(ActError::Uncertain(reason)) => match self.probe(remedy).await {
                Probe::There => self.applied(remedy, vec![reason]).await,
                Probe::NotThere => {
                    let left = self.clean_up(remedy).await;
                    let reason = format!("{reason}; nothing was changed");
                    self.end(Verdict { evidence: left, ..Verdict::new(Told::Failed, reason) }).await;
                }
                Probe::Unknown(why) => {
                    let left = self.clean_up(remedy).await;
                    let reason = format!("{reason}; whether it took effect cannot be told: {why}");
                    self.end(Verdict { evidence: left, ..Verdict::new(Told::Unknown, reason) }).await;
                }
            },
        }
    }

    async fn applied<R: Remedy>(&self, remedy: &mut R, evidence: Vec<String>) {
        let (job_id, memo) = (self.job.get().job_id.clone(), remedy.memo());
        // The effect is there: a journal that cannot say so changes nothing about it, and a probe would find it.
        let shared = self.shared.clone();
        let _ = self
            .shared
            .with_journal(move |store| advance(&shared, store, &job_id, Phase::Applied, &memo))
            .await;
        let mut report = self.report(Told::Applied, String::new());
        report.evidence = evidence;
        self.shared.tell(&self.job.get().cluster_uid, report).await;
        self.verify(remedy).await;
    }

    async fn verify<R: Remedy>(&self, remedy: &mut R) {
        let mut verdict = remedy.verify().await;
        verdict.evidence.extend(self.clean_up(remedy).await);
        failpoint::reached("agent::verified");
        self.end(verdict).await;
    }

    /// Interrupted between the intent and the word that it was done: is the effect there?
    async fn find_out<R: Remedy>(&self, remedy: &mut R) {
        match self.probe(remedy).await {
            Probe::There => {
                let evidence = vec!["found done after the agent was interrupted while acting".to_owned()];
                self.applied(remedy, evidence).await;
            }
            Probe::NotThere => {
                // Whatever it closed on the way is opened before it starts anew or gives up.
                self.clean_up(remedy).await;
                self.again(remedy, "while it was about to act; nothing had been changed").await;
            }
            Probe::Unknown(why) => {
                let left = self.clean_up(remedy).await;
                let reason =
                    format!("interrupted while acting, and whether it took effect cannot be told: {why}");
                self.end(Verdict { evidence: left, ..Verdict::new(Told::Unknown, reason) }).await;
            }
        }
    }

    /// Nothing was changed before the interruption: acts now if the job still may, otherwise says why not.
    async fn again<R: Remedy>(&self, remedy: &mut R, when: &str) {
        // Asked first too, as for a job that is over it does not matter what became of its target.
        let begun = match self.under_policy(|_| Ok(())).await {
            Ok(()) => self.begin(remedy).await,
            refused => refused,
        };
        match begun {
            Ok(()) => self.act(remedy).await,
            Err(mut refusal) => {
                refusal.reason = format!("interrupted {when}; {}", refusal.reason);
                self.refused(refusal).await;
            }
        }
    }

    async fn probe<R: Remedy>(&self, remedy: &mut R) -> Probe {
        let mut waited = Duration::ZERO;
        let mut wait = Duration::from_millis(500);
        loop {
            match remedy.probe().await {
                Probe::Unknown(why) if waited >= PROBE => return Probe::Unknown(why),
                Probe::Unknown(_) => {}
                known => return known,
            }
            tokio::time::sleep(wait).await;
            waited += wait;
            wait = (wait * 2).min(Duration::from_secs(10));
        }
    }

    /// Lifts what was only needed on the way, with patience; what is left over goes into the evidence.
    async fn clean_up<R: Remedy>(&self, remedy: &mut R) -> Vec<String> {
        let mut left = String::new();
        for _ in 0..CLEAN_UP.0 {
            match remedy.clean_up().await {
                Ok(()) => return Vec::new(),
                Err(problem) => left = problem,
            }
            tokio::time::sleep(CLEAN_UP.1).await;
        }
        tracing::error!(job = self.job.get().job_id, left, "not cleaned up yet; the leader goes on trying");
        vec![format!("left over, and tried again by the leading agent: {left}")]
    }

    async fn refused(&self, refusal: Refusal) {
        let job = self.job.get();
        let refusal = refusal.of(&job.job_id, self.job.envelope_sha256());
        let report = refusal.report(clock::now());
        finish(self.shared, &job.cluster_uid, report).await;
    }

    async fn end(&self, verdict: Verdict) {
        let mut report = self.report(verdict.phase, verdict.reason);
        report.evidence = verdict.evidence;
        (report.replacement_uid, report.replacement_name) = verdict.replacement.unwrap_or_default();
        finish(self.shared, &self.job.get().cluster_uid, report).await;
    }

    fn report(&self, phase: Told, reason: String) -> v1::JobReport {
        v1::JobReport {
            job_id: self.job.get().job_id.clone(),
            phase: phase.into(),
            at_us: clock::now_us(),
            reason,
            envelope_sha256: self.job.envelope_sha256().to_vec(),
            ..v1::JobReport::default()
        }
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
