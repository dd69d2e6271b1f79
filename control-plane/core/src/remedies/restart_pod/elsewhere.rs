//! Where a pod could run besides its node, as the scheduler would say it: taints, labels, affinity, what is free, where its
//! volumes can be attached, and which pods keep apart, have to be near, and are spread.
//!
//! What cannot be judged is not known, and is never promised. Where a node is to be held, less is judged than where the plan
//! only says where the pod could go: what the checker and the agent judge again, and no more.

use nimbus_protocol::kind::MOST_NEIGHBOURS;

use crate::fit::apart::Apart;
use crate::fit::beside::Beside;
use crate::fit::others::{Says, Told};
use crate::fit::room::{On, on};
use crate::fit::volumes::Volumes;
use crate::settings::millis;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, NodeFacts, Pod};

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
    among(pod, inventory, s, Purpose::Answer)
}

/// What it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The plan says where the pod could go: all is judged that is told.
    Answer,
    /// A node is held back: no node of the control plane counts, no volume, no spread and no affinity to pods is judged, and of
    /// anti-affinity only the reach.
    Hold,
}

/// What pods and volumes say of nodes.
enum Judged<'a> {
    All(Volumes<'a>, Beside<'a>),
    Reach(Apart<'a>),
}

impl Judged<'_> {
    fn say(&self, node: &Node, facts: &NodeFacts) -> Says {
        match self {
            Self::Reach(apart) => apart.doubts(facts).map_or(Says::Yes, Says::NotKnown),
            Self::All(volumes, beside) => volumes.says(node, facts).and(beside.say(facts)),
        }
    }
}

/// Where `pod` could run besides its own node, for this purpose.
fn among(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>, purpose: Purpose) -> Elsewhere {
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let Some(placement) = placement else {
        return Elsewhere::NotKnown("its agent does not say what the pod asks of a node".to_owned());
    };
    let (judged, not_judged) = match purpose {
        Purpose::Answer => {
            let volumes = Volumes::of(&placement.claims, &pod.meta.namespace, inventory);
            (
                Judged::All(volumes, Beside::of(pod, placement, inventory, &Told::of(inventory))),
                placement.not_described(),
            )
        }
        Purpose::Hold => (Judged::Reach(Apart::of(pod, placement, inventory)), placement.not_judged()),
    };
    let (mut fits, mut unknown, mut no) = (None, None, Vec::new());
    for node in inventory.nodes.values().filter(|node| node.meta.name != pod.node) {
        let name = &node.meta.name;
        // No workload is driven to the control plane, where it would be let in.
        if purpose == Purpose::Hold && node.control_plane {
            no.push(format!("{name} is of the control plane"));
            continue;
        }
        let facts = match on(node, placement, inventory, s.settings, s.now) {
            On::For(_, facts) => facts,
            On::No(why) => {
                no.push(why);
                continue;
            }
            On::NotKnown(why) => {
                unknown = Some(why);
                continue;
            }
        };
        match judged.say(node, facts) {
            Says::Yes => {
                fits = Some(name.clone());
                break;
            }
            Says::No(why) => no.push(format!("{name}: {why}")),
            Says::NotKnown(why) => unknown = Some(format!("{name}: {why}")),
        }
    }
    // Conditions beyond these can only rule out more nodes.
    match (fits, unknown, not_judged) {
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
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    if asked.is_some_and(|asked| asked.tolerates_a_hold()) {
        return Err(
            "the pod tolerates the taint that would hold the node back, and could come to it all the same"
                .to_owned(),
        );
    }
    if inventory.pods_in(&pod.meta.namespace) > MOST_NEIGHBOURS {
        return Err(format!(
            "namespace {} has more than the {MOST_NEIGHBOURS} pods that an agent reads again before it holds a node",
            pod.meta.namespace
        ));
    }
    match among(pod, inventory, s, Purpose::Hold) {
        Elsewhere::On(other) => Ok(other),
        Elsewhere::Nowhere(why) => Err(format!("the pod fits on no other node ({why})")),
        Elsewhere::NotKnown(why) => Err(format!("whether the pod fits on another node is not known ({why})")),
    }
}
