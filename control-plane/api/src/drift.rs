//! The API's drifted files and accepted baselines: the state that a watched file should have, and the state that it
//! has.

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
    /// SHA-256 over all attributes (extended attributes, access control lists, capabilities, label and flags), hex; empty
    /// while unknown.
    #[serde(default)]
    pub attributes_sha256: String,
}

/// An attribute of a file that differs: what it has beside content, mode and owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttributeChange {
    /// Its name, for example `security.capability`, `user.note` or `flag immutable`.
    pub name: String,
    /// What it is.
    #[schema(value_type = words::AttributeKind)]
    pub kind: String,
    /// What it was: the value where it is no secret, otherwise its length and the first digits of its hash; `null` where
    /// there was none.
    pub before: Option<String>,
    /// What it is now, in the same words; `null` where there is none.
    pub after: Option<String>,
}

/// Numbers of lines. They are said also where contents stay on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineCounts {
    /// Of the baseline.
    pub before: u64,
    /// Of what is there now.
    pub after: u64,
    /// Lines that were added; `null` where the sides are too long to be compared.
    pub added: Option<u64>,
    /// Lines that were removed; `null` where the sides are too long to be compared.
    pub removed: Option<u64>,
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
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Name of the host.
    pub cluster: String,
    /// `file_drift`
    #[schema(value_type = words::IncidentKind)]
    pub kind: String,
    /// How bad.
    #[schema(value_type = words::Severity)]
    pub severity: String,
    /// Its incident's state.
    #[schema(value_type = words::IncidentState)]
    pub state: String,
    /// The file.
    pub object: ObjectRef,
    /// Why it is in that state.
    pub reason: String,
    /// How it differs.
    #[schema(value_type = words::FileChange)]
    pub change: String,
    /// The watched root; empty while unknown.
    pub root: String,
    /// Absolute path.
    pub path: String,
    /// The baseline; `null` while unknown.
    pub before: Option<FileState>,
    /// What is there now; `null` while unknown.
    pub after: Option<FileState>,
    /// Unified diff from before to after; `null` where there is none to show. Lines end at a line feed alone: a carriage
    /// return belongs to its line.
    pub diff: Option<String>,
    /// Why there is no diff: `policy` (contents stay on the host, whose agent's policy does not name the path in
    /// `diff_paths`), `binary`, `secret`, `too large`, `attributes only`, `content not kept`, `unreadable`, `not a file`,
    /// `unknown`.
    pub diff_withheld: Option<String>,
    /// How many lines differ; `null` where a side is no text, and while unknown.
    #[serde(default)]
    pub lines: Option<LineCounts>,
    /// The attributes that differ, by name; `null` while unknown. Where the sides' `attributes_sha256` differ and none is
    /// here, it is not known which.
    #[serde(default)]
    pub attributes: Option<Vec<AttributeChange>>,
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
    /// Its history, oldest first; empty in lists.
    pub history: Vec<HistoryEntry>,
}

/// A file's state that an operator accepted as its baseline, or took back. What an agent's first pass found is a baseline
/// too, and is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// The job with which the agent accepted it or took it back: `job_…`
    pub id: String,
    /// What was decided.
    #[schema(value_type = words::BaselineChange)]
    pub change: String,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// Name of the host.
    pub cluster: String,
    /// The job's state: only with `succeeded` has the agent done it.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The file.
    pub object: ObjectRef,
    /// Why the job is in that state.
    pub reason: String,
    /// The watched root.
    pub root: String,
    /// Absolute path.
    pub path: String,
    /// The state that was accepted or taken back; `null` while unknown.
    pub accepted: Option<FileState>,
    /// Who decided it.
    pub decided_by: String,
    /// The agent of that host.
    pub agent_id: String,
    /// The incident that it belongs to.
    pub incident_id: String,
}
