//! The StatefulSet of the inventory, and how far its update is.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use super::pod::Pod;
use crate::world::bounds::{TEXT, WORD, cut, cut_digest, cut_texts, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatefulSet {
    /// Who it is.
    pub meta: Meta,
    /// Generation of its spec.
    pub generation: i64,
    /// Generation that its status is about.
    pub observed_generation: i64,
    /// Pods wanted.
    pub desired: u32,
    /// Pods of the revision that is being brought out.
    pub updated: u32,
    /// Pods ready.
    pub ready: u32,
    /// Pods available.
    pub available: u32,
    /// Revision of the pods that are not updated.
    pub current_revision: String,
    /// Revision that is being brought out; the same as `current_revision` when nothing is.
    pub update_revision: String,
    /// Does its controller replace pods by itself, one after the other? With `OnDelete` it does not; with a strategy that is
    /// not said or not known it may.
    pub rolls: bool,
    /// Hash of the pod template, hex.
    pub template_hash: String,
    /// Images of the template.
    pub images: Vec<String>,
    /// Who keeps it in its desired state; empty when nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
    /// How many pods of the lowest ordinals an update leaves as they are; 0 also where an older agent does not say it.
    #[serde(default)]
    pub partition: u32,
    /// The ordinal of its first pod.
    #[serde(default)]
    pub first_ordinal: u32,
    /// Does its controller replace a pod of an older revision that is not ready (`podManagementPolicy:
    /// Parallel`)? False also where an older agent does not say it.
    #[serde(default)]
    pub parallel: bool,
    /// When `update_revision` was seen to become the one that is brought out; `None` where it was that when
    /// first met.
    #[serde(default)]
    pub came_out_at: Option<Timestamp>,
    /// When a pod of that revision was first seen to fail since then; `None` while none was.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// The longest time for which a pod of that revision was seen ready, milliseconds.
    #[serde(default)]
    pub ready_ms: u64,
}

impl Object for StatefulSet {
    const KIND: ObjectKind = ObjectKind::StatefulSet;
    const API_VERSION: &'static str = "apps/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::StatefulSet> for StatefulSet {
    fn from(s: v1::StatefulSet) -> Self {
        Self {
            meta: s.meta.unwrap_or_default().into(),
            generation: s.generation,
            observed_generation: s.observed_generation,
            desired: s.desired,
            updated: s.updated,
            ready: s.ready,
            available: s.available,
            current_revision: s.current_revision,
            update_revision: s.update_revision,
            rolls: s.update_strategy != "OnDelete",
            template_hash: to_hex(&s.template_hash),
            images: s.images,
            manager: s.manager,
            manager_evidence: s.manager_evidence,
            partition: s.partition.unwrap_or_default(),
            first_ordinal: s.first_ordinal,
            parallel: s.pod_management_policy == "Parallel",
            came_out_at: None,
            failed_at: None,
            ready_ms: 0,
        }
    }
}

/// Cuts what is too long; false where the StatefulSet cannot be kept.
pub(super) fn bound(set: &mut v1::StatefulSet) -> bool {
    cut_digest(&mut set.template_hash);
    cut_texts(&mut set.images);
    for text in [
        &mut set.current_revision,
        &mut set.update_revision,
        &mut set.update_strategy,
        &mut set.pod_management_policy,
    ] {
        cut(text, WORD);
    }
    cut(&mut set.manager, WORD);
    cut(&mut set.manager_evidence, TEXT);
    is_meta_kept(set.meta.as_mut())
}

impl StatefulSet {
    /// What is remembered of the state before: when the present revision came out, and how it fared since.
    pub(in crate::world) fn remember(&mut self, before: &Self, received_at: Timestamp) {
        if before.update_revision == self.update_revision {
            (self.came_out_at, self.failed_at) = (before.came_out_at, before.failed_at);
            self.ready_ms = before.ready_ms;
        } else if !before.update_revision.is_empty() {
            // Before that its controller had not come to name the first one.
            self.came_out_at = Some(received_at);
        }
    }

    /// What one of its pods tells of the present revision, if that was seen to come out.
    pub(in crate::world) fn learn(&mut self, pod: &Pod, received_at: Timestamp) {
        if self.came_out_at.is_none() || pod.controller_revision != self.update_revision {
            return;
        }
        self.ready_ms = self.ready_ms.max(pod.seen_ready_ms.unwrap_or_default());
        if !pod.ready && pod.containers.iter().any(|container| container.restarts > 0) {
            self.failed_at = self.failed_at.or(Some(received_at));
        }
    }

    /// The control plane's clock jumped by `by`: how long ago the present revision came out stays what it
    /// was.
    pub(in crate::world) fn clock_jumped(&mut self, by: SignedDuration) {
        for at in [&mut self.came_out_at, &mut self.failed_at].into_iter().flatten() {
            *at = at.saturating_add(by).unwrap_or(*at);
        }
    }

    /// Is another revision being brought out, or a change not even looked at yet? One that has come as far as its partition
    /// lets it stays there until a person moves the partition.
    pub fn is_updating(&self) -> bool {
        let meant = self.desired.saturating_sub(self.partition);
        let held_back = self.partition > 0 && self.updated >= meant;
        self.observed_generation < self.generation
            || (self.rolls && self.current_revision != self.update_revision && !held_back)
    }

    /// The revision of which its controller would make the pod of this name anew; `None` for a name that is not its own.
    pub fn revision_of_new(&self, pod: &str) -> Option<&str> {
        let ordinal: u32 = pod.strip_prefix(self.meta.name.as_str())?.strip_prefix('-')?.parse().ok()?;
        let kept = ordinal < self.first_ordinal.saturating_add(self.partition);
        Some(if kept { &self.current_revision } else { &self.update_revision })
    }
}
