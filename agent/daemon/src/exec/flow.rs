//! The steps that every remedy's executor goes through: write the journal, check preconditions, act, report, verify,
//! compensate where the change did not help, report the end. A job that a restart interrupted continues at the step
//! that it had reached.

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::{self, AdmittedJob};
use nimbus_agent_core::journal::{InterruptedJob, Phase, Step};
use nimbus_platform::DoublingWait;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;

use super::Shared;
use super::accept_baseline::AcceptBaseline;
use super::expand_volume::ExpandVolume;
use super::raise_autoscaler_maximum::RaiseAutoscalerMaximum;
use super::raise_memory_limit::RaiseMemoryLimit;
use super::remedy::{
    ActError, Compensation, Effect, Limits, Outcome, Remedy, ReportPhase, Verdict, precondition, seconds,
};
use super::renew_certificate::RenewCertificate;
use super::restart_pod::RestartPod;
use super::restart_unit::RestartUnit;
use super::restore_file::RestoreFile;
use super::rollback_deployment::RollbackDeployment;
use super::scale_workload::ScaleWorkload;
use super::uncordon_node::UncordonNode;
use super::withdraw_baseline::WithdrawBaseline;
use crate::files::journal::JournalStore;

/// Tries to lift what was only needed on the way, and the wait between two.
const CLEAN_UP: (u32, Duration) = (10, Duration::from_secs(2));
/// Longest wait of an interrupted job for an answer whether its effect is there.
const PROBE: Duration = Duration::from_mins(2);

struct Flow<'a> {
    shared: &'a Arc<Shared>,
    job: Arc<AdmittedJob>,
}

/// Runs a job that was just admitted.
pub(super) async fn run(shared: &Arc<Shared>, admitted: AdmittedJob) {
    let flow = Flow { shared, job: Arc::new(admitted) };
    // It may have waited long for a slot: what is over by then is not accepted first and refused later.
    let accepted = flow.report(ReportPhase::Accepted, String::new());
    let step = Step { report: Some(accepted), ..Step::to(Phase::Received, Vec::new()) };
    match flow.under_policy(Some(step)).await {
        Ok(()) => flow.dispatch(None).await,
        Err(refusal) => flow.refused(refusal).await,
    }
}

/// Goes on with a job that a restart interrupted.
pub(super) async fn resume(shared: &Arc<Shared>, admitted: AdmittedJob, interrupted: InterruptedJob) {
    let flow = Flow { shared, job: Arc::new(admitted) };
    flow.dispatch(Some(interrupted)).await;
}

/// The final report of a job goes into the journal. While that cannot be written it is not sent: after a restart the
/// job would be resumed, and might end in another way.
pub(super) async fn finish(shared: &Arc<Shared>, report: v1::JobReport) {
    let outcome = outcome(report.phase());
    shared.counters.job(outcome);
    tracing::info!(job = report.job_id, outcome, reason = report.reason, "job ended");
    let (job_id, now) = (report.job_id.clone(), shared.job_time());
    let journalled = shared
        .journal(move |journal| {
            journal.finish(report, now).unwrap_or_else(|error| {
                tracing::error!(%error, "the journal did not take a job's end");
                Vec::new()
            })
        })
        .await;
    match journalled {
        Ok(()) => nimbus_platform::reached("agent::reported"),
        Err(problem) => tracing::error!(
            job = job_id,
            problem,
            "what became of a job is reported once the journal can be written"
        ),
    }
}

fn outcome(phase: ReportPhase) -> &'static str {
    match phase {
        ReportPhase::Succeeded => "succeeded",
        ReportPhase::Refused => "refused",
        ReportPhase::ReplayRefused => "replay_refused",
        ReportPhase::Compensated => "compensated",
        ReportPhase::Failed => "failed",
        // The other phases end no job.
        ReportPhase::Unknown | ReportPhase::Unspecified | ReportPhase::Accepted | ReportPhase::Applied => {
            "unknown"
        }
    }
}

/// Takes the step durably. A second try after an interruption is in that phase already; only its checkpoint is new.
fn advance(shared: &Shared, store: &mut JournalStore, job_id: JobId, step: Step) -> Result<(), String> {
    let (mut unfit, now) = (Ok(()), shared.job_time());
    let written = store.change(|journal| {
        journal.advance(job_id, step, now).unwrap_or_else(|error| {
            unfit = Err(error.to_string());
            Vec::new()
        })
    });
    shared.status.problem("journal", written.as_ref().err().cloned());
    written.and(unfit)
}

impl Flow<'_> {
    async fn dispatch(&self, interrupted: Option<InterruptedJob>) {
        let (shared, job) = (self.shared.clone(), self.job.clone());
        match job.action().clone() {
            Body::RestartPod(action) => {
                self.guarded(RestartPod::new(shared, &job, action), interrupted).await;
            }
            Body::RollbackDeployment(action) => {
                self.guarded(RollbackDeployment::new(shared, &job, action), interrupted).await;
            }
            Body::RaiseMemoryLimit(action) => {
                self.guarded(RaiseMemoryLimit::new(shared, &job, action), interrupted).await;
            }
            Body::ExpandVolume(action) => {
                self.guarded(ExpandVolume::new(shared, &job, action), interrupted).await;
            }
            Body::RaiseAutoscalerMaximum(action) => {
                self.guarded(RaiseAutoscalerMaximum::new(shared, &job, action), interrupted).await;
            }
            Body::RenewCertificate(action) => {
                self.guarded(RenewCertificate::new(shared, &job, action), interrupted).await;
            }
            Body::ScaleWorkload(action) => {
                self.guarded(ScaleWorkload::new(shared, &job, action), interrupted).await;
            }
            Body::RestoreFile(action) => {
                self.guarded(RestoreFile::new(shared, &job, action), interrupted).await;
            }
            Body::RestartUnit(action) => {
                self.guarded(RestartUnit::new(shared, &job, action), interrupted).await;
            }
            Body::UncordonNode(action) => {
                self.guarded(UncordonNode::new(shared, &job, action), interrupted).await;
            }
            Body::AcceptBaseline(action) => {
                self.guarded(AcceptBaseline::new(shared, &job, action), interrupted).await;
            }
            Body::WithdrawBaseline(action) => {
                self.guarded(WithdrawBaseline::new(shared, &job, action), interrupted).await;
            }
        }
    }

    /// Runs to the end, or, when the agent stops, lifts what must not stay and leaves the rest to the next start.
    async fn guarded<R: Remedy>(&self, mut remedy: R, interrupted: Option<InterruptedJob>) {
        let stopped = tokio::select! {
            () = self.shared.cancel.cancelled() => true,
            () = self.steps(&mut remedy, interrupted) => false,
        };
        if stopped {
            let _ = tokio::time::timeout(Duration::from_secs(3), remedy.clean_up()).await;
        }
    }

    async fn steps<R: Remedy>(&self, remedy: &mut R, interrupted: Option<InterruptedJob>) {
        let Some(interrupted) = interrupted else { return self.fresh(remedy).await };
        remedy.restore(&interrupted.checkpoint);
        match interrupted.phase {
            Phase::Received => self.restart(remedy, "before it acted").await,
            Phase::Intent => self.find_out(remedy).await,
            Phase::Applied => self.verify(remedy).await,
            Phase::Compensating => {
                let reason = format!("{}; interrupted while it was being undone", interrupted.undone_because);
                self.undo(remedy, Verdict::new(Outcome::Failed, reason)).await;
            }
            // The journal gives no job that is done.
            Phase::Done => {}
        }
    }

    async fn fresh<R: Remedy>(&self, remedy: &mut R) {
        match self.begin(remedy).await {
            Ok(()) => {
                nimbus_platform::reached("agent::journalled");
                self.act(remedy).await;
            }
            Err(refusal) => self.refused(refusal).await,
        }
    }

    /// What comes right before acting. However long the job waited, for a slot or for its target: it may have expired,
    /// and the local policy may forbid it by now.
    async fn begin<R: Remedy>(&self, remedy: &mut R) -> Result<(), Refusal> {
        remedy.check().await?;
        // In one step with the record of it, so that nothing waits in between. After an interruption the intent may be
        // in the journal already; the checkpoint of this try must be too.
        self.under_policy(Some(Step::to(Phase::Intent, remedy.checkpoint()))).await
    }

    /// Takes the step, if there is one, if the job may still begin by the policy files as they are now.
    async fn under_policy(&self, step: Option<Step>) -> Result<(), Refusal> {
        let (shared, job) = (self.shared.clone(), self.job.clone());
        let asked = self.shared.with_journal(move |store| {
            let (now, time) = (shared.policy_for_jobs(), shared.job_time());
            admit::may_begin(&job, &now.policy, store.get(), time).map_err(|refusal| now.explain(refusal))?;
            let taken = step.map_or(Ok(()), |step| advance(&shared, store, job.id(), step));
            taken.map_err(|problem| precondition(format!("nothing is changed without a journal: {problem}")))
        });
        let stopped = || Err(precondition("nothing is changed without a journal: it stopped working"));
        asked.await.unwrap_or_else(stopped)
    }

    async fn step(&self, step: Step) -> Result<(), String> {
        let (shared, job_id) = (self.shared.clone(), self.job.id());
        let taken = self.shared.with_journal(move |store| advance(&shared, store, job_id, step)).await;
        taken.unwrap_or_else(|| Err("the job journal stopped working".to_owned()))
    }

    async fn act<R: Remedy>(&self, remedy: &mut R) {
        let limits = Limits::of(self.job.job(), self.shared.job_time());
        let acted = tokio::time::timeout(limits.act, remedy.act()).await;
        let acted = acted.unwrap_or_else(|_| {
            Err(ActError::Uncertain(format!("it took longer than {}", seconds(limits.act))))
        });
        match acted {
            Ok(evidence) => {
                nimbus_platform::reached("agent::applied");
                self.applied(remedy, evidence).await;
            }
            Err(ActError::Refused(refusal)) => {
                self.clean_up(remedy).await;
                self.refused(refusal).await;
            }
            Err(ActError::Failed(reason)) => {
                let left = self.clean_up(remedy).await;
                self.end(Verdict { evidence: left, ..Verdict::new(Outcome::Failed, reason) }).await;
            }
            Err(ActError::Uncertain(reason)) => match self.probe(remedy).await {
                Effect::Present => self.applied(remedy, vec![reason]).await,
                Effect::Absent => {
                    let left = self.clean_up(remedy).await;
                    let reason = format!("{reason}; nothing was changed");
                    self.end(Verdict { evidence: left, ..Verdict::new(Outcome::Failed, reason) }).await;
                }
                Effect::Unknown(why) => {
                    let left = self.clean_up(remedy).await;
                    let reason = format!("{reason}; whether it took effect is not known: {why}");
                    self.end(Verdict { evidence: left, ..Verdict::new(Outcome::Unknown, reason) }).await;
                }
            },
        }
    }

    async fn applied<R: Remedy>(&self, remedy: &mut R, evidence: Vec<String>) {
        let report = v1::JobReport { evidence, ..self.report(ReportPhase::Applied, String::new()) };
        let step = Step { report: Some(report), ..Step::to(Phase::Applied, remedy.checkpoint()) };
        // The effect is there: a journal that cannot say so changes nothing about it, and a probe would find it.
        let _ = self.step(step).await;
        self.verify(remedy).await;
    }

    async fn verify<R: Remedy>(&self, remedy: &mut R) {
        let mut verdict = remedy.verify().await;
        nimbus_platform::reached("agent::verified");
        match verdict.outcome {
            Outcome::Failed => self.compensate(remedy, verdict).await,
            Outcome::Succeeded | Outcome::Unknown => {
                verdict.evidence.extend(self.clean_up(remedy).await);
                self.end(verdict).await;
            }
        }
    }

    /// The change did not help: the journal knows that it is to be undone before it is.
    async fn compensate<R: Remedy>(&self, remedy: &mut R, mut verdict: Verdict) {
        let step = Step {
            undone_because: verdict.reason.clone(),
            ..Step::to(Phase::Compensating, remedy.checkpoint())
        };
        match self.step(step).await {
            Ok(()) => self.undo(remedy, verdict).await,
            Err(problem) => {
                verdict.evidence.extend(self.clean_up(remedy).await);
                verdict.reason =
                    format!("{}; not undone, as nothing is without a journal: {problem}", verdict.reason);
                self.end(verdict).await;
            }
        }
    }

    async fn undo<R: Remedy>(&self, remedy: &mut R, mut verdict: Verdict) {
        nimbus_platform::reached("agent::compensating");
        let limit = Limits::of(self.job.job(), self.shared.job_time()).act;
        let undone = tokio::time::timeout(limit, remedy.compensate()).await;
        let undone = undone
            .unwrap_or_else(|_| Compensation::Failed(format!("it took longer than {}", seconds(limit))));
        verdict.evidence.extend(self.clean_up(remedy).await);
        let reason = std::mem::take(&mut verdict.reason);
        match undone {
            Compensation::Undone(evidence) => {
                verdict.evidence.extend(evidence);
                verdict.reason = format!("{reason}; all is as it was before the job");
                self.end_as(ReportPhase::Compensated, verdict).await;
            }
            Compensation::NotReversible(why) => {
                verdict.reason = format!("{reason}; not undone: {why}");
                self.end(verdict).await;
            }
            Compensation::Failed(left) => {
                verdict.reason = format!("{reason}; it could not be undone: {left}");
                self.end(verdict).await;
            }
        }
    }

    /// Interrupted between the intent and the record that it was done: is the effect there?
    async fn find_out<R: Remedy>(&self, remedy: &mut R) {
        match self.probe(remedy).await {
            Effect::Present => {
                let evidence = vec!["found done after the agent was interrupted while acting".to_owned()];
                self.applied(remedy, evidence).await;
            }
            Effect::Absent => {
                // A node that it held on the way is let go before it starts anew or gives up.
                self.clean_up(remedy).await;
                self.restart(remedy, "while it was about to act; nothing had been changed").await;
            }
            Effect::Unknown(why) => {
                let left = self.clean_up(remedy).await;
                let reason =
                    format!("interrupted while acting, and whether it took effect is not known: {why}");
                self.end(Verdict { evidence: left, ..Verdict::new(Outcome::Unknown, reason) }).await;
            }
        }
    }

    /// Nothing was changed before the interruption: acts now if the job still may, otherwise says why not.
    async fn restart<R: Remedy>(&self, remedy: &mut R, when: &str) {
        // Asked first too, as for a job that is over it does not matter what became of its target.
        let begun = match self.under_policy(None).await {
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

    async fn probe<R: Remedy>(&self, remedy: &mut R) -> Effect {
        let mut waited = Duration::ZERO;
        let mut waits = DoublingWait::new(Duration::from_millis(500), Duration::from_secs(10));
        loop {
            match remedy.probe().await {
                Effect::Unknown(why) if waited >= PROBE => return Effect::Unknown(why),
                Effect::Unknown(_) => {}
                known => return known,
            }
            let wait = waits.next();
            tokio::time::sleep(wait).await;
            waited += wait;
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
        tracing::error!(job = %self.job.id(), left, "not cleaned up yet; the leader goes on trying");
        vec![format!("left over, and tried again by the leading agent: {left}")]
    }

    async fn refused(&self, refusal: Refusal) {
        let refusal = refusal.of(self.job.id(), self.job.envelope_sha256());
        finish(self.shared, refusal.report(self.shared.job_time())).await;
    }

    async fn end(&self, verdict: Verdict) {
        let phase = match verdict.outcome {
            Outcome::Succeeded => ReportPhase::Succeeded,
            Outcome::Failed => ReportPhase::Failed,
            Outcome::Unknown => ReportPhase::Unknown,
        };
        self.end_as(phase, verdict).await;
    }

    async fn end_as(&self, phase: ReportPhase, verdict: Verdict) {
        let mut report = self.report(phase, verdict.reason);
        report.evidence = verdict.evidence;
        (report.replacement_uid, report.replacement_name) = verdict.replacement.unwrap_or_default();
        finish(self.shared, report).await;
    }

    fn report(&self, phase: ReportPhase, reason: String) -> v1::JobReport {
        v1::JobReport {
            job_id: self.job.id().to_string(),
            phase: phase.into(),
            at_us: nimbus_protocol::to_micros(self.shared.job_time()),
            reason,
            envelope_sha256: self.job.envelope_sha256().to_vec(),
            ..v1::JobReport::default()
        }
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
