//! The Kubernetes objects as the inventory keeps them: only what detectors and planners use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{ObjectRef, Target};

/// What every object has.
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
    /// Kind of the controlling owner; empty when there is none.
    pub owner_kind: String,
    /// Its name.
    pub owner_name: String,
    /// Its UID.
    pub owner_uid: String,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image as the spec names it.
    pub image: String,
    /// Ready?
    pub ready: bool,
    /// Restarts so far.
    pub restarts: u32,
    /// running, waiting, terminated; empty when the kubelet has not said.
    pub state: String,
    /// Reason of that state.
    pub reason: String,
    /// Reason of the last termination.
    pub last_reason: String,
    /// Exit code of the last termination.
    pub last_exit_code: i32,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Who it is.
    pub meta: Meta,
    /// The node it is bound to; empty when it is not.
    pub node: String,
    /// Pending, Running, Succeeded, Failed, Unknown.
    pub phase: String,
    /// Ready?
    pub ready: bool,
    /// When the Ready condition last changed.
    pub ready_since: Option<Timestamp>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Why it cannot be scheduled; empty when it is.
    pub unschedulable: String,
}

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
}

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

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Who it is.
    pub meta: Meta,
    /// True, False, Unknown.
    pub ready: String,
    /// Why.
    pub ready_reason: String,
    /// Since when.
    pub ready_since: Option<Timestamp>,
    /// Cordoned?
    pub unschedulable: bool,
    /// Part of the control plane?
    pub control_plane: bool,
    /// Who of us cordoned it; empty when none of us did.
    pub cordoned_by: String,
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

impl Meta {
    /// This object as an incident names it.
    pub fn object(&self, kind: &str) -> ObjectRef {
        ObjectRef {
            kind: kind.to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }

    /// This object as a plan names it.
    pub fn target(&self) -> Target {
        Target { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }
}

impl Container {
    /// Waiting in CrashLoopBackOff?
    pub fn backs_off(&self) -> bool {
        self.state == "waiting" && self.reason == "CrashLoopBackOff"
    }

    /// Killed for its memory limit, now or the last time?
    pub fn out_of_memory(&self) -> bool {
        self.last_reason == "OOMKilled" || (self.state == "terminated" && self.reason == "OOMKilled")
    }

    /// Waiting for an image that cannot be had?
    pub fn lacks_image(&self) -> bool {
        const REASONS: [&str; 5] = [
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "RegistryUnavailable",
        ];
        self.state == "waiting" && REASONS.contains(&self.reason.as_str())
    }
}

impl Pod {
    /// Does it still have to run? What ended, well or not, is left behind: its controller makes another one.
    pub fn is_active(&self) -> bool {
        !self.meta.deleting && self.phase != "Succeeded" && self.phase != "Failed"
    }

    /// Is something wrong with it, beyond still starting? A pod that only just starts is not unhealthy.
    pub fn is_unhealthy(&self) -> bool {
        self.is_active()
            && !self.ready
            && self
                .containers
                .iter()
                .any(|c| c.restarts > 0 || c.lacks_image() || c.reason.ends_with("Error"))
    }
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
}

impl Node {
    /// Can it take another pod, as far as its conditions say?
    pub fn is_open(&self) -> bool {
        self.is_ready() && !self.unschedulable && !self.meta.deleting
    }

    /// Ready?
    pub fn is_ready(&self) -> bool {
        self.ready == "True"
    }
}
