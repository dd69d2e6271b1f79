//! The job reports of one connection: which were sent, and which of those are not acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use nimbus_protocol::v1::{self, job_report::Phase};

use super::REPORT_WINDOW;

/// A report that was sent over this connection and is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentReport {
    job_id: String,
    phase: Phase,
    envelope_sha256: Vec<u8>,
}

impl SentReport {
    fn of(report: &v1::JobReport) -> Self {
        Self {
            job_id: report.job_id.clone(),
            phase: report.phase(),
            envelope_sha256: report.envelope_sha256.clone(),
        }
    }

    /// Is it this report?
    pub fn is(&self, report: &v1::JobReport) -> bool {
        *self == Self::of(report)
    }

    fn is_acknowledged_by(&self, ack: &v1::JobReportAck) -> bool {
        // A report is known by its job; only a refusal of an envelope that named no job is known by the envelope.
        self.job_id == ack.job_id
            && self.phase == ack.phase()
            && (!self.job_id.is_empty() || self.envelope_sha256 == ack.envelope_sha256)
    }
}

/// What was sent over this connection.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Reports of the journal, and when each was sent; at most [`REPORT_WINDOW`].
    kept: VecDeque<(SentReport, Duration)>,
    /// Refusals that no journal keeps; at most [`REPORT_WINDOW`].
    once: Vec<SentReport>,
    /// A `PullReports` is not answered yet.
    pulling: bool,
    /// The journal may have more.
    pending: bool,
}

impl Reports {
    /// A connection begins: everything that is not acknowledged is sent again.
    pub(super) fn connected(&mut self) {
        *self = Self { pending: true, ..Self::default() };
    }

    /// The journal may have a new one.
    pub(super) fn pending(&mut self) {
        self.pending = true;
    }

    /// How many to ask the journal for now, and which it need not give; `None` while that is of no use.
    pub(super) fn pull(&mut self) -> Option<(usize, Vec<SentReport>)> {
        let most = REPORT_WINDOW.saturating_sub(self.kept.len());
        if !self.pending || self.pulling || most == 0 {
            return None;
        }
        (self.pending, self.pulling) = (false, true);
        Some((most, self.kept.iter().map(|(sent, _)| sent.clone()).collect()))
    }

    /// The journal gave these: those to send.
    pub(super) fn pulled(&mut self, reports: Vec<v1::JobReport>, now: Duration) -> Vec<v1::JobReport> {
        if !std::mem::take(&mut self.pulling) {
            // An answer to an earlier connection's question; it is asked for anew.
            return Vec::new();
        }
        self.pending |= !reports.is_empty();
        self.kept.extend(reports.iter().map(|report| (SentReport::of(report), now)));
        reports
    }

    /// May this refusal, which no journal keeps, be sent?
    pub(super) fn may_send_refusal(&mut self, report: &v1::JobReport) -> bool {
        let room = self.once.len() < REPORT_WINDOW;
        if room {
            self.once.push(SentReport::of(report));
        }
        room
    }

    /// Did this acknowledge a report of the journal?
    pub(super) fn acknowledged(&mut self, ack: &v1::JobReportAck) -> bool {
        let before = self.kept.len();
        self.kept.retain(|(sent, _)| !sent.is_acknowledged_by(ack));
        self.once.retain(|sent| !sent.is_acknowledged_by(ack));
        self.pending |= self.kept.len() < before;
        self.kept.len() < before
    }

    /// When the oldest report that is not acknowledged was sent.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.kept.front().map(|(_, sent)| *sent)
    }
}
