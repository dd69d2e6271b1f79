//! Signs the jobs that may be dispatched now, commits each with its envelope, and sends it to its agent.
//!
//! A job leaves only after its commit. After a reconnect or a restart the same envelope goes out again, byte for
//! byte: the agent's journal makes that harmless, and it is the only way to know that the job arrived.

use std::collections::HashMap;

use nimbus_control_core::model::{Job, JobState, Versioned};
use nimbus_control_core::remediation::{self, UnsignedJob};
use nimbus_protocol::ids::JobId;
use nimbus_store::StoreError;

use super::pass::{TRIES, log_audit};
use crate::app::App;
use crate::sign;

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
        let unsigned = app.with_snapshot(&docs, |snapshot| {
            remediation::dispatch(snapshot, app.epoch, app.now(), &mut app.ids())
        });
        for UnsignedJob { job, mut changes } in unsigned {
            let envelope = app.keys.signer.sign(&job);
            let Some(document) = changes.jobs.first_mut() else {
                tracing::error!(job = job.job_id, "a job without its document is not sent");
                continue;
            };
            document.doc.envelope = sign::to_document(&envelope);
            let document = Versioned { version: FIRST_VERSION, doc: document.doc.clone() };
            match app.commit(&changes).await {
                Ok(_) => log_audit(&changes),
                Err(error) if error.is_conflict() => return Ok(false),
                Err(error) => return Err(error),
            }
            app.metrics.jobs_signed.increment(1);
            nimbus_platform::reached("cp::signed");
            self.push(app, &document).await?;
        }
        Ok(true)
    }

    /// Pushes every job whose envelope the agent's present session has not carried yet.
    async fn push_again(&mut self, app: &App) -> Result<(), StoreError> {
        let docs = app.docs().await?;
        self.pushed.retain(|id, _| docs.jobs.iter().any(|job| job.doc.id == *id && waits(&job.doc)));
        let now = app.now();
        for job in docs.jobs.iter().filter(|job| waits(&job.doc) && now < job.doc.expires_at) {
            let session = app.sessions.number(job.doc.agent_id);
            if session.is_some() && session != self.pushed.get(&job.doc.id).copied() {
                self.push(app, job).await?;
            }
        }
        Ok(())
    }

    async fn push(&mut self, app: &App, job: &Versioned<Job>) -> Result<(), StoreError> {
        let Job { id, agent_id, envelope, .. } = &job.doc;
        let envelope = match sign::from_document(envelope) {
            Ok(envelope) => envelope,
            Err(error) => {
                // It expires by itself, and its incident is planned anew.
                tracing::error!(%error, job = %id, "a job is not sent");
                return Ok(());
            }
        };
        match app.sessions.push(*agent_id, envelope) {
            Ok(session) => {
                self.pushed.insert(*id, session);
            }
            Err(error) => {
                tracing::info!(%error, job = %id, agent = %agent_id, "a job waits");
                return Ok(());
            }
        }
        app.metrics.jobs_pushed.increment(1);
        let changes = remediation::sent(job, app.now());
        if !changes.is_empty() {
            match app.commit(&changes).await {
                Ok(_) => log_audit(&changes),
                // The agent's report was faster.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        nimbus_platform::reached("cp::sent");
        Ok(())
    }
}

/// Has no agent answered for it yet?
fn waits(job: &Job) -> bool {
    matches!(job.state, JobState::Pending | JobState::Dispatched)
}
