//! Where a pod could run besides its node, as the scheduler would say it: taints, labels, affinity, what is free, and which
//! pods keep apart.
//!
//! What cannot be judged is not known, and is never promised.

use nimbus_protocol::kind::{MOST_NEIGHBOURS, MOST_OF_A_NODE};

use super::apart::Apart;
use crate::settings::millis;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, Pod};

/// Most reasons that are named.
const MOST: usize = 3;

/// Where else a pod could run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// On this node, for one.
    On(String),
    /// Nowhere; why, node by node.
    Nowhere(String),
    /// That cannot be judged; why.
    NotKnown(String),
}

/// Where `pod` could run besides its own node. Whether that is of the control plane, its taints decide, as for the scheduler.
pub(super) fn elsewhere(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> Elsewhere {
    among(pod, inventory, s, |_| true)
}

/// Where `pod` could run besides its own node, of the nodes that count.
fn among(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>, counts: fn(&Node) -> bool) -> Elsewhere {
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let Some(placement) = placement else {
        return Elsewhere::NotKnown("its agent does not say what the pod asks of a node".to_owned());
    };
    let apart = Apart::of(pod, placement, inventory);
    let (mut fits, mut unknown, mut no) = (None, None, Vec::new());
    for node in inventory.nodes.values().filter(|node| node.meta.name != pod.node) {
        let name = &node.meta.name;
        if !counts(node) {
            no.push(format!("{name} is of the control plane"));
            continue;
        }
        if let Some(why) = closed(node, s) {
            no.push(format!("{name} {why}"));
            continue;
        }
        let Some(facts) = &node.facts else {
            unknown = Some(format!("its agent does not say what {name} offers"));
            continue;
        };
        if facts.labels.len().max(facts.taints.len()) >= MOST_OF_A_NODE {
            unknown = Some(format!(
                "{name} may have more labels or taints than the {MOST_OF_A_NODE} that are told"
            ));
            continue;
        }
        if let Some(why) = placement.refused_by(node, facts) {
            no.push(format!("{name}: {why}"));
            continue;
        }
        let used = inventory.used_on(name);
        if used.not_known > 0 {
            unknown = Some(format!("its agent does not say what the pods on {name} ask for"));
            continue;
        }
        let short = [
            ("cpu", facts.cpu_milli - used.cpu_milli, placement.cpu_milli),
            ("memory", facts.memory_bytes - used.memory_bytes, placement.memory_bytes),
            ("pods", facts.pods - used.pods, 1),
        ];
        // Nothing asked for fits also where nothing is left of it.
        if let Some((what, ..)) = short.iter().find(|(_, free, asked)| *asked > 0 && free < asked) {
            no.push(format!("{name} has not enough {what} free"));
            continue;
        }
        match apart.doubts(facts) {
            Some(why) => unknown = Some(format!("{name}: {why}")),
            None => fits = fits.or(Some(name.clone())),
        }
    }
    // Conditions beyond these can only rule out more nodes.
    match (fits, unknown, placement.not_judged()) {
        (Some(_), _, Some(other)) => Elsewhere::NotKnown(format!("{other} decides too")),
        (Some(node), _, None) => Elsewhere::On(node),
        (None, Some(why), _) => Elsewhere::NotKnown(why),
        (None, None, _) if no.is_empty() => Elsewhere::Nowhere("there is no other node".to_owned()),
        (None, None, _) => {
            let more = no.len().saturating_sub(MOST);
            no.truncate(MOST);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            Elsewhere::Nowhere(format!("{}{more}", no.join(", ")))
        }
    }
}

/// Why nothing new should go to a node, whatever it is; `None` where nothing speaks against it.
fn closed(node: &Node, s: &Snapshot<'_>) -> Option<String> {
    if !node.is_ready() {
        return Some("is not ready".to_owned());
    }
    if node.flaps(millis(s.settings.node_steady_ms), s.now) {
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

/// May the pod's node be held back for its replacement, apart from what else is held, planned or in flight? If not, why.
pub(super) fn may_be_held(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> Result<String, String> {
    let name = &pod.node;
    let Some(own) = inventory.node(name) else { return Err(format!("nothing is known of {name}")) };
    let Some(facts) = &own.facts else {
        return Err(format!("its agent does not say who is at work on {name}"));
    };
    if let Some(mark) = facts.marks.first() {
        return Err(format!("{name} has the mark of {mark}, and whoever marked it keeps it"));
    }
    if own.control_plane {
        return Err(format!("{name} is of the control plane"));
    }
    if !own.is_ready() || own.flaps(millis(s.settings.node_steady_ms), s.now) {
        return Err(format!("{name} is not ready, or was not a moment ago"));
    }
    if own.unschedulable && own.cordoned_by.is_empty() {
        return Err(format!("{name} is cordoned by somebody else"));
    }
    if inventory.pods_in(&pod.meta.namespace) > MOST_NEIGHBOURS {
        return Err(format!(
            "namespace {} has more than the {MOST_NEIGHBOURS} pods that an agent reads again before it holds a node",
            pod.meta.namespace
        ));
    }
    // No workload is driven to the control plane, where it would be let in.
    match among(pod, inventory, s, |node| !node.control_plane) {
        Elsewhere::On(other) => Ok(other),
        Elsewhere::Nowhere(why) => Err(format!("the pod fits on no other node ({why})")),
        Elsewhere::NotKnown(why) => Err(format!("whether the pod fits on another node is not known ({why})")),
    }
}
