//! The decisions, each a pure function of a snapshot and `now`.
//!
//! ```text
//! diagnose -> plan -> (decide) -> dispatch -> sent -> report -> resolved, or back to plan
//!                         expire watches every deadline
//! ```
//!
//! Every function is level-triggered: it looks at what is, not at what happened, so running it again changes
//! nothing, and running it after a crash continues where the stored documents are.

mod operator;

use jiff::Timestamp;
use nimbus_protocol::ids::{AgentId, IdSource};
use nimbus_protocol::v1;

pub use crate::approval::{Answer, Decision};
use crate::model::{ChangeSet, Job, Versioned};
use crate::snapshot::Snapshot;
pub use operator::{DecideError, accept_baseline, acknowledge, ask_again, decide, disable, enable, silence};

/// A job to sign, and what has to be committed with it before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What is to be signed.
    pub job: v1::Job,
    /// `changes.jobs` holds exactly one document, the job's, with an empty `envelope`: sign, put the envelope
    /// there, commit, then send.
    pub changes: ChangeSet,
}

/// Opens, updates and resolves incidents.
pub fn diagnose(_s: &Snapshot<'_>, _now: Timestamp, _ids: &mut dyn IdSource) -> ChangeSet {
    ChangeSet::default()
}

/// Plans remedies, asks for approvals, says why nothing is done.
pub fn plan(_s: &Snapshot<'_>, _now: Timestamp, _ids: &mut dyn IdSource) -> ChangeSet {
    ChangeSet::default()
}

/// The jobs that may go out now.
pub fn dispatch(_s: &Snapshot<'_>, _epoch: u64, _now: Timestamp, _ids: &mut dyn IdSource) -> Vec<Order> {
    Vec::new()
}

/// The job was handed to the agent's session.
pub fn sent(_job: &Versioned<Job>, _now: Timestamp) -> ChangeSet {
    ChangeSet::default()
}

/// An agent's word on a job; the same word again changes nothing.
pub fn report(_s: &Snapshot<'_>, _agent: &AgentId, _report: &v1::JobReport, _now: Timestamp) -> ChangeSet {
    ChangeSet::default()
}

/// Closes what is past its time: approvals, jobs, silences.
pub fn expire(_s: &Snapshot<'_>, _now: Timestamp) -> ChangeSet {
    ChangeSet::default()
}
