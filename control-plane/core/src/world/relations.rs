//! Who belongs to whom in a cluster, and whether an owner is healthy as a whole.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::inventory::Inventory;
use super::objects::{Deployment, Meta, Node, Pod, ReplicaSet};

/// By an owner's UID the UIDs of what it owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owned(BTreeMap<String, BTreeSet<String>>);

impl Owned {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Meta>) -> Self {
        let mut owned = Self::default();
        all.for_each(|meta| owned.update(None, meta));
        owned
    }

    /// An object is new or may have changed hands.
    pub(super) fn update(&mut self, old: Option<&Meta>, new: &Meta) {
        if old.is_some_and(|old| old.owner_uid == new.owner_uid) {
            return;
        }
        if let Some(old) = old {
            self.remove(old);
        }
        if !new.owner_uid.is_empty() {
            self.0.entry(new.owner_uid.clone()).or_default().insert(new.uid.clone());
        }
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, meta: &Meta) {
        if let Some(children) = self.0.get_mut(&meta.owner_uid) {
            children.remove(&meta.uid);
            if children.is_empty() {
                self.0.remove(&meta.owner_uid);
            }
        }
    }

    fn by(&self, owner: &str) -> impl Iterator<Item = &String> {
        self.0.get(owner).into_iter().flatten()
    }
}

/// Whether the pods of a workload are all ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The workload is no more.
    Gone,
    /// It wants no pods.
    Idle,
    /// All wanted pods have been ready since then.
    ReadySince(Timestamp),
    /// So many of the wanted pods are ready.
    NotReady {
        /// Ready pods.
        ready: usize,
        /// Wanted pods.
        wanted: usize,
    },
}

impl Inventory {
    /// The Deployment that a ReplicaSet belongs to.
    pub fn deployment_of(&self, set: &ReplicaSet) -> Option<&Deployment> {
        (set.meta.owner_kind == "Deployment").then(|| self.deployments.get(&set.meta.owner_uid)).flatten()
    }

    /// The ReplicaSet that a pod belongs to.
    pub fn replica_set_of(&self, pod: &Pod) -> Option<&ReplicaSet> {
        (pod.meta.owner_kind == "ReplicaSet").then(|| self.replica_sets.get(&pod.meta.owner_uid)).flatten()
    }

    /// A pod's ReplicaSet and Deployment.
    pub fn owners_of(&self, pod: &Pod) -> Option<(&ReplicaSet, &Deployment)> {
        let set = self.replica_set_of(pod)?;
        Some((set, self.deployment_of(set)?))
    }

    /// The ReplicaSets of a Deployment that are not on their way out.
    pub fn replica_sets_of(&self, deployment: &str) -> impl Iterator<Item = &ReplicaSet> {
        let sets = self.owned.by(deployment).filter_map(|uid| self.replica_sets.get(uid));
        sets.filter(|set| set.meta.owner_kind == "Deployment" && !set.meta.deleting)
    }

    /// The pods of a Deployment that still have to run.
    pub fn pods_of(&self, deployment: &str) -> impl Iterator<Item = &Pod> {
        let sets = self
            .owned
            .by(deployment)
            .filter(|uid| self.replica_sets.get(*uid).is_some_and(|set| set.meta.owner_kind == "Deployment"));
        let pods = sets.flat_map(|set| self.owned.by(set)).filter_map(|uid| self.pods.get(uid));
        pods.filter(|pod| pod.is_active() && pod.meta.owner_kind == "ReplicaSet")
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.values().find(|node| node.meta.name == name)
    }

    /// By node name, whether it is ready.
    pub fn readiness(&self) -> BTreeMap<&str, bool> {
        self.nodes.values().map(|node| (node.meta.name.as_str(), node.is_ready())).collect()
    }

    /// Are all pods of a Deployment ready, and since when?
    ///
    /// Pods of an older revision that still run count as well: while they are there the Deployment is not settled.
    pub fn health_of(&self, deployment: &str) -> Health {
        let Some(found) = self.deployments.get(deployment) else { return Health::Gone };
        if found.desired == 0 {
            return Health::Idle;
        }
        let wanted = found.desired as usize;
        let pods: Vec<&Pod> = self.pods_of(deployment).collect();
        let ready = pods.iter().filter(|pod| pod.ready).count();
        // The newest of the times at which a pod became ready; a pod that does not say when is not settled.
        let since = pods
            .iter()
            .map(|pod| pod.ready_since)
            .try_fold(Timestamp::MIN, |newest, at| Some(newest.max(at?)));
        match since {
            Some(since) if ready >= wanted && ready == pods.len() => Health::ReadySince(since),
            _ => Health::NotReady { ready: ready.min(wanted), wanted },
        }
    }
}
