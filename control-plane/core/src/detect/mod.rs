//! Findings: what is wrong with one object, seen by one detector.
//!
//! One file for each detector, all listed in [`all`]. A detector looks at objects alone; what belongs together is
//! decided by `diagnose`, and whether the picture is fresh enough by the caller.

mod crash_loop;
mod file_drift;
mod image_pull;
mod node_not_ready;
mod out_of_memory;
mod pods;
mod rollout_stuck;
#[cfg(test)]
mod tests;

use crate::model::{IncidentKind, ObjectRef};
use crate::settings::Settings;
use crate::snapshot::Scope;
use crate::world::{Inventory, World};

/// One detector's word on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of trouble.
    pub kind: IncidentKind,
    /// Where.
    pub scope: Scope,
    /// The object that shows it: a pod, Deployment, node or file.
    pub object: ObjectRef,
    /// The workload that owns the object, if any: for a pod of a Deployment the Deployment.
    pub owner: Option<ObjectRef>,
    /// For a pod its ReplicaSet's UID; empty otherwise.
    pub replica_set: String,
    /// For a pod the node it is on; empty otherwise.
    pub node: String,
    /// For a pod the container that shows it; empty otherwise.
    pub container: String,
    /// For a pod the restarts of that container.
    pub restarts: u32,
    /// What shows it, one sentence each.
    pub evidence: Vec<String>,
}

/// A detector of what is wrong in a cluster: its UID, its inventory, the figures.
type Detector = fn(&str, &Inventory, &Settings) -> Vec<Finding>;

/// The detectors of clusters. Adding one is a file and a line.
const DETECTORS: &[Detector] = &[
    node_not_ready::detect,
    rollout_stuck::detect,
    out_of_memory::detect,
    image_pull::detect,
    crash_loop::detect,
];

/// Every finding of every detector, in a stable order.
pub fn all(world: &World, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (uid, inventory) in &world.clusters {
        findings.extend(DETECTORS.iter().flat_map(|detect| detect(uid, inventory, settings)));
    }
    for (agent, facts) in &world.hosts {
        findings.extend(file_drift::detect(agent, facts));
    }
    findings
}

impl Finding {
    fn of_cluster(kind: IncidentKind, cluster: &str, object: ObjectRef, evidence: Vec<String>) -> Self {
        Self {
            kind,
            scope: Scope::Cluster(cluster.to_owned()),
            object,
            owner: None,
            replica_set: String::new(),
            node: String::new(),
            container: String::new(),
            restarts: 0,
            evidence,
        }
    }
}
