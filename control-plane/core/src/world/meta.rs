//! The metadata that every Kubernetes object of the inventory has.

use jiff::Timestamp;
use nimbus_protocol::{from_micros, v1};
use serde::{Deserialize, Serialize};

use crate::model::{KubeRef, Target};

/// Who an object is, and who controls it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meta {
    /// UID: another object has another one, whatever its name.
    pub uid: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Is it on its way out?
    pub deleting: bool,
    /// Group and version of the controlling owner, for example `apps/v1`; empty when there is none.
    pub owner_api_version: String,
    /// Kind of the controlling owner; empty when there is none.
    pub owner_kind: String,
    /// Its name.
    pub owner_name: String,
    /// Its UID.
    pub owner_uid: String,
}

/// A time from the wire, where 0 means that it is not known.
pub(super) fn at(micros: i64) -> Option<Timestamp> {
    (micros != 0).then(|| from_micros(micros))
}

impl From<v1::ObjectMeta> for Meta {
    fn from(m: v1::ObjectMeta) -> Self {
        Self {
            uid: m.uid,
            namespace: m.namespace,
            name: m.name,
            created_at: at(m.created_at_us),
            deleting: m.deleting_since_us != 0,
            owner_api_version: m.owner_api_version,
            owner_kind: m.owner_kind,
            owner_name: m.owner_name,
            owner_uid: m.owner_uid,
        }
    }
}

impl Meta {
    /// This object as a plan names it.
    pub fn target(&self) -> Target {
        Target { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }

    /// The controlling owner; `None` when there is none.
    pub fn owner(&self) -> Option<KubeRef> {
        (!self.owner_uid.is_empty()).then(|| {
            KubeRef::new(
                &self.owner_api_version,
                &self.owner_kind,
                &self.namespace,
                &self.owner_name,
                &self.owner_uid,
            )
        })
    }
}
