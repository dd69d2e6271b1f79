//! Signs the jobs that may be dispatched now, commits them with their envelopes, a few together, and sends each to its agent.
//!
//! A job leaves only after its commit. After a reconnect or a restart the same envelope goes out again, byte for
//! byte: the agent's journal makes that harmless, and it is the only way to know that the job arrived.

use std::collections::HashMap;

use nimbus_control_core::model::{ChangeSet, Job, JobState, Versioned};
use nimbus_control_core::remediation::{self, UnsignedJob};
use nimbus_protocol::ids::JobId;
use nimbus_store::StoreError;

use super::pass::{TRIES, log_audit};
use crate::app::App;
use crate::sign;

/// Jobs in one commit: each alone would wait for the disk as often as there are jobs, all together the first would wait for
/// the last one's rows.
const TOGETHER: usize = 16;
/// Version of a document after its first commit.
const FIRST_VERSION: i64 = 1;

/// What was pushed, and over which session.
#[derive(Debug, Default)]
pub struct Dispatch {
    pushed: HashMap<JobId, u64>,
}

impl Dispatch {
    /// One look.
    pub async fn pass(&mut self, app: &App) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            if self.issue(app).await? {
                break;
            }
        }
        self.push_again(app).await
    }

    /// Signs, commits and pushes what may go out now. False after a conflict: read again.
    async fn issue(&mut self, app: &App) -> Result<bool, StoreError> {
        let docs = app.docs().await?;
        let mut unsigned = app
            .with_snapshot(&docs, |snapshot| {
                remediation::dispatch(snapshot, app.epoch, app.now(), &mut app.ids())
            })
            .into_iter()
            .peekable();
        drop(docs);
        while unsigned.peek().is_some() {
            let some: Vec<ChangeSet> =
                unsigned.by_ref().take(TOGETHER).filter_map(|job| signed(app, job)).collect();
            let mut together = ChangeSet::default();
            some.iter().cloned().for_each(|job| together.join(job));
            match self.send(app, together).await {
                Ok(()) => {}
                // The database takes all but one of them: the others do not wait for it.
                Err(error) if error.is_of_the_row() => {
                    for job in some {
                        match self.send(app, job).await {
                            Err(error) if error.is_of_the_row() => {
                                tracing::error!(%error, "a job that cannot be kept is not sent");
                            }
                            Err(error) if error.is_conflict() => return Ok(false),
                            sent => sent?,
                        }
                    }
                }
                Err(error) if error.is_conflict() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Commits jobs, and pushes them after that.
    async fn send(&mut self, app: &App, changes: ChangeSet) -> Result<(), StoreError> {
        app.alive.engine().beat();
        app.commit(&changes).await?;
        log_audit(&changes);
        app.metrics.jobs_signed.increment(changes.jobs.len() as u64);
        nimbus_platform::reached("cp::signed");
        let stored = |job: Versioned<Job>| Versioned { version: FIRST_VERSION, doc: job.doc };
        self.push_all(app, changes.jobs.into_iter().map(stored).collect()).await
    }

    /// Pushes every job whose envelope the agent's present session has not carried yet. One that people paused meanwhile waits,
    /// until that ends or its own time is over.
    async fn push_again(&mut self, app: &App) -> Result<(), StoreError> {
        let docs = app.docs().await?;
        self.pushed.retain(|id, _| docs.jobs.iter().any(|job| job.doc.id == *id && waits(&job.doc)));
        let now = app.now();
        let is_due = |job: &&Versioned<Job>| {
            let session = app.sessions.number(job.doc.agent_id);
            waits(&job.doc)
                && now < job.doc.expires_at
                && session.is_some()
                && session != self.pushed.get(&job.doc.id).copied()
        };
        let is_paused = |job: &Job| {
            let agent = docs.agent(job.agent_id).map(|agent| &agent.doc);
            docs.pauses.iter().any(|pause| pause.doc.covers(&job.scope, agent))
        };
        let due = docs.jobs.iter().filter(is_due).filter(|job| !is_paused(&job.doc));
        let due: Vec<Versioned<Job>> = due.cloned().collect();
        drop(docs);
        for some in due.chunks(TOGETHER) {
            self.push_all(app, some.to_vec()).await?;
        }
        Ok(())
    }

    /// Pushes these jobs and notes which were sent.
    async fn push_all(&mut self, app: &App, mut jobs: Vec<Versioned<Job>>) -> Result<(), StoreError> {
        jobs.retain(|job| self.push(app, &job.doc));
        let noted = note_sent(app, &jobs).await;
        if noted.is_err() {
            // They go out again, byte for byte, and are noted then: one that is thought to wait would end as never sent.
            for job in &jobs {
                self.pushed.remove(&job.doc.id);
            }
        } else if !jobs.is_empty() {
            nimbus_platform::reached("cp::sent");
        }
        noted
    }

    /// Hands a job to its agent's session. False when it waits.
    fn push(&mut self, app: &App, job: &Job) -> bool {
        let Job { id, agent_id, envelope, .. } = job;
        // Somebody may have paused it while the job was stored.
        if app.documents.is_paused(*agent_id) {
            tracing::info!(job = %id, agent = %agent_id, "a job waits: its agent is paused");
            return false;
        }
        let envelope = match sign::from_document(envelope) {
            Ok(envelope) => envelope,
            Err(error) => {
                // It expires by itself, and its incident is planned anew.
                tracing::error!(%error, job = %id, "a job is not sent");
                return false;
            }
        };
        match app.sessions.push(*agent_id, envelope) {
            Ok(session) => {
                self.pushed.insert(*id, session);
                app.metrics.jobs_pushed.increment(1);
                true
            }
            Err(error) => {
                tracing::info!(%error, job = %id, agent = %agent_id, "a job waits");
                false
            }
        }
    }
}

/// What a job changes, with its envelope in its document. None for one whose agent was paused since this pass began to decide.
fn signed(app: &App, UnsignedJob { job, mut changes }: UnsignedJob) -> Option<ChangeSet> {
    let Some(document) = changes.jobs.first_mut() else {
        tracing::error!(job = job.job_id, "a job without its document is not sent");
        return None;
    };
    if app.documents.is_paused(document.doc.agent_id) {
        return None;
    }
    document.doc.envelope = sign::to_document(&app.keys.signer.sign(&job));
    Some(changes)
}

/// Notes that these jobs were sent.
async fn note_sent(app: &App, jobs: &[Versioned<Job>]) -> Result<(), StoreError> {
    let mut all = ChangeSet::default();
    for job in jobs {
        all.join(remediation::sent(job, app.now()));
    }
    if !noted(app, &all).await? {
        // An agent's report on one of them was faster: that job's is not needed any more.
        for job in jobs {
            noted(app, &remediation::sent(job, app.now())).await?;
        }
    }
    Ok(())
}

/// Commits that jobs were sent. False after a conflict.
async fn noted(app: &App, changes: &ChangeSet) -> Result<bool, StoreError> {
    if changes.is_empty() {
        return Ok(true);
    }
    match app.commit(changes).await {
        Ok(_) => log_audit(changes),
        Err(error) if error.is_conflict() => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Has no agent answered for it yet?
fn waits(job: &Job) -> bool {
    matches!(job.state, JobState::Pending | JobState::Dispatched)
}
