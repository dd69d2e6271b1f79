//! The types that the store takes and returns, apart from the models themselves.

use jiff::Timestamp;
use nimbus_control_core::model::{AuditRow, Versioned};
use nimbus_protocol::ids::AgentId;

/// Most items of one page; a larger limit is cut to it.
pub const MAX_PAGE: u32 = 500;
/// Items of a page when no limit is given.
pub const DEFAULT_PAGE: u32 = 100;

/// A batch to append to the observation log: one row. Its payload is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Who observed.
    pub agent: AgentId,
    /// First sequence number in the payload, from 1.
    pub first: u64,
    /// Last sequence number in the payload; the agent's mark afterwards.
    pub last: u64,
    /// Observations in the payload.
    pub count: u32,
    /// When the control plane received it.
    pub received_at: Timestamp,
    /// An encoded `ObservationBatch`, free of duplicates, compressed by `protocol::frame::compress`; at most
    /// `frame::MAX_DECOMPRESSED` bytes.
    pub payload: Vec<u8>,
}

/// A batch as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// Grows with every row, never used twice; there may be gaps.
    pub position: i64,
    /// Who observed.
    pub agent: AgentId,
    /// First sequence number in the payload.
    pub first: u64,
    /// Last sequence number in the payload.
    pub last: u64,
    /// Observations in the payload.
    pub count: u32,
    /// When the control plane received it.
    pub received_at: Timestamp,
    /// As it was appended.
    pub payload: Vec<u8>,
}

/// What the log holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogSpan {
    /// Rows.
    pub rows: u64,
    /// Position of the oldest row; 0 for an empty log.
    pub first: i64,
    /// Position of the newest row; 0 for an empty log.
    pub last: i64,
}

/// Which documents to list. The default is all of them, oldest first, [`DEFAULT_PAGE`] at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only in one of these states; empty: in any.
    pub states: Vec<String>,
    /// Not in this state.
    pub not_state: Option<String>,
    /// See [`nimbus_control_core::model::Columns::cluster`].
    pub cluster: Option<String>,
    /// See [`nimbus_control_core::model::Columns::key`].
    pub key: Option<String>,
    /// [`Page::next`] of the page before, listed with the same filter.
    pub after: Option<String>,
    /// 1 to [`MAX_PAGE`]; 0 means [`DEFAULT_PAGE`].
    pub limit: u32,
    /// By the time of making, newest first?
    pub newest_first: bool,
    /// Of the approvals only those that somebody gave alone where several had to, and that nobody reviewed. Of other documents it finds
    /// none.
    pub owes_a_review: bool,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// At most the limit.
    pub items: Vec<Versioned<T>>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// Which audit rows to read. The default is all of them, oldest first, [`DEFAULT_PAGE`] at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this action, or every action of a group: `job` finds `job.signed` and `job.refused`.
    pub action: Option<String>,
    /// Exactly this cluster's or host's name.
    pub cluster: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// [`AuditPage::next`] of the page before, read with the same filter.
    pub after: Option<String>,
    /// 1 to [`MAX_PAGE`]; 0 means [`DEFAULT_PAGE`].
    pub limit: u32,
    /// By place in the chain, newest first?
    pub newest_first: bool,
}

/// One page of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// At most the limit.
    pub rows: Vec<AuditRow>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// The end of the audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Place of the last row; 0 for an empty chain.
    pub seq: u64,
    /// Its hash, hex; [`nimbus_control_core::model::GENESIS`] for an empty chain.
    pub hash: String,
}

/// What a commit left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The end of the chain after this commit; `None` when the change set had no audit rows.
    pub audit_head: Option<AuditHead>,
}

/// Documents that retention removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Resolved incidents.
    pub incidents: u64,
    /// Plans, approvals and jobs of those incidents.
    pub theirs: u64,
    /// Join tokens that were used, ran out or were revoked.
    pub tokens: u64,
    /// Revision histories of workloads that are gone.
    pub histories: u64,
}

/// `limit` as it is used.
pub(crate) fn page_size(limit: u32) -> u32 {
    if limit == 0 { DEFAULT_PAGE } else { limit.min(MAX_PAGE) }
}
