//! Collects what a decision writes: changed documents, lines of history and audit rows.

use std::fmt::Display;

use jiff::Timestamp;

use crate::model::{Approval, ApprovalState, AuditDraft, ChangeSet, Incident, IncidentState, Job, Versioned};
use crate::remedies::NIMBUS;

/// A change set in the making.
pub(super) struct Record {
    /// What is written so far.
    pub(super) changes: ChangeSet,
    now: Timestamp,
}

impl Record {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { changes: ChangeSet::default(), now }
    }

    /// A row for the chain: what Nimbus decided.
    pub(super) fn audit(
        &mut self,
        action: &str,
        subject: &dyn Display,
        cluster: &str,
        detail: impl Into<String>,
    ) {
        self.audit_by(NIMBUS, action, subject, cluster, detail);
    }

    /// A row for the chain: what somebody else decided or did.
    pub(super) fn audit_by(
        &mut self,
        actor: &str,
        action: &str,
        subject: &dyn Display,
        cluster: &str,
        detail: impl Into<String>,
    ) {
        self.changes.audit.push(AuditDraft {
            at: self.now,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_string(),
            cluster: cluster.to_owned(),
            detail: detail.into(),
        });
    }

    /// Writes an incident if it changed.
    pub(super) fn incident(&mut self, before: &Versioned<Incident>, mut after: Incident) {
        if after != before.doc {
            after.updated_at = self.now;
            self.changes.incidents.push(Versioned { version: before.version, doc: after });
        }
    }

    /// Writes a job if it changed.
    pub(super) fn job(&mut self, before: &Versioned<Job>, after: Job) {
        if after != before.doc {
            self.changes.jobs.push(Versioned { version: before.version, doc: after });
        }
    }

    /// A pending or unused approval is void from now on; any other one is left as it is, also one that this very
    /// decision has voided or given back already: a document is written once.
    pub(super) fn expire_approval(&mut self, approval: &Versioned<Approval>, reason: &str) {
        let already = self.changes.approvals.iter().any(|changed| changed.doc.id == approval.doc.id);
        if already || !approval.doc.is_live() {
            return;
        }
        let mut after = approval.doc.clone();
        after.state = ApprovalState::Expired;
        reason.clone_into(&mut after.reason);
        self.audit("approval.expired", &after.id, &after.cluster, reason);
        self.changes.approvals.push(Versioned { version: approval.version, doc: after });
    }
}

/// Takes an incident to a state and says why; a line of history when either is new.
pub(super) fn transition(incident: &mut Incident, state: IncidentState, reason: &str, now: Timestamp) {
    if incident.state == state && incident.reason == reason {
        return;
    }
    incident.state = state;
    reason.clone_into(&mut incident.reason);
    incident.note(now, reason);
}
