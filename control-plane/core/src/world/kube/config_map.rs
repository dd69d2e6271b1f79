//! The ConfigMap of the inventory: who last wrote its content, and when. The content stays in the cluster.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// A ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    /// Who it is.
    pub meta: Meta,
    /// When a part of its content was last written; `None` where nobody is recorded.
    pub written_at: Option<Timestamp>,
    /// The field manager that wrote it.
    pub writer: String,
}

impl Object for ConfigMap {
    const KIND: ObjectKind = ObjectKind::ConfigMap;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::ConfigMap> for ConfigMap {
    fn from(map: v1::ConfigMap) -> Self {
        Self {
            meta: map.meta.unwrap_or_default().into(),
            written_at: at(map.written_at_us),
            writer: map.writer,
        }
    }
}

/// Cuts what is too long; false where the ConfigMap cannot be kept.
pub(super) fn bound(map: &mut v1::ConfigMap) -> bool {
    cut(&mut map.writer, WORD);
    is_meta_kept(map.meta.as_mut())
}
