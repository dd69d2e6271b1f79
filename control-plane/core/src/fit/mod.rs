//! Where a pod fits, as the scheduler reads it: what volumes and other pods say of a node, and which nodes take nothing new.

pub(crate) mod apart;
pub(crate) mod beside;
pub(crate) mod near;
pub(crate) mod others;
pub(crate) mod room;
pub(crate) mod spread;
pub(crate) mod volumes;

use jiff::Timestamp;

use crate::settings::{Settings, millis};
use crate::world::Node;

/// Why nothing new should go to a node, whatever it is; `None` where nothing speaks against it.
pub(crate) fn closed(node: &Node, settings: &Settings, now: Timestamp) -> Option<String> {
    if !node.is_ready() {
        return Some("is not ready".to_owned());
    }
    if node.flaps(millis(settings.node_steady_ms), now) {
        return Some("was not ready a moment ago".to_owned());
    }
    if node.unschedulable {
        return Some("is cordoned".to_owned());
    }
    if node.meta.deleting {
        return Some("is being deleted".to_owned());
    }
    if let Some(job) = node.held_for() {
        return Some(format!("is held for job {job}"));
    }
    let mark = node.facts.as_ref().and_then(|facts| facts.marks.first())?;
    Some(format!("has the mark of {mark}"))
}
