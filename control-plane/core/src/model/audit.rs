//! The model of audit rows, which form a hash chain over everything that was decided and done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The hash before the first row: 64 zeros.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A row before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditDraft {
    /// When.
    pub at: Timestamp,
    /// Who: `operator`, `nimbus`, or an agent's id.
    pub actor: String,
    /// What, as a word: `incident.opened`, `plan.made`, `approval.approved`, `job.signed`, `job.refused` …
    pub action: String,
    /// What it is about: an id.
    pub subject: String,
    /// Name of the cluster or host; empty where there is none.
    pub cluster: String,
    /// One sentence; never a secret.
    pub detail: String,
}

/// A row in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// Hash (hex) of the row before.
    pub prev: String,
    /// SHA-256 (hex) over `prev` and this row: see `audit::hash`.
    pub hash: String,
    /// The row itself.
    #[serde(flatten)]
    pub draft: AuditDraft,
}
