//! The Pod of the inventory with its containers, and what their states mean.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, NAME, TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

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
    /// When that was.
    #[serde(default)]
    pub last_finished_at: Option<Timestamp>,
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
    /// The revision of its StatefulSet or DaemonSet that it was made from; empty for other pods.
    pub controller_revision: String,
}

impl Object for Pod {
    const KIND: ObjectKind = ObjectKind::Pod;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::Pod> for Pod {
    fn from(p: v1::Pod) -> Self {
        let container = |c: v1::Container| Container {
            name: c.name,
            image: c.image,
            ready: c.ready,
            restarts: c.restart_count,
            state: c.state,
            reason: c.reason,
            last_reason: c.last_reason,
            last_exit_code: c.last_exit_code,
            last_finished_at: at(c.last_finished_at_us),
        };
        Self {
            meta: p.meta.unwrap_or_default().into(),
            node: p.node,
            phase: p.phase,
            ready: p.ready,
            ready_since: at(p.ready_since_us),
            containers: p.containers.into_iter().map(container).collect(),
            unschedulable: p.unschedulable,
            controller_revision: p.controller_revision,
        }
    }
}

/// Cuts what is too long; false where the pod cannot be kept.
pub(super) fn bound(pod: &mut v1::Pod) -> bool {
    cut(&mut pod.node, NAME);
    cut(&mut pod.phase, WORD);
    cut(&mut pod.unschedulable, TEXT);
    cut(&mut pod.controller_revision, WORD);
    pod.containers.truncate(ITEMS);
    for container in &mut pod.containers {
        cut(&mut container.name, NAME);
        cut(&mut container.image, TEXT);
        for text in [&mut container.state, &mut container.reason, &mut container.last_reason] {
            cut(text, WORD);
        }
    }
    is_meta_kept(pod.meta.as_mut())
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
    pub fn cannot_pull_image(&self) -> bool {
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

    /// Does anything about it want a look? Every finding on a pod is on one of these.
    pub fn may_be_unhealthy(&self) -> bool {
        (self.is_active() && !self.ready) || self.containers.iter().any(|c| c.state == "waiting")
    }

    /// What keeps it from starting at all, in the words of the scheduler or the kubelet: nothing that another pod template
    /// of its workload would necessarily change.
    pub fn cannot_start(&self) -> Option<String> {
        if !self.unschedulable.is_empty() {
            return Some(self.unschedulable.clone());
        }
        let config = |c: &&Container| c.state == "waiting" && c.reason == "CreateContainerConfigError";
        let container = self.containers.iter().find(config)?;
        Some(format!("container {}: {}", container.name, container.reason))
    }

    /// Is something wrong with it, beyond still starting? A pod that only just starts is not unhealthy.
    pub fn is_unhealthy(&self) -> bool {
        self.is_active()
            && !self.ready
            && self
                .containers
                .iter()
                .any(|c| c.restarts > 0 || c.cannot_pull_image() || c.reason.ends_with("Error"))
    }
}
