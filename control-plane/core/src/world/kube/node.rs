//! The Node of the inventory: readiness, whether and by whom it is kept from new pods, and what it offers.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, TEXT, WORD, cut, cut_texts, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// How long after it was made a node may take to become ready for the first time without that counting as having been lost.
const BOOT: SignedDuration = SignedDuration::from_mins(15);

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
    /// The job of ours that cordoned it; empty when none did.
    pub cordoned_by: String,
    /// Taints, marks, labels and capacity; `None` where its agent does not say them.
    #[serde(default)]
    pub facts: Option<NodeFacts>,
    /// Was it seen to become not ready after it had been ready?
    #[serde(default)]
    pub was_lost: bool,
}

/// What decides whether a node takes a pod, and whose the node is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeFacts {
    /// All taints, ours among them.
    pub taints: Vec<Taint>,
    /// The job whose taint is on it; empty when there is none.
    pub held_by: String,
    /// Until when that taint may stay.
    pub held_until: Option<Timestamp>,
    /// The marks of others that are at work on it, each in words.
    pub marks: Vec<String>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Thousandths of a processor that pods may ask for in all.
    pub cpu_milli: i64,
    /// Bytes of memory that pods may ask for in all.
    pub memory_bytes: i64,
    /// Pods that it takes in all.
    pub pods: i64,
}

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
    pub effect: String,
}

impl Object for Node {
    const KIND: ObjectKind = ObjectKind::Node;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::Node> for Node {
    fn from(n: v1::Node) -> Self {
        Self {
            meta: n.meta.unwrap_or_default().into(),
            ready: n.ready,
            ready_reason: n.ready_reason,
            ready_since: at(n.ready_since_us),
            unschedulable: n.unschedulable,
            control_plane: n.control_plane,
            cordoned_by: n.cordoned_by,
            facts: n.facts.map(NodeFacts::from),
            was_lost: false,
        }
    }
}

impl From<v1::NodeFacts> for NodeFacts {
    fn from(f: v1::NodeFacts) -> Self {
        let taint = |t: v1::Taint| Taint { key: t.key, value: t.value, effect: t.effect };
        Self {
            taints: f.taints.into_iter().map(taint).collect(),
            held_by: f.held_by,
            held_until: at(f.held_until_us),
            marks: f.marks,
            labels: f.labels.into_iter().map(|l| (l.key, l.value)).collect(),
            cpu_milli: f.cpu_milli,
            memory_bytes: f.memory_bytes,
            pods: f.pods,
        }
    }
}

/// Cuts what is too long; false where the node cannot be kept.
pub(super) fn bound(node: &mut v1::Node) -> bool {
    cut(&mut node.ready, WORD);
    cut(&mut node.ready_reason, WORD);
    cut(&mut node.cordoned_by, WORD);
    if let Some(facts) = &mut node.facts {
        cut(&mut facts.held_by, WORD);
        cut_texts(&mut facts.marks);
        facts.labels.truncate(ITEMS);
        for label in &mut facts.labels {
            cut(&mut label.key, TEXT);
            cut(&mut label.value, TEXT);
        }
        facts.taints.truncate(ITEMS);
        for taint in &mut facts.taints {
            cut(&mut taint.key, TEXT);
            cut(&mut taint.value, TEXT);
            cut(&mut taint.effect, WORD);
        }
    }
    is_meta_kept(node.meta.as_mut())
}

impl NodeFacts {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Node {
    /// What is remembered of its states before.
    pub(in crate::world) fn remember(&mut self, before: &Self) {
        self.was_lost = before.was_lost || (before.is_ready() && !self.is_ready());
    }

    /// Can it take another pod, as far as its conditions say?
    pub fn takes_new_pods(&self) -> bool {
        self.is_ready() && !self.unschedulable && !self.meta.deleting && self.held_for().is_none()
    }

    /// Ready?
    pub fn is_ready(&self) -> bool {
        self.ready == "True"
    }

    /// Ready, but for less than `steady` since it last was not: it may be gone again in a moment, and is not ready for
    /// anything. A node that was made only lately is not one that was lost.
    pub fn flaps(&self, steady: SignedDuration, now: Timestamp) -> bool {
        let Some(since) = self.ready_since.filter(|_| self.is_ready()) else { return false };
        let recent = since.checked_add(steady).is_ok_and(|settled| now < settled);
        let first = self.meta.created_at.and_then(|made| made.checked_add(BOOT).ok());
        recent && (self.was_lost || first.is_none_or(|until| since > until))
    }

    /// The job of ours that keeps it from new pods, by a taint or by the cordon of an older version.
    pub fn held_for(&self) -> Option<&str> {
        let held = self.facts.as_ref().map_or("", |facts| facts.held_by.as_str());
        [held, self.cordoned_by.as_str()].into_iter().find(|job| !job.is_empty())
    }
}
