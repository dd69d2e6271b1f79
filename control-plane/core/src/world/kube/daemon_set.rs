//! The DaemonSet of the inventory, and how far its update is.

use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, WORD, cut, cut_digest, cut_texts, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonSet {
    /// Who it is.
    pub meta: Meta,
    /// Generation of its spec.
    pub generation: i64,
    /// Generation that its status is about.
    pub observed_generation: i64,
    /// Nodes that should run a pod of it.
    pub desired: u32,
    /// Nodes that run a pod of the newest revision.
    pub updated: u32,
    /// Nodes on which its pod is ready.
    pub ready: u32,
    /// Nodes on which its pod is available.
    pub available: u32,
    /// Hash of the pod template, hex.
    pub template_hash: String,
    /// Images of the template.
    pub images: Vec<String>,
    /// Who keeps it in its desired state; empty when nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
}

impl Object for DaemonSet {
    const KIND: ObjectKind = ObjectKind::DaemonSet;
    const API_VERSION: &'static str = "apps/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::DaemonSet> for DaemonSet {
    fn from(d: v1::DaemonSet) -> Self {
        Self {
            meta: d.meta.unwrap_or_default().into(),
            generation: d.generation,
            observed_generation: d.observed_generation,
            desired: d.desired,
            updated: d.updated,
            ready: d.ready,
            available: d.available,
            template_hash: to_hex(&d.template_hash),
            images: d.images,
            manager: d.manager,
            manager_evidence: d.manager_evidence,
        }
    }
}

/// Cuts what is too long; false where the DaemonSet cannot be kept.
pub(super) fn bound(set: &mut v1::DaemonSet) -> bool {
    cut_digest(&mut set.template_hash);
    cut_texts(&mut set.images);
    cut(&mut set.manager, WORD);
    cut(&mut set.manager_evidence, TEXT);
    is_meta_kept(set.meta.as_mut())
}
