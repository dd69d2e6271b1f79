//! The revisions of a workload that were observed fully available. No listing can rebuild them, so they are stored.
//!
//! It is a document of its own, so that it outlives every snapshot of the inventory, restarts and upgrades.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::document::{Columns, Document};

/// Good revisions remembered for each workload; the oldest is dropped.
pub const MAX_GOOD_REVISIONS: usize = 5;

/// A revision that was seen fully available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodRevision {
    /// Its number then.
    pub revision: u64,
    /// Hash of its pod template, hex.
    pub template_hash: String,
}

/// What is remembered of one workload's revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionHistory {
    /// UID of the cluster.
    pub cluster_uid: String,
    /// UID of the workload.
    pub workload_uid: String,
    /// When the first was seen.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
    /// When the workload was gone; retention counts from here.
    pub gone_at: Option<Timestamp>,
    /// Oldest first, at most [`MAX_GOOD_REVISIONS`].
    pub good: Vec<GoodRevision>,
}

impl RevisionHistory {
    /// Nothing remembered yet.
    pub fn new(cluster_uid: &str, workload_uid: &str, now: Timestamp) -> Self {
        Self {
            cluster_uid: cluster_uid.to_owned(),
            workload_uid: workload_uid.to_owned(),
            created_at: now,
            updated_at: now,
            gone_at: None,
            good: Vec::new(),
        }
    }

    /// Was this pod template seen fully available?
    pub fn knows(&self, template_hash: &str) -> bool {
        self.good.iter().any(|one| one.template_hash == template_hash)
    }

    /// Takes a revision as the newest good one; true when that is news.
    pub fn remember(&mut self, revision: u64, template_hash: &str, now: Timestamp) -> bool {
        let newest = self.good.last();
        if newest.is_some_and(|last| last.template_hash == template_hash && last.revision == revision) {
            return false;
        }
        self.good.retain(|one| one.template_hash != template_hash);
        self.good.push(GoodRevision { revision, template_hash: template_hash.to_owned() });
        if self.good.len() > MAX_GOOD_REVISIONS {
            self.good.remove(0);
        }
        self.updated_at = now;
        true
    }
}

impl Document for RevisionHistory {
    const TABLE: &'static str = "revision_histories";

    fn id(&self) -> String {
        format!("{}/{}", self.cluster_uid, self.workload_uid)
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.gone_at.unwrap_or(self.updated_at),
            state: if self.gone_at.is_some() { "gone" } else { "kept" },
            cluster: self.cluster_uid.clone(),
            key: self.workload_uid.clone(),
        }
    }
}
