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
    use super::*;

    #[test]
    fn a_collection_path_has_its_parts() {
        assert_eq!(parts("/api/v1/pods"), ("", "v1", "pods"));
        assert_eq!(parts("/apis/apps/v1/replicasets"), ("apps", "v1", "replicasets"));
    }
}
