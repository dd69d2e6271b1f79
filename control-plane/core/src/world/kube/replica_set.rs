//! The ReplicaSet of the inventory: one revision of a Deployment.

use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{cut_digest, cut_texts, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

use super::template::{self, TemplateFact};

/// A ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSet {
    /// Who it is.
    pub meta: Meta,
    /// Revision of its Deployment; 0 when it has none.
    pub revision: u64,
    /// Pods wanted.
    pub replicas: u32,
    /// Pods ready.
    pub ready_replicas: u32,
    /// Hash of the pod template, hex.
    pub template_hash: String,
    /// Images of the template.
    pub images: Vec<String>,
    /// What the pod template says; empty from an agent that does not report it.
    #[serde(default)]
    pub template: Vec<TemplateFact>,
}

impl Object for ReplicaSet {
    const KIND: ObjectKind = ObjectKind::ReplicaSet;
    const API_VERSION: &'static str = "apps/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::ReplicaSet> for ReplicaSet {
    fn from(r: v1::ReplicaSet) -> Self {
        Self {
            meta: r.meta.unwrap_or_default().into(),
            revision: r.revision,
            replicas: r.replicas,
            ready_replicas: r.ready_replicas,
            template_hash: to_hex(&r.template_hash),
            images: r.images,
            template: template::facts(r.template),
        }
    }
}

/// Cuts what is too long; false where the ReplicaSet cannot be kept.
pub(super) fn bound(set: &mut v1::ReplicaSet) -> bool {
    cut_digest(&mut set.template_hash);
    cut_texts(&mut set.images);
    template::bound(&mut set.template);
    is_meta_kept(set.meta.as_mut())
}
