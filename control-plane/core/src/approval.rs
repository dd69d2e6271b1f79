//! Approvals: how one is requested, and when an operator's decision on it counts.
//!
//! It is bound to one plan's digest, expires, is used once, and never comes from the requester.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::ApprovalId;

use crate::model::{Approval, ApprovalState, Incident, Plan};
use crate::settings::{Settings, later};

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
    /// The reason that the operator gave; may be empty.
    pub reason: &'a str,
    /// The digest of the plan that the person was shown, where the client says it: another one is refused.
    pub digest: Option<&'a str>,
}

/// How the reason of an approval begins that was void before its time.
pub const SUPERSEDED: &str = "superseded";

impl Approval {
    /// Does it stand for a job that carries out a plan with this digest, now?
    pub fn covers(&self, digest: &str, now: Timestamp) -> bool {
        self.state == ApprovalState::Approved
            && self.used_by.is_none()
            && self.plan_digest == digest
            && now < self.expires_at
    }

    /// Can it still lead to a job: waiting for a person, or given and not used?
    pub fn is_live(&self) -> bool {
        match self.state {
            ApprovalState::Pending => true,
            ApprovalState::Approved => self.used_by.is_none(),
            ApprovalState::Denied | ApprovalState::Expired => false,
        }
    }
}

/// Requests an operator's decision on `plan`.
pub(crate) fn request(
    id: ApprovalId,
    plan: &Plan,
    incident: &Incident,
    settings: &Settings,
    now: Timestamp,
) -> Approval {
    Approval {
        id,
        plan_id: plan.id,
        incident_id: incident.id,
        plan_digest: plan.digest.clone(),
        state: ApprovalState::Pending,
        cluster: incident.cluster.clone(),
        requested_by: plan.requested_by.clone(),
        created_at: now,
        expires_at: later(now, SignedDuration::from_secs(settings.approval_ttl_s.into())),
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        used_by: None,
    }
}
