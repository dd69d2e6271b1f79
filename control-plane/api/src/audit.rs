//! The API's audit log: its rows, and the result of verifying its hash chain.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One row of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Its position, as text.
    pub id: String,
    /// When.
    pub created_at: Timestamp,
    /// Its position, from 1, without gaps.
    pub seq: u64,
    /// Who: `operator`, `nimbus`, or an agent's id.
    pub actor: String,
    /// What, as a word: `incident.opened`, `approval.approved`, `job.signed` …
    pub action: String,
    /// What it is about: an id.
    pub subject: String,
    /// Name of the cluster or host; empty where there is none.
    pub cluster: String,
    /// One sentence.
    pub detail: String,
    /// Hash (hex) of the row before.
    pub prev: String,
    /// SHA-256 (hex) over `prev` and this row.
    pub hash: String,
}

/// A whole export as one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditDocument {
    /// The rows, oldest first.
    pub items: Vec<AuditRow>,
}

/// The first row that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditMismatch {
    /// Its position.
    pub seq: u64,
    /// What the chain says it must be.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Whether the chain holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerification {
    /// True when every row fits the one before and the last one is the recorded head.
    pub valid: bool,
    /// Rows that were checked and fit.
    pub rows: u64,
    /// Hash (hex) of the last row that fits.
    pub head: String,
    /// When it was checked.
    pub verified_at: Timestamp,
    /// The first row that does not fit; `null` when all do.
    pub mismatch: Option<AuditMismatch>,
}
