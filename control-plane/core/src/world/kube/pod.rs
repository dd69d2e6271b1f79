//! The Pod of the inventory with its containers, and what their states mean.

use jiff::Timestamp;
use nimbus_protocol::kind::MOST_LABELS;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use super::placement::{self, Placement};
use crate::world::bounds::{ITEMS, NAME, TEXT, WORD, cut, cut_texts, is_meta_kept, is_name};
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
    /// When the run that ended then had begun.
    #[serde(default)]
    pub last_started_at: Option<Timestamp>,
    /// `init` for an init container, `sidecar` for one that stays; empty for every other.
    #[serde(default)]
    pub role: String,
    /// Why it cannot be made, in the kubelet's words; empty where it can, or nobody says.
    #[serde(default)]
    pub message: String,
    /// What the image's name stands for on its node; empty where that is not said.
    #[serde(default)]
    pub image_id: String,
    /// Has it a probe that ends it when it fails?
    #[serde(default)]
    pub probed: bool,
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
    /// What decides whether and where it may be moved; `None` where its agent does not say it.
    #[serde(default)]
    pub facts: Option<PodFacts>,
    /// The longest time for which it was seen ready, milliseconds; `None` while it never was.
    #[serde(default)]
    pub seen_ready_ms: Option<u64>,
    /// Until when it was seen held up before it could start: by the scheduler, a volume, or a ConfigMap or Secret that was not
    /// there. `None` while it never was.
    #[serde(default)]
    pub held_up_until: Option<Timestamp>,
}

/// A yes or no as a snapshot of a version before had it is read too.
fn begun<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Begun>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Word(Begun),
        Whether(bool),
    }
    Ok(Option::<Said>::deserialize(from)?.map(|said| match said {
        Said::Word(begun) => begun,
        Said::Whether(true) => Begun::Yes,
        Said::Whether(false) => Begun::No,
    }))
}

/// How far the kubelet got with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begun {
    /// No container of it was begun, an init container neither.
    No,
    /// All its init containers ended well, and no other container was begun.
    Init,
    /// One was begun, or could not be made for its own sake.
    Yes,
}

/// What decides whether and where a pod may be moved, and what is lost with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodFacts {
    /// When the kubelet took it.
    pub started_at: Option<Timestamp>,
    /// Marks that ask not to disturb it, each in words.
    pub do_not_disturb: Vec<String>,
    /// What is lost, or out of reach, when it goes to another node, each in words.
    pub lost_volumes: Vec<String>,
    /// What the scheduler asks of a node for it.
    pub placement: Option<Box<Placement>>,
    /// Names of the ConfigMaps of its namespace that it refers to.
    #[serde(default)]
    pub config_maps: Vec<String>,
    /// Names of the Secrets of its namespace that it refers to.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Whether those are all; false where that is not known.
    #[serde(default)]
    pub references_complete: bool,
    /// Of each init container its name, `=` and what its image's name stands for.
    #[serde(default)]
    pub init_images: Vec<String>,
    /// How far the kubelet got with it; `None` where its agent does not say it.
    #[serde(default, deserialize_with = "begun")]
    pub begun: Option<Begun>,
    /// Its labels, as far as they are told.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// Whether those are all; false where that is not known.
    #[serde(default)]
    pub labels_complete: bool,
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
            last_started_at: at(c.last_started_at_us),
            role: c.role,
            message: c.message,
            image_id: c.image_id,
            probed: c.probed,
        };
        let facts = |f: v1::PodFacts| PodFacts {
            started_at: at(f.started_at_us),
            do_not_disturb: f.do_not_disturb,
            lost_volumes: f.lost_volumes,
            placement: f.placement.map(|placement| Box::new(placement.into())),
            config_maps: f.config_maps,
            secrets: f.secrets,
            references_complete: f.references_complete,
            init_images: f.init_images,
            labels: f.labels.into_iter().map(|l| (l.key, l.value)).collect(),
            labels_complete: f.labels_complete,
            begun: match f.begun.as_str() {
                "yes" => Some(Begun::Yes),
                "init" => Some(Begun::Init),
                "no" => Some(Begun::No),
                _ => None,
            },
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
            facts: p.facts.map(facts),
            seen_ready_ms: p.ready.then_some(0),
            held_up_until: None,
        }
    }
}

/// Is a label one that can be kept as it is? One that is cut would be another one.
fn is_told(label: &v1::Label) -> bool {
    is_name(&label.key, TEXT) && is_name(&label.value, TEXT)
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
        cut(&mut container.image_id, WORD);
        cut(&mut container.message, TEXT);
        for text in
            [&mut container.state, &mut container.reason, &mut container.last_reason, &mut container.role]
        {
            cut(text, WORD);
        }
    }
    if let Some(facts) = &mut pod.facts {
        cut_texts(&mut facts.do_not_disturb);
        cut_texts(&mut facts.lost_volumes);
        cut_texts(&mut facts.config_maps);
        cut_texts(&mut facts.secrets);
        cut_texts(&mut facts.init_images);
        facts.labels_complete &= facts.labels.len() <= MOST_LABELS && facts.labels.iter().all(is_told);
        facts.labels.retain(is_told);
        facts.labels.truncate(MOST_LABELS);
        facts.placement.iter_mut().for_each(placement::bound);
    }
    is_meta_kept(pod.meta.as_mut())
}

impl Container {
    /// Waiting in CrashLoopBackOff?
    pub fn backs_off(&self) -> bool {
        self.state == "waiting" && self.reason == "CrashLoopBackOff"
    }

    /// What it is called in a sentence: `container app`, `init container prepare`, `sidecar proxy`.
    pub fn titled(&self) -> String {
        match self.role.as_str() {
            "init" => format!("init container {}", self.name),
            "sidecar" => format!("sidecar {} (an init container that stays)", self.name),
            _ => format!("container {}", self.name),
        }
    }

    /// Waiting for a ConfigMap, a Secret, or a key of one, that is not there? What else keeps it from being made, such as a
    /// user that it must not run as, is in its pod template. Where nobody says what it is, the template is not blamed.
    pub fn lacks_what_it_refers_to(&self) -> bool {
        const MISSING: [&str; 5] = [
            "not found",
            "couldn't find key",
            "non-existent",
            "failed to sync configmap",
            "failed to sync secret",
        ];
        let why = self.message.to_lowercase();
        self.state == "waiting"
            && self.reason == "CreateContainerConfigError"
            && (why.is_empty() || MISSING.iter().any(|words| why.contains(words)))
    }

    /// Did its last run end well? Again and again that is no crash: it finishes.
    pub fn finishes(&self) -> bool {
        self.last_exit_code == 0 && self.last_reason == "Completed"
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
    /// What is remembered of its states before: for how long it was ready at most.
    pub(in crate::world) fn remember(&mut self, before: &Self, received_at: Timestamp) {
        let mut longest = self.seen_ready_ms.max(before.seen_ready_ms);
        if let Some(since) = before.ready_since.filter(|_| before.ready && !self.ready) {
            // The condition's own time of the change, or where that is missing or older, when it was heard of.
            let until = self.ready_since.filter(|until| *until > since).unwrap_or(received_at);
            let lasted = u64::try_from(until.duration_since(since).as_millis()).unwrap_or(0);
            longest = longest.max(Some(lasted));
        }
        self.seen_ready_ms = longest;
        self.held_up_until = if before.is_held_up() { Some(received_at) } else { before.held_up_until };
    }

    /// Does it wait for what is not in its pod template? What an init container does is.
    fn is_held_up(&self) -> bool {
        let made = |c: &Container| {
            c.state == "waiting" && matches!(c.reason.as_str(), "ContainerCreating" | "PodInitializing")
        };
        let begun = self.begun() == Some(Begun::Yes);
        self.cannot_start().is_some() || (!begun && self.containers.iter().any(made))
    }

    /// Its labels; `None` where not all of them are told.
    pub fn labels(&self) -> Option<&[(String, String)]> {
        self.facts.as_ref().filter(|facts| facts.labels_complete).map(|facts| facts.labels.as_slice())
    }

    /// How far the kubelet got with it; `None` where its agent does not say it.
    pub fn begun(&self) -> Option<Begun> {
        self.facts.as_ref().and_then(|facts| facts.begun)
    }

    /// Does it still have to run? What ended, well or not, is left behind: its controller makes another one.
    pub fn is_active(&self) -> bool {
        !self.meta.deleting && self.phase != "Succeeded" && self.phase != "Failed"
    }

    /// Does anything about it want a look? Every finding on a pod is on one of these.
    pub fn may_be_unhealthy(&self) -> bool {
        self.is_active() && (!self.ready || self.containers.iter().any(|c| c.state == "waiting"))
    }

    /// What keeps it from starting at all, in the words of the scheduler or the kubelet: nothing that another pod template
    /// of its workload would necessarily change.
    pub fn cannot_start(&self) -> Option<String> {
        if !self.unschedulable.is_empty() {
            return Some(self.unschedulable.clone());
        }
        let container = self.containers.iter().find(|container| container.lacks_what_it_refers_to())?;
        Some(match container.message.as_str() {
            "" => format!("container {}: {}", container.name, container.reason),
            why => format!("container {}: {}: {why}", container.name, container.reason),
        })
    }

    /// Is it on a node, and was not even one of its containers begun there, apart from init containers that ended well? A
    /// volume that cannot be attached, a network that cannot be made or an image that is still pulled looks so; its conditions
    /// do not say which. Where its agent does not say whether an init container runs, a pod with init containers never looks
    /// so.
    pub fn nothing_begun(&self) -> bool {
        let waits =
            |c: &Container| c.state == "waiting" && c.reason == "ContainerCreating" && c.restarts == 0;
        let bound = !self.node.is_empty() && !self.containers.is_empty();
        let begun = match self.begun() {
            Some(Begun::Yes) => true,
            Some(Begun::No | Begun::Init) => false,
            None => !self.containers.iter().all(waits),
        };
        self.is_active() && !self.ready && bound && !begun
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
