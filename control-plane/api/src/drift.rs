//! Drifted files: what was accepted as true, and what is there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{HistoryEntry, ObjectRef, words};

/// What a file is, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileState {
    /// `absent`, `file`, `directory`, `symlink`, `other`, `unreadable`.
    pub kind: String,
    /// Permission bits as four octal digits, for example `0644`.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; `null` while unknown.
    pub size: Option<u64>,
    /// SHA-256 of the content, hex; empty when there is none to read.
    pub sha256: String,
}

/// A watched file that differs from its baseline, or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// The incident's id: `inc_…`
    pub id: String,
    /// First seen.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// Name of the host.
    pub cluster: String,
    /// `file_drift`
    #[schema(value_type = words::IncidentKind)]
    pub kind: String,
    /// How bad.
    #[schema(value_type = words::Severity)]
    pub severity: String,
    /// Where it stands.
    #[schema(value_type = words::IncidentState)]
    pub state: String,
    /// The file.
    pub object: ObjectRef,
    /// Why it stands where it stands.
    pub reason: String,
    /// How it differs.
    #[schema(value_type = words::FileChange)]
    pub change: String,
    /// The watched root; empty while unknown.
    pub root: String,
    /// Absolute path.
    pub path: String,
    /// What was accepted as true; `null` while unknown.
    pub before: Option<FileState>,
    /// What is there now; `null` while unknown.
    pub after: Option<FileState>,
    /// Unified diff from before to after; `null` where there is none to show.
    pub diff: Option<String>,
    /// Why there is no diff: `binary`, `secret`, `too large`, `attributes only`, `unknown`.
    pub diff_withheld: Option<String>,
    /// The agent that sees it.
    pub agent_id: Option<String>,
    /// That agent's name; `null` while unknown.
    pub agent: Option<String>,
    /// The plan that would put it back.
    pub plan_id: Option<String>,
    /// That plan's digest (hex): send it back to fix.
    pub plan_digest: Option<String>,
    /// One line: what that plan would change.
    pub plan_summary: Option<String>,
    /// The approval that waits, or the last one.
    pub approval_id: Option<String>,
    /// The job in force or the last one.
    pub job_id: Option<String>,
    /// Its story, oldest first; empty in lists.
    pub history: Vec<HistoryEntry>,
}
