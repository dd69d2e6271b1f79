//! The Event of the inventory: why the volumes of a pod cannot be mounted.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// An Event about a pod, which is its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// Who it is.
    pub meta: Meta,
    /// In one word.
    pub reason: String,
    /// What is missing, in the kubelet's words; empty where its agent does not tell it.
    pub message: String,
}

impl Object for PodEvent {
    const KIND: ObjectKind = ObjectKind::PodEvent;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::PodEvent> for PodEvent {
    fn from(e: v1::PodEvent) -> Self {
        Self { meta: e.meta.unwrap_or_default().into(), reason: e.reason, message: e.message }
    }
}

/// Cuts what is too long; false where the Event cannot be kept.
pub(super) fn bound(event: &mut v1::PodEvent) -> bool {
    cut(&mut event.reason, WORD);
    cut(&mut event.message, TEXT);
    is_meta_kept(event.meta.as_mut())
}
