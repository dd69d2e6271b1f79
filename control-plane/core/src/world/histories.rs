//! The revision histories of workloads: which revisions were observed fully available, and which of them are not stored
//! yet.
//!
//! A listing cannot rebuild this, so it does not live in the snapshot: it is stored as documents before the observations
//! that it came from may be forgotten.

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::kind::{Body, ObjectKind};
use nimbus_protocol::v1;

use super::World;
use super::inventory::Inventory;
use crate::model::RevisionHistory;

/// Workloads that are gone keep their histories in memory as long as no more than this many are remembered beyond the
/// workloads that exist: a listing may miss one for a moment.
const SPARE: usize = 1_000;

impl Inventory {
    /// Was this pod template of a workload seen fully available?
    pub fn was_good(&self, workload_uid: &str, template_hash: &str) -> bool {
        self.histories.get(workload_uid).is_some_and(|history| history.knows(template_hash))
    }

    /// Notes what an observation of the leading agent says about good revisions.
    pub(super) fn note_history(&mut self, cluster_uid: &str, agent: AgentId, body: &Body, now: Timestamp) {
        if self.leader != Some(agent) {
            return;
        }
        match body {
            Body::Deployment(v1::Deployment { meta: Some(meta), .. }) => {
                self.remember(cluster_uid, &meta.uid, now);
            }
            Body::Gone(gone) if gone.kind == ObjectKind::Deployment.as_str() => {
                self.forget_history(&gone.uid, now);
            }
            Body::Sync(mark) if mark.kind == ObjectKind::Deployment.as_str() => self.trim_histories(now),
            Body::Deployment(_)
            | Body::Gone(_)
            | Body::Sync(_)
            | Body::Pod(_)
            | Body::ReplicaSet(_)
            | Body::Node(_)
            | Body::StatefulSet(_)
            | Body::DaemonSet(_)
            | Body::Host(_)
            | Body::File(_)
            | Body::AgentStatus(_) => {}
        }
    }

    /// A Deployment was seen: its present revision may be a good one.
    fn remember(&mut self, cluster_uid: &str, deployment_uid: &str, now: Timestamp) {
        let Some(deployment) = self.deployments.get(deployment_uid) else { return };
        if !deployment.shows_a_good_revision() {
            return;
        }
        let new = || RevisionHistory::new(cluster_uid, deployment_uid, now);
        let history = self.histories.entry(deployment_uid.to_owned()).or_insert_with(new);
        let back = history.gone_at.take().is_some();
        if history.remember(deployment.revision, &deployment.template_hash, now) || back {
            self.unstored_histories.insert(deployment_uid.to_owned());
            self.version += 1;
        }
    }

    /// A watch said that a Deployment was deleted: its history is no longer needed.
    fn forget_history(&mut self, deployment_uid: &str, now: Timestamp) {
        if let Some(history) = self.histories.get_mut(deployment_uid).filter(|h| h.gone_at.is_none()) {
            history.gone_at = Some(now);
            self.unstored_histories.insert(deployment_uid.to_owned());
        }
    }

    /// After a listing of Deployments: forgets histories of those that are gone, if there are too many.
    fn trim_histories(&mut self, now: Timestamp) {
        if self.histories.len() <= self.deployments.len() + SPARE {
            return;
        }
        let lost: Vec<String> =
            self.histories.keys().filter(|uid| self.deployments.get(uid).is_none()).cloned().collect();
        for uid in lost {
            self.forget_history(&uid, now);
        }
    }
}

impl World {
    /// Puts back what was stored, at a start, before anything is read from the log.
    pub fn restore_histories(&mut self, stored: impl IntoIterator<Item = RevisionHistory>) {
        for history in stored.into_iter().filter(|history| history.gone_at.is_none()) {
            let inventory = self.clusters.entry(history.cluster_uid.clone()).or_default();
            inventory.histories.insert(history.workload_uid.clone(), history);
        }
    }

    /// The histories that changed since they were last taken, to be stored. Whoever takes them stores them, or gives
    /// them back with [`World::histories_not_stored`].
    pub fn take_unstored_histories(&mut self) -> Vec<RevisionHistory> {
        let mut changed = Vec::new();
        for inventory in self.clusters.values_mut() {
            for uid in std::mem::take(&mut inventory.unstored_histories) {
                changed.extend(inventory.histories.get(&uid).cloned());
                inventory
                    .histories
                    .retain(|_, history| history.workload_uid != uid || history.gone_at.is_none());
            }
        }
        changed
    }

    /// What was taken could not be stored: it is taken again the next time.
    pub fn histories_not_stored(&mut self, taken: Vec<RevisionHistory>) {
        for history in taken {
            let Some(inventory) = self.clusters.get_mut(&history.cluster_uid) else { continue };
            let uid = history.workload_uid.clone();
            inventory.histories.entry(uid.clone()).or_insert(history);
            inventory.unstored_histories.insert(uid);
        }
    }
}
