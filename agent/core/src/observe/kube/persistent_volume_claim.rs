//! The slim PersistentVolumeClaim: which volume it is bound to.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::bounded;

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
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

impl Slim for SlimPersistentVolumeClaim {
    const KIND: ObjectKind = ObjectKind::PersistentVolumeClaim;
    const PATH: &'static str = "/api/v1/persistentvolumeclaims";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
            meta: Some(self.metadata.observe()),
            phase: bounded(&self.status.phase),
            volume: bounded(&self.spec.volume_name),
            storage_class: bounded(self.spec.storage_class_name.as_deref().unwrap_or_default()),
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
            "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pvc-1", "storageClassName": "fast"},
            "status": {"phase": "Bound", "capacity": {"storage": "8Gi"}},
        }));
        assert_eq!(
            [&bound.phase, &bound.volume, &bound.storage_class].map(String::as_str),
            ["Bound", "pvc-1", "fast"]
        );
        assert_eq!(bound.meta.unwrap().namespace, "shop");
        let pending = seen(json!({
            "metadata": {"uid": "c", "name": "db-data"}, "spec": {}, "status": {"phase": "Pending"},
        }));
        assert_eq!(
            [&pending.phase, &pending.volume, &pending.storage_class].map(String::as_str),
            ["Pending", "", ""]
        );
    }
}
