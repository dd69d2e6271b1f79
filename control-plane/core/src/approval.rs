//! Approvals: how one is requested, and when an operator's decision on it counts.
//!
//! It is bound to one plan's digest, expires, is used once, and never comes from the requester.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::ApprovalId;

use crate::model::{Approval, ApprovalState, Incident, Plan};
use crate::quorum;
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
    /// The groups that the person is in.
    pub groups: &'a [String],
    /// Approves alone what several have to approve. It takes a reason, and stays open until another person reviewed it.
    pub breaks_glass: bool,
}

impl<'a> Answer<'a> {
    /// The answer of a person of no group, without a reason.
    pub const fn of(by: &'a str, decision: Decision) -> Self {
        Self { by, decision, reason: "", digest: None, groups: &[], breaks_glass: false }
    }
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

    /// What an incident says that waits for it, and what of windows and blackouts (`held`) it waits for beside: whoever approves has to
    /// know.
    pub(crate) fn waits_for(&self, summary: &str, held: Option<&str>) -> String {
        let held = held.map(|held| format!("; {held}; `--break-glass` passes it by")).unwrap_or_default();
        let command = format!("`nimbus approve {}`{held}", self.id);
        if self.needs.is_empty() {
            return format!("waits for approval: {summary}; {command}");
        }
        let needed = quorum::words(&quorum::missing(&self.needs, &self.given));
        let names: Vec<&str> = self.given.iter().map(|word| word.by.as_str()).collect();
        let given =
            if names.is_empty() { String::new() } else { format!(", approved by {}", names.join(", ")) };
        format!("waits for approval by {needed}{given}: {summary}; {command}")
    }
}

/// Requests an operator's decision on `plan`.
pub(crate) fn request(
    id: ApprovalId,
    plan: &Plan,
    incident: &Incident,
    needs: Vec<Vec<String>>,
    settings: &Settings,
    now: Timestamp,
) -> Approval {
    // Who took a denial back is who wants it: where several people have to approve, that one is none of them.
    let asked_again = incident.asked_again.as_ref().filter(|(_, digest)| *digest == plan.digest);
    let asker = asked_again.map(|(by, _)| by.clone()).filter(|_| !needs.is_empty());
    Approval {
        id,
        plan_id: plan.id,
        incident_id: incident.id,
        plan_digest: plan.digest.clone(),
        state: ApprovalState::Pending,
        cluster: incident.cluster.clone(),
        requested_by: asker.unwrap_or_else(|| plan.requested_by.clone()),
        created_at: now,
        expires_at: later(now, SignedDuration::from_secs(settings.approval_ttl_s.into())),
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        used_by: None,
        needs,
        given: Vec::new(),
        broken_glass: None,
    }
}
