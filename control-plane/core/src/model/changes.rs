//! A change set: everything that one decision writes, committed together or not at all.
//!
//! Decisions are values. A task reads documents with their versions, decides, and hands the store one change set;
//! the store commits it in one transaction if every version still is what was read, and otherwise reports a
//! conflict, after which the task reads again.

use std::sync::Arc;

use super::document::{AnyDocument, Document};
use super::{Agent, Approval, AuditDraft, Cluster, Incident, Job, JoinTokenRecord, Pause, Plan};

/// A document and the version under which it was read; a new one has version 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// 0 for a document that the store does not have yet.
    pub version: i64,
    /// The document.
    pub doc: T,
}

impl<T> Versioned<T> {
    /// A document that the store does not have yet.
    pub fn new(doc: T) -> Self {
        Self { version: 0, doc }
    }
}

/// An agent as all copies of the documents share it: there may be many thousands, and who copies the documents copies
/// pointers.
pub type SharedAgent = Arc<Versioned<Agent>>;

/// A document that a decision removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub id: String,
    /// The version under which it was read: one that changed since is not removed, and nothing else is written.
    pub version: i64,
}

impl Removed {
    /// This document.
    pub fn of<T: Document>(document: &Versioned<T>) -> Self {
        Self { table: T::TABLE, id: document.doc.id(), version: document.version }
    }
}

/// What one decision writes. State, job and audit rows commit together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// Agents, new or changed.
    pub agents: Vec<Versioned<Agent>>,
    /// Join tokens, new, used or revoked.
    pub tokens: Vec<Versioned<JoinTokenRecord>>,
    /// Clusters, new or changed.
    pub clusters: Vec<Versioned<Cluster>>,
    /// Pauses, new or longer ones; one that ends is among [`Self::removed`].
    pub pauses: Vec<Versioned<Pause>>,
    /// Incidents, new or changed.
    pub incidents: Vec<Versioned<Incident>>,
    /// Plans; never changed once made.
    pub plans: Vec<Versioned<Plan>>,
    /// Approvals, new or answered.
    pub approvals: Vec<Versioned<Approval>>,
    /// Jobs, new or further on.
    pub jobs: Vec<Versioned<Job>>,
    /// Documents of every other table, new or changed.
    pub documents: Vec<Versioned<AnyDocument>>,
    /// Documents that go.
    pub removed: Vec<Removed>,
    /// Rows for the chain, in order.
    pub audit: Vec<AuditDraft>,
    /// Cursors to move: name and position in the observation log.
    pub cursors: Vec<(String, i64)>,
}

impl ChangeSet {
    /// Nothing to write?
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Adds what `more` writes, to be committed with this or not at all. The two change different documents.
    pub fn join(&mut self, more: Self) {
        let Self {
            agents,
            tokens,
            clusters,
            pauses,
            incidents,
            plans,
            approvals,
            jobs,
            documents,
            removed,
            audit,
            cursors,
        } = more;
        self.agents.extend(agents);
        self.tokens.extend(tokens);
        self.clusters.extend(clusters);
        self.pauses.extend(pauses);
        self.incidents.extend(incidents);
        self.plans.extend(plans);
        self.approvals.extend(approvals);
        self.jobs.extend(jobs);
        self.documents.extend(documents);
        self.removed.extend(removed);
        self.audit.extend(audit);
        self.cursors.extend(cursors);
    }
}
