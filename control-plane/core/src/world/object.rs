//! The trait that every kind of object in the inventory implements.

use nimbus_protocol::ObjectKind;

use super::meta::Meta;
use crate::model::{KubeRef, ObjectRef};

/// An object that the inventory keeps.
pub trait Object: PartialEq {
    /// Its kind.
    const KIND: ObjectKind;
    /// Group and version of its kind, for example `apps/v1`.
    const API_VERSION: &'static str;

    /// Its metadata.
    fn meta(&self) -> &Meta;

    /// This object as a reference that names its group and version.
    fn reference(&self) -> KubeRef {
        let meta = self.meta();
        KubeRef::new(Self::API_VERSION, Self::KIND.as_str(), &meta.namespace, &meta.name, &meta.uid)
    }

    /// This object as an incident names it.
    fn object(&self) -> ObjectRef {
        ObjectRef::Kubernetes(self.reference())
    }
}
