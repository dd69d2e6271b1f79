//! The StorageClass of the inventory: who makes its volumes, and whether they may grow.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{NAME, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageClass {
    /// Who it is.
    pub meta: Meta,
    /// Who makes its volumes, such as `ebs.csi.aws.com`.
    pub provisioner: String,
    /// May a claim of it ask for more than it has?
    pub allows_expansion: bool,
}

impl Object for StorageClass {
    const KIND: ObjectKind = ObjectKind::StorageClass;
    const API_VERSION: &'static str = "storage.k8s.io/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::StorageClass> for StorageClass {
    fn from(class: v1::StorageClass) -> Self {
        Self {
            meta: class.meta.unwrap_or_default().into(),
            provisioner: class.provisioner,
            allows_expansion: class.allows_expansion,
        }
    }
}

/// Cuts what is too long; false where the class cannot be kept.
pub(super) fn bound(class: &mut v1::StorageClass) -> bool {
    cut(&mut class.provisioner, NAME);
    is_meta_kept(class.meta.as_mut())
}
