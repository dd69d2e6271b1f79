//! Applies agents' job reports, each once and in a commit of its own; only then is a report acknowledged.

use std::borrow::Cow;

use nimbus_control_core::model::{Job, Versioned};
use nimbus_control_core::remediation;
use nimbus_control_core::unsolicited_reports::{Noted, UnsolicitedReports};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::{sha256, v1};
use nimbus_store::StoreError;
use prost::Message as _;

use super::pass::{TRIES, log_audit};
use crate::app::App;
use crate::documents::Docs;
use crate::sign;

/// Reports that one pass takes at most; the rest follows in the next one.
const MOST: usize = 256;

/// The taker of reports.
#[derive(Debug, Default)]
pub struct Reports {
    unsolicited: UnsolicitedReports,
}

impl Reports {
    /// Takes what waits, oldest first. True when more waits.
    pub async fn pass(&mut self, app: &App) -> Result<bool, StoreError> {
        for _ in 0..MOST {
            let Some(waiting) = app.reports.next() else { return Ok(false) };
            match self.take(app, waiting.agent, &waiting.report).await {
                Ok(true) => waiting.acknowledge(),
                Ok(false) => {
                    tracing::warn!(agent = %waiting.agent, "{TRIES} conflicts in a row; taken at the next look");
                    app.reports.requeue(waiting);
                    return Ok(false);
                }
                // The database takes everything but this one: everybody else goes on. It is not acknowledged. Its session
                // ends, and the agent sends it again with the next one.
                Err(error) if error.is_of_the_row() => {
                    tracing::error!(%error, agent = %waiting.agent, "a report cannot be kept; it is asked for again");
                }
                Err(error) => {
                    app.reports.requeue(waiting);
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// Commits what one report changes. False when others were faster each time.
    async fn take(&mut self, app: &App, agent: AgentId, report: &v1::JobReport) -> Result<bool, StoreError> {
        let unsolicited = is_unsolicited(&*app.docs().await?, agent, report);
        if unsolicited {
            match self.unsolicited.note(agent, report, app.now()) {
                Noted::Audit => {}
                Noted::Known => return Ok(true),
                Noted::TooMany(count) => {
                    tracing::debug!(%agent, count, "reports on jobs that are not the agent's; not audited");
                    return Ok(true);
                }
            }
        }
        for _ in 0..TRIES {
            let docs = app.docs().await?;
            let of_job = with_job(&docs, report);
            let changes = app.with_snapshot(&docs, |s| remediation::report(s, agent, &of_job, app.now()));
            if changes.is_empty() {
                return Ok(true);
            }
            drop(docs);
            nimbus_platform::reached("cp::report");
            match app.commit(&changes).await {
                Ok(_) => {
                    if unsolicited {
                        self.unsolicited.audited(agent, report);
                    }
                    log_audit(&changes);
                    nimbus_platform::reached("cp::reported");
                    return Ok(true);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// A report on an envelope that the agent could not read names no job; the envelope's digest does, if it is one that
/// was sent from here.
fn with_job<'a>(docs: &Docs, report: &'a v1::JobReport) -> Cow<'a, v1::JobReport> {
    if !report.job_id.is_empty() || report.envelope_sha256.is_empty() {
        return Cow::Borrowed(report);
    }
    let digest_of = |job: &Job| sign::from_document(&job.envelope).ok().map(|e| sha256(&e.encode_to_vec()));
    let is_meant =
        |job: &&Versioned<Job>| digest_of(&job.doc).is_some_and(|d| d[..] == report.envelope_sha256[..]);
    let job_id = docs.jobs.iter().find(is_meant).map(|job| job.doc.id.to_string()).unwrap_or_default();
    Cow::Owned(v1::JobReport { job_id, ..report.clone() })
}

/// Is this about no job that was given to this agent, or about a mere copy of one?
fn is_unsolicited(docs: &Docs, agent: AgentId, report: &v1::JobReport) -> bool {
    let report = with_job(docs, report);
    let id = report.job_id.parse().ok();
    let is_own = docs.jobs.iter().any(|job| Some(job.doc.id) == id && job.doc.agent_id == agent);
    !is_own || report.phase() == Phase::ReplayRefused
}
