//! The decisions, each a pure function of a snapshot and `now`.
//!
//! ```text
//! diagnose -> plan -> (decide) -> dispatch -> sent -> report -> resolved, or back to plan
//!                         expire watches every deadline
//! ```
//!
//! Every function is level-triggered: it looks at what is, not at what happened, so running it again changes
//! nothing, and running it after a crash continues where the stored documents are.

mod decide;
mod diagnose;
mod dispatch;
mod expire;
mod index;
mod operator;
mod order;
mod plan;
mod record;
mod refused;
mod report;
mod resolve;
pub(crate) mod storm;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use nimbus_protocol::v1;

pub use crate::approval::{Answer, Decision};
use crate::model::{ChangeSet, Job, JobState, Versioned};
pub use decide::decide;
pub use diagnose::{MAX_OPEN, MAX_OPEN_PER_SCOPE, MAX_OPENED, diagnose};
pub use dispatch::{MAX_ORDERS, dispatch};
pub use expire::expire;
pub use operator::{accept_baseline, acknowledge, ask_again, disable, enable, silence};
pub use plan::{MAX_PLANNED, plan};
pub use refused::DecideError;
pub use report::report;

/// A job to sign, and what has to be committed with it before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What is to be signed.
    pub job: v1::Job,
    /// `changes.jobs` holds exactly one document, the job's, with an empty `envelope`: sign, put the envelope
    /// there, commit, then send.
    pub changes: ChangeSet,
}

/// The job was handed to the agent's session. Sent again, or answered already: nothing changes.
pub fn sent(job: &Versioned<Job>, now: Timestamp) -> ChangeSet {
    let mut record = record::Record::new(now);
    if job.doc.state == JobState::Pending {
        let mut after = job.doc.clone();
        after.state = JobState::Dispatched;
        after.dispatched_at = Some(now);
        let text = format!("handed to the session of agent {}", after.agent_id);
        record.audit("job.sent", &after.id, &after.cluster, text);
        record.job(job, after);
    }
    record.changes
}
