//! The journal's job reports that the control plane has not acknowledged yet.

use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, job_report};
use prost::Message as _;

use super::{Effect, Journal, store};

/// Most jobs with unacknowledged reports; at it no further job is admitted.
pub const MAX_UNACKNOWLEDGED: usize = 1_000;
/// Longest encoded report; a longer one loses its evidence, and its reason after 1,000 characters.
pub const MAX_REPORT: usize = 16 << 10;

impl Journal {
    /// At most `most` reports that are not acknowledged and that `sent` does not know, oldest job first, each job's in
    /// the order in which they were made. None while the file is not what memory says: a report whose job might stand
    /// elsewhere after a restart is not sent.
    pub fn unacknowledged(&self, most: usize, sent: impl Fn(&v1::JobReport) -> bool) -> Vec<v1::JobReport> {
        if self.dirty {
            return Vec::new();
        }
        let reports = self.jobs.values().flat_map(|line| &line.reports);
        reports.filter(|report| !sent(report)).take(most).cloned().collect()
    }

    /// Are there reports that the control plane has not acknowledged, written or not?
    pub fn has_reports(&self) -> bool {
        self.jobs.values().any(|line| !line.reports.is_empty())
    }

    /// Does the journal keep this report until it is acknowledged?
    pub fn keeps(&self, report: &v1::JobReport) -> bool {
        let line = report.job_id.parse().ok().and_then(|id: JobId| self.jobs.get(&id));
        line.is_some_and(|line| line.reports.iter().any(|kept| kept.phase == report.phase))
    }

    /// The control plane has stored the report of this phase of this job.
    pub fn acknowledge(&mut self, job_id: JobId, phase: job_report::Phase) -> Vec<Effect> {
        let Some(line) = self.jobs.get_mut(&job_id) else { return Vec::new() };
        let before = line.reports.len();
        line.reports.retain(|report| report.phase() != phase);
        if line.reports.len() == before { Vec::new() } else { self.write(Some(job_id)) }
    }

    pub(super) fn jobs_with_reports(&self) -> usize {
        self.jobs.values().filter(|line| !line.reports.is_empty()).count()
    }
}

impl store::JobLine {
    /// Keeps this report, in place of an earlier one of the same phase.
    pub(super) fn report(&mut self, mut report: v1::JobReport) {
        if report.encoded_len() > MAX_REPORT {
            report.evidence.clear();
            report.reason = report.reason.chars().take(1_000).collect();
        }
        self.reports.retain(|kept| kept.phase != report.phase);
        self.reports.push(report);
    }
}
