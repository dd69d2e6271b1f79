//! The Deployment of the inventory, and how far its rollout is.

use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, WORD, cut, cut_digest, cut_texts, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Who it is.
    pub meta: Meta,
    /// Generation of its spec.
    pub generation: i64,
    /// Generation that its status is about.
    pub observed_generation: i64,
    /// Pods wanted.
    pub desired: u32,
    /// Pods of the newest revision.
    pub updated: u32,
    /// Pods ready.
    pub ready: u32,
    /// Pods available.
    pub available: u32,
    /// Paused by a person.
    pub paused: bool,
    /// Its revision.
    pub revision: u64,
    /// Hash of the pod template, hex.
    pub template_hash: String,
    /// Images of the template.
    pub images: Vec<String>,
    /// Status of the Progressing condition; empty when there is none.
    pub progressing: String,
    /// Its reason.
    pub progressing_reason: String,
    /// Its message.
    pub progressing_message: String,
    /// Who keeps it in its desired state; empty when nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
}

/// How far a Deployment's rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// The newest revision has been fully available.
    Complete,
    /// Under way, within its deadline.
    Progressing,
    /// Past its progress deadline.
    Stuck,
}

impl Object for Deployment {
    const KIND: ObjectKind = ObjectKind::Deployment;
    const API_VERSION: &'static str = "apps/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::Deployment> for Deployment {
    fn from(d: v1::Deployment) -> Self {
        Self {
            meta: d.meta.unwrap_or_default().into(),
            generation: d.generation,
            observed_generation: d.observed_generation,
            desired: d.desired,
            updated: d.updated,
            ready: d.ready,
            available: d.available,
            paused: d.paused,
            revision: d.revision,
            template_hash: to_hex(&d.template_hash),
            images: d.images,
            progressing: d.progressing_status,
            progressing_reason: d.progressing_reason,
            progressing_message: d.progressing_message,
            manager: d.manager,
            manager_evidence: d.manager_evidence,
        }
    }
}

/// Cuts what is too long; false where the Deployment cannot be kept.
pub(super) fn bound(deployment: &mut v1::Deployment) -> bool {
    cut_digest(&mut deployment.template_hash);
    cut_texts(&mut deployment.images);
    cut(&mut deployment.progressing_status, WORD);
    cut(&mut deployment.progressing_reason, WORD);
    cut(&mut deployment.progressing_message, TEXT);
    cut(&mut deployment.manager, WORD);
    cut(&mut deployment.manager_evidence, TEXT);
    is_meta_kept(deployment.meta.as_mut())
}

impl Deployment {
    /// How far its rollout is, as its own conditions say it.
    pub fn rollout(&self) -> Rollout {
        if self.observed_generation < self.generation {
            return Rollout::Progressing;
        }
        match (self.progressing.as_str(), self.progressing_reason.as_str()) {
            ("False", "ProgressDeadlineExceeded") => Rollout::Stuck,
            ("True", "NewReplicaSetAvailable") => Rollout::Complete,
            // Without a deadline there is no condition: all pods being of the newest revision has to do.
            ("", _) if self.updated >= self.desired => Rollout::Complete,
            _ => Rollout::Progressing,
        }
    }

    /// Is every pod of the newest revision, and available?
    pub fn is_fully_available(&self) -> bool {
        self.observed_generation >= self.generation
            && self.updated == self.desired
            && self.available >= self.desired
            && self.ready >= self.desired
    }

    /// Does its present state show that its present revision is a good one?
    pub fn shows_a_good_revision(&self) -> bool {
        self.is_fully_available() && self.desired > 0 && !self.template_hash.is_empty()
    }
}
