//! Adapts the objects of every kind to kube-runtime's watcher, as text: one watcher serves all kinds, and of each object only
//! the fields that are used are ever read.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{DynamicResourceScope, ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use nimbus_agent_core::observe::kube::Slim;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1::{self, observation};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// All objects of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collection {
    pub(super) kind: ObjectKind,
    /// In all namespaces, for example `/api/v1/pods`.
    pub(super) path: &'static str,
    read: fn(&str) -> serde_json::Result<Object>,
}

/// What is sent of an object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) uid: String,
    pub(super) body: observation::Body,
    pub(super) gone: v1::Gone,
}

impl Collection {
    pub(super) fn of<T: Slim>() -> Self {
        let read = |text: &str| {
            let object: T = serde_json::from_str(text)?;
            Ok(Object { uid: object.meta().uid.clone(), body: object.observe(), gone: object.gone() })
        };
        Self { kind: T::KIND, path: T::PATH, read }
    }

    /// An event with what is sent of its object. One that cannot be read is an error: without it a listing is not whole.
    pub(super) fn event(self, event: Event<Watched>) -> watcher::Result<Event<Object>> {
        let read = |watched: &Watched| {
            let read = (self.read)(watched.text.get());
            read.map_err(|error| watcher::Error::WatchFailed(kube::Error::SerdeError(error)))
        };
        Ok(match event {
            Event::Init => Event::Init,
            Event::InitApply(watched) => Event::InitApply(read(&watched)?),
            Event::Apply(watched) => Event::Apply(read(&watched)?),
            Event::Delete(watched) => Event::Delete(read(&watched)?),
            Event::InitDone => Event::InitDone,
        })
    }

    /// The same where only the metadata was asked for.
    pub(super) fn event_of_metadata(
        self,
        event: Event<PartialObjectMeta<Watched>>,
    ) -> watcher::Result<Event<Object>> {
        let whole = |object: PartialObjectMeta<Watched>| {
            let read = Watched::of_metadata(object.metadata);
            read.map_err(|error| watcher::Error::WatchFailed(kube::Error::SerdeError(error)))
        };
        self.event(match event {
            Event::Init => Event::Init,
            Event::InitApply(object) => Event::InitApply(whole(object)?),
            Event::Apply(object) => Event::Apply(whole(object)?),
            Event::Delete(object) => Event::Delete(whole(object)?),
            Event::InitDone => Event::InitDone,
        })
    }
}

/// An object as the API server wrote it, with the little metadata that the watcher itself needs. In an event of a watch it
/// comes after the event's type, as every API server writes it; otherwise it is an error and the kind is not known.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    meta: ObjectMeta,
    text: Box<RawValue>,
}

impl Watched {
    /// The object of which only the metadata was asked for.
    fn of_metadata(meta: ObjectMeta) -> serde_json::Result<Self> {
        let text = serde_json::value::to_raw_value(&serde_json::json!({ "metadata": meta }))?;
        Ok(Self { meta, text })
    }
}

/// What the watcher needs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Outer {
            #[serde(default)]
            metadata: Head,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Outer { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let Head { name, namespace, uid, resource_version } = metadata;
        let meta = ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
        Ok(Self { meta, text })
    }
}

/// Group (empty for the core group), version and plural of a collection path such as `/apis/apps/v1/deployments` or `/api/v1/pods`.
pub(super) fn parts(path: &'static str) -> (&'static str, &'static str, &'static str) {
    let mut parts = path.trim_start_matches('/').split('/');
    let core = parts.next() == Some("api");
    let group = if core { "" } else { parts.next().unwrap_or_default() };
    (group, parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

impl Resource for Watched {
    type DynamicType = Collection;
    type Scope = DynamicResourceScope;

    fn kind(of: &Collection) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &Collection) -> Cow<'_, str> {
        parts(of.path).0.into()
    }

    fn version(of: &Collection) -> Cow<'_, str> {
        parts(of.path).1.into()
    }

    fn plural(of: &Collection) -> Cow<'_, str> {
        parts(of.path).2.into()
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
    use nimbus_agent_core::observe::kube::{SlimConfigMap, SlimPod};

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
        let read = |watched: Watched| {
            let event = Collection::of::<SlimConfigMap>().event(Event::Apply(watched)).unwrap();
            let Event::Apply(object) = event else { panic!("it was an apply") };
            (object.uid, object.body, object.gone)
        };
        let came: Watched = serde_json::from_str(&whole.to_string()).unwrap();
        assert_eq!(came.meta.resource_version.as_deref(), Some("7"));
        let (uid, body, gone) = read(Watched::of_metadata(metadata).unwrap());
        assert_eq!((uid.as_str(), gone.name.as_str()), ("c", "settings"));
        assert_eq!((uid, body, gone), read(came));
    }

    #[test]
    fn an_object_that_cannot_be_read_is_an_error_and_not_passed_over() {
        let pods = Collection::of::<SlimPod>();
        let odd: Watched = serde_json::from_str(r#"{"metadata": {"name": "p"}, "spec": 7}"#).unwrap();
        for event in [Event::InitApply(odd.clone()), Event::Apply(odd.clone()), Event::Delete(odd)] {
            assert!(matches!(pods.event(event), Err(watcher::Error::WatchFailed(_))));
        }
        assert!(serde_json::from_str::<Watched>(r#"{"metadata": 7}"#).is_err());
    }
}
