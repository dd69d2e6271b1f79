//! The world: what is known of all clusters and hosts, kept in memory and derived from the observation log.
//!
//! [`World::apply`] takes observations in the order of the log; the newest state of an object wins. What the
//! picture means, and whether it is fresh enough to act on, is decided elsewhere (`causes`, `snapshot`).

mod bounds;
mod certificate_files;
mod disk_trend;
mod histories;
mod host;
mod hosts;
mod inventory;
mod kube;
mod listing;
mod load;
mod managers;
mod measured;
mod meta;
mod named;
mod object;
mod owned;
mod pod_index;
mod relations;
#[cfg(test)]
mod revision_tests;
mod revisions;
mod sanitize;
mod table;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::kind::Body;
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

pub use bounds::is_cluster_uid;
pub use certificate_files::{CertificateFile, HostCertificates};
pub use host::{DiskSample, FileDrift, HostFacts, HostSample, Lines, MAX_FILES, RestoreOutlook};
pub use hosts::Hosts;
pub use inventory::Inventory;
pub use kube::{
    AutoscalerMetric, AutoscalerState, BatchJob, Begun, Certificate, ClusterIssuer, ConfigMap, Container,
    DaemonSet, Deployment, HorizontalPodAutoscaler, Issued, Issuer, KeepsAway, Node, NodeFacts,
    PersistentVolume, PersistentVolumeClaim, Placement, Pod, PodDisruptionBudget, PodEvent, PodFacts,
    ReplicaSet, Requirement, Rollout, Secret, Selector, Spread, StatefulSet, StaysWith, StorageClass, Taint,
    TemplateFact, TlsSecret, Toleration,
};
pub use listing::Listing;
pub use listing::MAX_OBJECTS;
pub use load::{STEP as LOAD_STEP, WorkloadLoad, WorkloadLoads};
pub use managers::manager_name;
pub use measured::{Filesystem, MeasuredNode, MeasuredNodes, Memory, NearLimit, Pressure, Volume};
pub use meta::Meta;
pub use object::Object;
pub use pod_index::Used;
pub use relations::Health;
pub use revisions::Standing;
pub use sanitize::sanitize;
pub use table::Table;
pub use units::{HostUnits, Unit};

/// Most clusters in one world; observations of further clusters are ignored.
pub const MAX_CLUSTERS: usize = 1_000;

/// First byte of a snapshot: which layout follows.
const LAYOUT: u8 = 2;

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct World {
    /// Clusters by UID of their kube-system namespace.
    pub clusters: BTreeMap<String, Inventory>,
    /// Hosts by the agent on them.
    pub hosts: Hosts,
    /// When the clock here last jumped: clusters that are met later are told by another clock too.
    #[serde(default)]
    clock_jumped_at: Option<Timestamp>,
}

/// A snapshot that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another layout.
    #[error(
        "inventory snapshot: expected layout {LAYOUT}, found {0:?}; drop it, the agents list everything again"
    )]
    Layout(Option<u8>),
    /// The layout is right, the content is not.
    #[error("inventory snapshot does not read: {0}; drop it, the agents list everything again")]
    Content(String),
}

impl World {
    /// Takes one observation of `agent`; true when the picture changed.
    ///
    /// What an agent says of itself is no state of the world: it changes nothing here. That an agent may report for a
    /// cluster at all is checked before (the gateway knows its enrolment).
    pub fn apply(&mut self, agent: AgentId, observation: &v1::Observation, received_at: Timestamp) -> bool {
        let Some(body) = &observation.body else { return false };
        if let Body::AgentStatus(_) = body {
            return false;
        }
        let uid = &observation.cluster_uid;
        if uid.is_empty() {
            return self.hosts.change(agent, |facts| {
                facts.heard_at = Some(received_at);
                facts.apply(host::observed_at(observation), body)
            });
        }
        if !self.clusters.contains_key(uid) && self.clusters.len() >= MAX_CLUSTERS {
            return false;
        }
        let inventory = self.cluster(uid);
        if inventory.leader == Some(agent) {
            inventory.heard_at = Some(received_at);
        }
        inventory.note_ends(agent, body, received_at);
        // What the clock of an agent that is ahead says has not been yet.
        let observed_at = host::observed_at(observation).min(received_at);
        let changed = inventory.apply(agent, body, observed_at, received_at);
        inventory.note_history(uid, agent, body, received_at);
        changed
    }

    /// A cluster, as it is known or for the first time.
    fn cluster(&mut self, uid: &str) -> &mut Inventory {
        let clock_jumped_at = self.clock_jumped_at;
        self.clusters.entry(uid.to_owned()).or_insert_with(|| Inventory::met(clock_jumped_at))
    }

    /// Forgets who leads a cluster, and under which lease: that agent may not report for it (any more). The next one's
    /// listing makes the picture anew.
    pub fn clear_leader(&mut self, cluster_uid: &str) {
        if let Some(inventory) = self.clusters.get_mut(cluster_uid) {
            inventory.clear_leader();
        }
    }

    /// The picture as bytes: one byte of layout, then JSON.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        // Maps with text keys and plain values: there is nothing in it that JSON could refuse.
        if serde_json::to_writer(&mut bytes, self).is_err() {
            bytes.truncate(1);
        }
        bytes
    }

    /// The picture that [`World::to_snapshot`] wrote.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.split_first() {
            Some((&LAYOUT, json)) => {
                let world: Result<Self, _> = serde_json::from_slice(json);
                let mut world = world.map_err(|e| SnapshotError::Content(e.to_string()))?;
                world.clusters.values_mut().for_each(Inventory::relate);
                let of_clusters = world.clusters.values().filter_map(|cluster| cluster.clock_jumped_at).max();
                world.clock_jumped_at = world.clock_jumped_at.max(of_clusters);
                Ok(world)
            }
            other => Err(SnapshotError::Layout(other.map(|(layout, _)| *layout))),
        }
    }
}
