//! The Node of the inventory: readiness, and whether and by whom it is cordoned.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

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
        }
    }
}

/// Cuts what is too long; false where the node cannot be kept.
pub(super) fn bound(node: &mut v1::Node) -> bool {
    cut(&mut node.ready, WORD);
    cut(&mut node.ready_reason, WORD);
    cut(&mut node.cordoned_by, WORD);
    is_meta_kept(node.meta.as_mut())
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
