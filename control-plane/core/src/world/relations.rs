//! Who belongs to whom in a cluster, and whether an owner is healthy as a whole.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::inventory::Inventory;
use super::objects::{Deployment, Node, Pod, ReplicaSet};

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

    /// The ReplicaSets of a Deployment.
    pub fn replica_sets_of(&self, deployment: &str) -> impl Iterator<Item = &ReplicaSet> {
        self.replica_sets.values().filter(move |set| {
            set.meta.owner_kind == "Deployment" && set.meta.owner_uid == deployment && !set.meta.deleting
        })
    }

    /// The pods of a Deployment that are not on their way out.
    pub fn pods_of(&self, deployment: &str) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(move |pod| {
            !pod.meta.deleting
                && self.replica_set_of(pod).is_some_and(|set| {
                    set.meta.owner_kind == "Deployment" && set.meta.owner_uid == deployment
                })
        })
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
