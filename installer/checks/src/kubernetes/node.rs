//! The nodes of a cluster.

use serde::Deserialize;

use super::{Metadata, items};
use crate::check::Gathered;
use crate::quantity;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `amd64`, `arm64` or another one.
    pub architecture: String,
    /// `linux` or `windows`.
    pub system: String,
    /// Is its condition Ready true?
    pub is_ready: bool,
    /// Is it closed to new pods (cordoned)?
    pub is_closed: bool,
    /// Thousandths of a processor that pods may have in all; none where it cannot be read.
    pub milli_cpu: Option<u64>,
    /// Bytes that pods may have in all; none where it cannot be read.
    pub memory: Option<u64>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    allocatable: Allocatable,
    #[serde(default, rename = "nodeInfo")]
    info: Info,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize, Default)]
struct Allocatable {
    #[serde(default)]
    cpu: String,
    #[serde(default)]
    memory: String,
}

#[derive(Deserialize, Default)]
struct Info {
    #[serde(default)]
    architecture: String,
    #[serde(default, rename = "operatingSystem")]
    system: String,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// Of `kubectl get nodes -o json`.
pub fn nodes(printed: &[u8]) -> Gathered<Vec<Node>> {
    let objects: Vec<Object> = items(printed, "kubectl get nodes -o json")?;
    Ok(objects
        .into_iter()
        .map(|Object { metadata, spec, status }| Node {
            name: metadata.name,
            architecture: status.info.architecture,
            system: status.info.system,
            is_ready: status.conditions.iter().any(|one| one.kind == "Ready" && one.status == "True"),
            is_closed: spec.unschedulable,
            milli_cpu: quantity::milli(&status.allocatable.cpu),
            memory: quantity::units(&status.allocatable.memory),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_and_what_is_missing_is_not_made_up() {
        let printed = br#"{"items": [
            {"metadata": {"name": "a"}, "spec": {"unschedulable": true}, "status": {
                "allocatable": {"cpu": "3920m", "memory": "1Gi"}, "nodeInfo": {"architecture": "arm64", "operatingSystem": "linux"},
                "conditions": [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
        ]}"#;
        let nodes = nodes(printed).unwrap();
        let [a, b] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert!(a.is_ready && a.is_closed && a.architecture == "arm64" && a.system == "linux");
        assert_eq!((a.milli_cpu, a.memory), (Some(3920), Some(1 << 30)));
        assert!(!b.is_ready && !b.is_closed);
        assert_eq!((b.milli_cpu, b.memory), (None, None));
    }
}
