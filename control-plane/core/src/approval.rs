//! Approvals: when a person's word counts.

use jiff::Timestamp;

use crate::model::{Approval, ApprovalState};

/// What a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do it.
    Approve,
    /// Leave it.
    Deny,
}

/// A person's answer to one request.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Who answers.
    pub by: &'a str,
    /// What.
    pub decision: Decision,
    /// Why, in the person's words; may be empty.
    pub reason: &'a str,
    /// The digest of the plan that the person was shown, where the client says it: another one is refused.
    pub digest: Option<&'a str>,
}

impl Approval {
    /// Does it stand for a job that carries out a plan with this digest, now?
    pub fn covers(&self, digest: &str, now: Timestamp) -> bool {
        self.state == ApprovalState::Approved
            && self.used_by.is_none()
            && self.plan_digest == digest
            && now < self.expires_at
    }
}
