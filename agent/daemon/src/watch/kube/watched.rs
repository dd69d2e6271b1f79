//! Adapts slim objects to kube-runtime's watcher, so that only the fields that are used are ever deserialised.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta};
use nimbus_agent_core::observe::kube::Slim;
use serde::{Deserialize, Deserializer};

/// A slim object with the little metadata that the watcher itself needs.
#[derive(Debug, Clone)]
pub struct Watched<T> {
    meta: ObjectMeta,
    /// The object.
    pub object: T,
}

impl<T: Slim> Watched<T> {
    /// The object of which only the metadata was asked for.
    pub(super) fn of_metadata(metadata: &ObjectMeta) -> serde_json::Result<Self> {
        serde_json::from_value(serde_json::json!({ "metadata": metadata }))
    }
}

impl<'de, T: Slim> Deserialize<'de> for Watched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = T::deserialize(deserializer)?;
        let slim = object.meta();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let meta = ObjectMeta {
            name: text(&slim.name),
            namespace: text(&slim.namespace),
            uid: text(&slim.uid),
            resource_version: text(&slim.resource_version),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, object })
    }
}

/// Group (empty for the core group), version and plural of a collection path such as `/apis/apps/v1/deployments` or `/api/v1/pods`.
pub(super) fn parts(path: &'static str) -> (&'static str, &'static str, &'static str) {
    let mut parts = path.trim_start_matches('/').split('/');
    let core = parts.next() == Some("api");
    let group = if core { "" } else { parts.next().unwrap_or_default() };
    (group, parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

impl<T: Slim> Resource for Watched<T> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.as_str().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        parts(T::PATH).0.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        parts(T::PATH).1.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        parts(T::PATH).2.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use nimbus_agent_core::observe::kube::SlimConfigMap;

    use super::*;

    #[test]
    fn a_collection_path_has_its_parts() {
        assert_eq!(parts("/api/v1/pods"), ("", "v1", "pods"));
        assert_eq!(parts("/apis/apps/v1/replicasets"), ("apps", "v1", "replicasets"));
    }

    #[test]
    fn what_the_metadata_alone_says_is_read_as_if_it_came_with_its_object() {
        let whole = serde_json::json!({"metadata": {
            "uid": "c", "name": "settings", "namespace": "shop", "resourceVersion": "7",
            "managedFields": [{
                "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2026-01-02T04:00:00Z", "fieldsV1": {"f:data": {"f:workers": {}}},
            }],
        }});
        let metadata = serde_json::from_value(whole["metadata"].clone()).unwrap();
        let read = Watched::<SlimConfigMap>::of_metadata(&metadata).unwrap();
        let came: Watched<SlimConfigMap> = serde_json::from_value(whole).unwrap();
        assert_eq!(read.object.observe(), came.object.observe());
        assert_eq!(read.meta.name.as_deref(), Some("settings"));
    }
}
