//! The slim PersistentVolumeClaim: which volume it is bound to, how large that is and is to be, and whose the claim is.

use nimbus_protocol::{ObjectKind, quantity, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition};
use crate::observe::bounded;

/// The conditions by which Kubernetes says that a volume is on its way to another size, the later ones first.
const RESIZING: [&str; 2] = ["FileSystemResizePending", "Resizing"];
/// Those by which it says that this does not get on, since Kubernetes 1.31.
const RESIZE_ERRORS: [&str; 2] = ["NodeResizeError", "ControllerResizeError"];

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimPersistentVolumeClaim {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    volume_name: String,
    storage_class_name: Option<String>,
    resources: Resources,
    volume_mode: Option<String>,
    access_modes: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Storage>,
}

/// Only storage of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Storage {
    storage: String,
}

impl Storage {
    /// In bytes; 0 where it cannot be read, which reads as not told.
    fn bytes(&self) -> u64 {
        quantity::scaled(&self.storage, 1).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    capacity: Option<Storage>,
    conditions: Option<Vec<Condition>>,
    allocated_resource_statuses: Option<Storage>,
}

impl Status {
    fn of(&self, conditions: [&str; 2]) -> Option<String> {
        let all = self.conditions.as_deref().unwrap_or_default();
        let found = conditions.iter().find_map(|of| condition(all, of).filter(|one| one.status == "True"))?;
        let message = if found.message.is_empty() { &found.reason } else { &found.message };
        Some(if message.is_empty() { found.of.clone() } else { format!("{}: {message}", found.of) })
    }

    /// How far a change of its size got, in Kubernetes' own word.
    fn allocated(&self) -> &str {
        self.allocated_resource_statuses.as_ref().map_or("", |statuses| statuses.storage.as_str())
    }

    fn resizing(&self) -> String {
        let on_its_way = || Some(self.allocated().to_owned()).filter(|word| !word.is_empty());
        self.of(RESIZING).or_else(on_its_way).unwrap_or_default()
    }

    fn resize_error(&self) -> String {
        // Before Kubernetes 1.31 the word ended in Failed.
        let gave_up = |word: &&str| word.ends_with("Infeasible") || word.ends_with("Failed");
        let given_up = || Some(self.allocated()).filter(gave_up).map(str::to_owned);
        self.of(RESIZE_ERRORS).or_else(given_up).unwrap_or_default()
    }
}

impl Slim for SlimPersistentVolumeClaim {
    const KIND: ObjectKind = ObjectKind::PersistentVolumeClaim;
    const PATH: &'static str = "/api/v1/persistentvolumeclaims";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (manager, evidence) = self.metadata.manager_of_claim().unwrap_or_default();
        let requested = self.spec.resources.requests.as_ref();
        v1::observation::Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
            meta: Some(self.metadata.observe()),
            phase: bounded(&self.status.phase),
            volume: bounded(&self.spec.volume_name),
            storage_class: bounded(self.spec.storage_class_name.as_deref().unwrap_or_default()),
            requested_bytes: requested.map_or(0, Storage::bytes),
            capacity_bytes: self.status.capacity.as_ref().map_or(0, Storage::bytes),
            resizing: bounded(&self.status.resizing()),
            resize_error: bounded(&self.status.resize_error()),
            manager: manager.to_owned(),
            manager_evidence: bounded(&evidence),
            // Where it is not said, Kubernetes takes it as a file system.
            volume_mode: bounded(self.spec.volume_mode.as_deref().unwrap_or("Filesystem")),
            access_modes: self.spec.access_modes.iter().flatten().map(|mode| bounded(mode)).collect(),
            size_writer: bounded(self.metadata.size_writer().unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    fn seen(object: serde_json::Value) -> v1::PersistentVolumeClaim {
        let body = serde_json::from_value::<SlimPersistentVolumeClaim>(object).unwrap().observe();
        let Body::PersistentVolumeClaim(seen) = body else { panic!() };
        seen
    }

    #[test]
    fn it_tells_its_volume_once_it_is_bound_to_one() {
        let bound = seen(json!({
            "metadata": {"uid": "c", "name": "db-data", "namespace": "shop"},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "volumeName": "pvc-1", "storageClassName": "fast",
                "resources": {"requests": {"storage": "12Gi"}},
            },
            "status": {"phase": "Bound", "capacity": {"storage": "8Gi"}},
        }));
        assert_eq!(
            [&bound.phase, &bound.volume, &bound.storage_class].map(String::as_str),
            ["Bound", "pvc-1", "fast"]
        );
        assert_eq!((bound.requested_bytes, bound.capacity_bytes), (12 << 30, 8 << 30));
        assert_eq!((bound.volume_mode.as_str(), bound.access_modes.len()), ("Filesystem", 1));
        assert_eq!(bound.meta.unwrap().namespace, "shop");
        let pending = seen(json!({
            "metadata": {"uid": "c", "name": "db-data"}, "spec": {}, "status": {"phase": "Pending"},
        }));
        assert_eq!(
            [&pending.phase, &pending.volume, &pending.storage_class].map(String::as_str),
            ["Pending", "", ""]
        );
        assert_eq!((pending.requested_bytes, pending.capacity_bytes), (0, 0), "not told is not nothing");
    }

    #[test]
    fn a_change_of_its_size_is_told_and_whether_it_gets_on() {
        let with = |status: serde_json::Value| {
            let claim = seen(json!({"metadata": {"uid": "c"}, "status": status}));
            [claim.resizing, claim.resize_error]
        };
        let condition = |of: &str, message: &str| json!({"type": of, "status": "True", "message": message});
        for (status, told) in [
            (json!({}), ["", ""]),
            (json!({"conditions": [condition("Resizing", "")]}), ["Resizing", ""]),
            (
                json!({"conditions": [condition("Resizing", ""), condition("FileSystemResizePending", "waiting")]}),
                ["FileSystemResizePending: waiting", ""],
            ),
            (
                json!({"allocatedResourceStatuses": {"storage": "NodeResizePending"}}),
                ["NodeResizePending", ""],
            ),
            (
                json!({"allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}}),
                ["ControllerResizeInfeasible", "ControllerResizeInfeasible"],
            ),
            (
                json!({"conditions": [condition("ControllerResizeError", "no space in the pool")]}),
                ["", "ControllerResizeError: no space in the pool"],
            ),
            (json!({"conditions": [{"type": "Resizing", "status": "False"}]}), ["", ""]),
        ] {
            assert_eq!(with(status.clone()), told, "{status}");
        }
    }

    #[test]
    fn whose_claim_it_is_is_told_by_its_marks_and_not_by_the_set_whose_pods_use_it() {
        let of = |metadata: serde_json::Value| seen(json!({ "metadata": metadata })).manager;
        let owned = |kind: &str, group: &str| json!({"ownerReferences": [{"kind": kind, "name": "db", "uid": "o", "apiVersion": group}]});
        let wrote = |by: &str, field: &str| json!({"managedFields": [{"manager": by, "fieldsV1": {"f:spec": {field: {}}}}]});
        for (metadata, manager) in [
            (owned("StatefulSet", "apps/v1"), ""),
            (owned("Pod", "v1"), ""),
            (owned("StatefulSet", "apps.kruise.io/v1beta1"), "operator"),
            (owned("Cluster", "postgresql.cnpg.io/v1"), "operator"),
            (json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}), "argocd"),
            (wrote("kube-controller-manager", "f:resources"), ""),
            (wrote("postgres-operator", "f:resources"), "operator"),
            (wrote("postgres-operator", "f:volumeName"), ""),
            (wrote("helm-controller", "f:resources"), "flux"),
            // They make a claim anew that is larger than they say.
            (wrote("Terraform", "f:resources"), "terraform"),
            (wrote("HashiCorp", "f:resources"), "terraform"),
            (wrote("pulumi-kubernetes-1a2b", "f:resources"), "pulumi"),
            (json!({"annotations": {"resize.topolvm.io/storage_limit": "20Gi"}}), "pvc-autoresizer"),
            (wrote("pvc-autoresizer", "f:resources"), "pvc-autoresizer"),
            (wrote("kubectl-client-side-apply", "f:resources"), ""),
        ] {
            assert_eq!(of(metadata.clone()), manager, "{metadata}");
        }
    }
}
