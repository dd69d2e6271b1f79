//! Whether what an incident is about is still there: what is gone shows nothing of how it is.

use nimbus_protocol::ObjectKind;

use super::Investigation;
use crate::model::{Incident, KubeRef, ObjectRef, Workload};
use crate::world::Inventory;

/// The incident's workload, and its object where that is another one.
pub(super) fn tell(incident: &Incident, inventory: &Inventory, found: &mut Investigation) {
    let workload = incident.workload.as_ref().map(Workload::object);
    let object = match &incident.object {
        ObjectRef::Kubernetes(object) => Some(object),
        ObjectRef::File { .. }
        | ObjectRef::Unit { .. }
        | ObjectRef::Host { .. }
        | ObjectRef::Cluster { .. }
        | ObjectRef::Resource { .. } => None,
    };
    let object = object.filter(|object| workload.is_none_or(|workload| workload.uid != object.uid));
    found.unknown.extend(workload.into_iter().chain(object).filter_map(|object| missing(object, inventory)));
}

/// Why nothing is known of an object itself; `None` where it is there.
fn missing(object: &KubeRef, inventory: &Inventory) -> Option<String> {
    let Some((kind, is_there)) = look(object, inventory) else {
        return Some(format!("how {object} itself is, is unknown: its kind is not watched"));
    };
    if is_there {
        None
    } else if inventory.has_every(kind) {
        Some(format!("{object} is no longer there: how it was last is unknown"))
    } else {
        Some(format!("whether {object} is still there is unknown: not every {kind} is listed"))
    }
}

/// Its kind, and whether it is there; `None` for a kind that is not watched.
fn look(object: &KubeRef, inventory: &Inventory) -> Option<(ObjectKind, bool)> {
    let uid = &object.uid;
    Some(match (object.group.as_str(), object.kind.as_str()) {
        ("", "Pod") => (ObjectKind::Pod, inventory.pods.get(uid).is_some()),
        ("", "Node") => (ObjectKind::Node, inventory.nodes.get(uid).is_some()),
        ("", "PersistentVolumeClaim") => {
            (ObjectKind::PersistentVolumeClaim, inventory.persistent_volume_claims.get(uid).is_some())
        }
        ("apps", "Deployment") => (ObjectKind::Deployment, inventory.deployments.get(uid).is_some()),
        ("apps", "ReplicaSet") => (ObjectKind::ReplicaSet, inventory.replica_sets.get(uid).is_some()),
        ("apps", "StatefulSet") => (ObjectKind::StatefulSet, inventory.stateful_sets.get(uid).is_some()),
        ("apps", "DaemonSet") => (ObjectKind::DaemonSet, inventory.daemon_sets.get(uid).is_some()),
        ("batch", "Job") => (ObjectKind::BatchJob, inventory.batch_jobs.get(uid).is_some()),
        _ => return None,
    })
}
