//! The Deployment of the inventory, and how far its rollout is.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, WORD, cut, cut_digest, cut_texts, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

use super::template::{self, TemplateFact};

/// A Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Who it is.
    pub meta: Meta,
    /// Generation of its spec.
    pub generation: i64,
    /// Generation that its status is about.
    pub observed_generation: i64,
    /// The generation with which its present pod template was first seen; 0 where that was not noted yet. Scaling makes later
    /// ones.
    #[serde(default)]
    pub template_generation: i64,
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
    /// What only newer agents report; `None` from an older one.
    #[serde(default)]
    pub more: Option<More>,
}

/// What an agent reports of a Deployment since it reports its strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// Pods of any revision.
    pub replicas: u32,
    /// How long a pod has to be ready to count as available, seconds.
    pub min_ready_seconds: u32,
    /// How long a rollout may make no progress, seconds; 0 where it has no deadline.
    pub progress_deadline_seconds: u32,
    /// `RollingUpdate` or `Recreate`.
    pub strategy: String,
    /// Why pods cannot be made, in the words of the API server; empty where they can.
    pub replica_failure: String,
    /// Since when.
    pub replica_failure_since: Option<Timestamp>,
    /// What the pod template says.
    #[serde(default)]
    pub template: Vec<TemplateFact>,
    /// The field manager that last wrote the pod template; empty when nobody known did.
    #[serde(default)]
    pub template_writer: String,
    /// When.
    #[serde(default)]
    pub template_written_at: Option<Timestamp>,
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
            template_generation: d.generation,
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
            more: (!d.strategy.is_empty()).then_some(More {
                replicas: d.replicas,
                min_ready_seconds: d.min_ready_seconds,
                progress_deadline_seconds: d.progress_deadline_seconds,
                strategy: d.strategy,
                replica_failure: d.replica_failure,
                replica_failure_since: at(d.replica_failure_since_us),
                template: template::facts(d.template),
                template_writer: d.template_writer,
                template_written_at: at(d.template_written_at_us),
            }),
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
    cut(&mut deployment.strategy, WORD);
    cut(&mut deployment.replica_failure, TEXT);
    cut(&mut deployment.template_writer, WORD);
    template::bound(&mut deployment.template);
    is_meta_kept(deployment.meta.as_mut())
}

impl Deployment {
    /// How far its rollout is, as its own conditions say it.
    pub fn rollout(&self) -> Rollout {
        let condition = (self.progressing.as_str(), self.progressing_reason.as_str());
        // Where not even a ReplicaSet can be made the controller says so and does not come to say which generation it saw.
        if condition == ("False", "ReplicaSetCreateError") {
            return Rollout::Stuck;
        }
        if self.is_behind() {
            return Rollout::Progressing;
        }
        match condition {
            ("False", "ProgressDeadlineExceeded") => Rollout::Stuck,
            ("True", "NewReplicaSetAvailable") => Rollout::Complete,
            // Without a deadline there is no condition: all pods being of the newest revision has to do.
            ("", _) if self.updated >= self.desired => Rollout::Complete,
            _ => Rollout::Progressing,
        }
    }

    /// Is its status about another pod template than the present one? That the number of pods was changed since, by an
    /// autoscaler or a person, does not matter.
    pub fn is_behind(&self) -> bool {
        let since = if self.template_generation == 0 { self.generation } else { self.template_generation };
        self.observed_generation < since
    }

    /// Notes what `before`, the state seen last, tells beyond this one.
    pub(in crate::world) fn remember(&mut self, before: &Self) {
        if before.template_hash == self.template_hash && before.template_generation != 0 {
            self.template_generation = before.template_generation.min(self.generation);
        }
    }

    /// Is every pod of the newest revision, and available, and no other there?
    pub fn is_fully_available(&self) -> bool {
        self.observed_generation >= self.generation
            && self.updated == self.desired
            && self.available >= self.desired
            && self.ready >= self.desired
            && self.more.as_ref().is_none_or(|more| more.replicas == self.updated)
    }

    /// Are all its pods of the newest revision, and as many of them available as are wanted, or as there were before it was
    /// scaled up? Scaling is no trouble of a revision.
    pub fn still_holds(&self, available_before: u32) -> bool {
        let enough = self.desired.min(available_before);
        self.desired > 0
            && self.available >= enough
            && self.ready >= enough
            && self.more.as_ref().is_none_or(|more| more.replicas == self.updated)
    }

    /// The pod template is known, and there are pods to judge it by.
    pub fn shows_a_good_revision(&self) -> bool {
        self.is_fully_available() && self.desired > 0 && !self.template_hash.is_empty()
    }

    /// How long a pod has to be ready to count as available, seconds; 0 where its agent does not say.
    pub fn min_ready_seconds(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.min_ready_seconds)
    }

    /// Does its agent say that it has no progress deadline? Then no condition ever says that its rollout is stuck.
    pub fn has_no_deadline(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.progress_deadline_seconds == 0)
    }

    /// How long its progress deadline is; ten minutes, as by default, where it is not known or there is none.
    pub fn progress_deadline(&self) -> SignedDuration {
        let seconds = self.more.as_ref().map_or(0, |more| more.progress_deadline_seconds);
        SignedDuration::from_secs(if seconds == 0 { 600 } else { seconds.into() })
    }
}
