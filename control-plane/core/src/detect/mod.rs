//! Findings: what is wrong with one object, seen by one detector.
//!
//! One file for each detector, all listed in [`all`]. A detector looks at objects alone; what belongs together is
//! decided by `diagnose`.

use crate::model::{IncidentKind, ObjectRef};
use crate::settings::Settings;
use crate::snapshot::Scope;
use crate::world::World;

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

/// Every finding of every detector, in a stable order.
pub fn all(_world: &World, _settings: &Settings) -> Vec<Finding> {
    Vec::new()
}
