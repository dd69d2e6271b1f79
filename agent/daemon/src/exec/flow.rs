//! The one flow of every remedy: journal, check, act, report, verify, report. Interrupted jobs join it where they were.

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::journal::{Owed, Phase};
use nimbus_protocol::v1::job::Action;
use nimbus_protocol::v1::job_report::Phase as Told;
use nimbus_protocol::{from_micros, v1};

use super::Shared;
use super::accept_baseline::AcceptBaseline;
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use super::restart_pod::RestartPod;
use super::restore_file::RestoreFile;
use super::rollback_deployment::RollbackDeployment;
use crate::clock;
use crate::failpoint;

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
    let accepted = flow.report(Told::Accepted, String::new());
    shared.tell(&flow.job.get().cluster_uid, accepted).await;
    flow.dispatch(None).await;
}

/// Goes on with a job that a restart interrupted.
pub(super) async fn resume(shared: &Arc<Shared>, admitted: Admitted<v1::Job>, owed: Owed) {
    let flow = Flow { shared, job: Arc::new(admitted) };
    flow.dispatch(Some(owed)).await;
}

/// The last word on a job: durable in the journal, then in the spool.
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
    let stored = shared.outbox.report(cluster_uid, report).await;
    failpoint::reached("agent::reported");
    if stored && journalled.is_ok() {
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
                self.guarded(AcceptBaseline::new(self.shared.clone(), order.clone()), owed).await;
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
        if let Err(refusal) = remedy.check().await {
            return self.refused(refusal).await;
        }
        let (job_id, memo) = (self.job.get().job_id.clone(), remedy.memo());
        if let Err(problem) = self.advance(job_id, Phase::Intent, memo).await {
            return self
                .refused(precondition(format!("nothing is changed without a journal: {problem}")))
                .await;
        }
        failpoint::reached("agent::journalled");
        self.act(remedy).await;
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
        let _ = self.advance(job_id, Phase::Applied, memo).await;
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
        let expires = from_micros(self.job.get().expires_at_us);
        let now = clock::now();
        if now >= expires {
            let reason = format!("interrupted {when}; expected to act before {expires}, found {now}");
            let mut refusal = precondition(reason);
            refusal.code = nimbus_agent_core::Code::Expired;
            return self.refused(refusal).await;
        }
        if let Err(refusal) = remedy.check().await {
            return self.refused(refusal).await;
        }
        let (job_id, memo) = (self.job.get().job_id.clone(), remedy.memo());
        // The intent may be in the journal already; the memo of this try must be too.
        if let Err(problem) = self.advance(job_id, Phase::Intent, memo).await {
            return self
                .refused(precondition(format!("nothing is changed without a journal: {problem}")))
                .await;
        }
        self.act(remedy).await;
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

    async fn advance(&self, job_id: String, to: Phase, memo: Vec<u8>) -> Result<(), String> {
        let refused = Arc::new(std::sync::Mutex::new(None));
        let said = refused.clone();
        self.shared
            .journal(move |journal| {
                // A second try after an interruption is at this phase already; only its memo is new.
                journal.advance(&job_id, to, &memo, clock::now()).unwrap_or_else(|error| {
                    if let Ok(mut said) = said.lock() {
                        *said = Some(error.to_string());
                    }
                    Vec::new()
                })
            })
            .await?;
        match refused.lock().ok().and_then(|mut refused| refused.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
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
