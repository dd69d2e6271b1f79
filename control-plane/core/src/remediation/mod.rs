//! The decisions on incidents (open, plan, approve, dispatch, report, expire), each a pure function of a snapshot and
//! `now`.
//!
//! ```text
//! incidents -> plans -> (decide) -> dispatch -> sent -> report -> resolved, or back to plans
//!                           expire watches every deadline
//! ```
//!
//! Every function is level-triggered: it looks at what is, not at what happened, so running it again changes
//! nothing, and running it after a crash continues where the stored documents are.

mod asked_again;
mod bounds;
mod budgets;
mod clock;
mod decide;
mod decide_error;
mod dispatch;
mod expire;
mod held;
mod incidents;
mod index;
mod operator;
mod pause;
mod plans;
mod record;
mod refusal;
mod removal;
mod report;
mod resolution;
mod rule;
mod storms;
#[cfg(test)]
mod tests;
mod unsigned_job;
mod withdraw;

use jiff::Timestamp;
use nimbus_protocol::v1;

pub use crate::approval::{Answer, Decision};
use crate::model::{ChangeSet, Job, JobState, Versioned};
pub use crate::safety::{Pace, paces};
pub use bounds::{BoundKind, BoundReached, bounds};
pub use clock::jumped;
pub use decide::{decide, review};
pub use decide_error::DecideError;
pub use dispatch::{MAX_JOBS, dispatch};
pub use expire::expire;
pub use incidents::{MAX_OPEN, MAX_OPEN_PER_SCOPE, MAX_OPENED, incidents};
pub use operator::{accept_baseline, acknowledge, ask_again, disable, enable, silence};
pub use pause::{MAX_PAUSE_REASON, PauseOrder, pause, resume};
pub use plans::{MAX_PLANNED, plans};
pub use removal::{COME_BACK, Removal, remove_cluster};
pub use report::report;
pub use rule::{delete_rule, set_rule};
pub use withdraw::withdraw_baseline;

/// A job to sign, and what has to be committed with it before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsignedJob {
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
        if after.again == 0 {
            let text = format!("handed to the session of agent {}", after.agent_id);
            record.audit("job.sent", &after.id, &after.cluster, text);
        }
        record.job(job, after);
    }
    record.changes
}
