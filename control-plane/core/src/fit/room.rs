//! How many more pods like one that is there certainly find a place on the nodes that are there.

use jiff::Timestamp;
use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::beside::Beside;
use super::closed;
use super::others::{Says, Told};
use super::volumes::Volumes;
use crate::settings::Settings;
use crate::world::{Inventory, Node, NodeFacts, Placement, Pod};

/// The label of one node alone.
const HOST: &str = "kubernetes.io/hostname";
/// Most nodes whose reason is named.
const MOST: usize = 3;

/// Room for more pods of a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    /// So many find a place for certain.
    pub(crate) fits: u64,
    /// Why more may; `None` where no more do.
    pub(crate) doubt: Option<String>,
    /// Why nodes take none, for people.
    pub(crate) full: String,
}

/// Room for pods that ask for what `pod` asks for, which stays where it is.
///
/// Where its replicas keep apart, a node is reckoned to take one more at most; where they have to be spread, or each brings volumes of
/// its own, it is not judged how many fit.
pub(crate) fn room_for(pod: &Pod, inventory: &Inventory, settings: &Settings, now: Timestamp) -> Room {
    let not_known = |why: String| Room { fits: 0, doubt: Some(why), full: String::new() };
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_deref());
    let Some(placement) = placement else {
        return not_known("its agent does not say what its pods ask of a node".to_owned());
    };
    if let Some(other) = placement.not_described() {
        return not_known(format!("{other} decides too"));
    }
    if placement.keeps_away.iter().any(|term| term.topology_key != HOST) {
        return not_known(
            "its pods keep apart over places of several nodes, and how many more that lets be is not judged"
                .to_owned(),
        );
    }
    if !placement.spread.is_empty() {
        return not_known(
            "its pods have to be spread, and how many more that lets be is not judged".to_owned(),
        );
    }
    if pod.meta.owner_kind == "StatefulSet" && !placement.claims.is_empty() {
        return not_known(
            "each of its pods brings volumes of its own, and where those come to be is not known".to_owned(),
        );
    }
    let told = Told::of(inventory);
    let beside = Beside::of(pod, placement, inventory, &told);
    let volumes = Volumes::of(&placement.claims, &pod.meta.namespace, inventory);
    let (mut fits, mut doubt, mut full) = (0_u64, None, Vec::new());
    for node in inventory.nodes.values() {
        let name = &node.meta.name;
        match on(node, placement, inventory, settings, now) {
            On::No(why) => full.push(why),
            On::NotKnown(why) => doubt = Some(why),
            // The one that is there keeps its own node from another of its sort.
            On::For(..) if !placement.keeps_away.is_empty() && *name == pod.node => {
                full.push(format!("{name} has one of them"));
            }
            On::For(more, facts) => match volumes.says(node, facts).and(beside.say(facts)) {
                Says::Yes if placement.keeps_away.is_empty() => fits = fits.saturating_add(more),
                Says::Yes => fits = fits.saturating_add(1),
                Says::No(why) => full.push(format!("{name}: {why}")),
                Says::NotKnown(why) => doubt = Some(format!("{name}: {why}")),
            },
        }
    }
    let more = full.len().saturating_sub(MOST);
    full.truncate(MOST);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Room { fits, doubt, full: format!("{}{more}", full.join(", ")) }
}

/// What a node has left for pods of a sort, apart from what volumes and other pods say.
pub(crate) enum On<'a> {
    /// It takes none; why, with its name.
    No(String),
    /// Why it is not known, with its name.
    NotKnown(String),
    /// It has room for so many; and what is told of it.
    For(u64, &'a NodeFacts),
}

/// What this node has left for pods that ask for this.
pub(crate) fn on<'a>(
    node: &'a Node,
    placement: &Placement,
    inventory: &Inventory,
    settings: &Settings,
    now: Timestamp,
) -> On<'a> {
    let name = &node.meta.name;
    if let Some(why) = closed(node, settings, now) {
        return On::No(format!("{name} {why}"));
    }
    let Some(facts) = &node.facts else {
        return On::NotKnown(format!("its agent does not say what {name} offers"));
    };
    if facts.labels.len().max(facts.taints.len()) >= MOST_OF_A_NODE {
        return On::NotKnown(format!(
            "{name} may have more labels or taints than the {MOST_OF_A_NODE} that are told"
        ));
    }
    if let Some(why) = placement.refused_by(node, facts) {
        return On::No(format!("{name}: {why}"));
    }
    let used = inventory.used_on(name);
    if used.not_known > 0 {
        return On::NotKnown(format!("its agent does not say what the pods on {name} ask for"));
    }
    let left = [
        ("cpu", facts.cpu_milli - used.cpu_milli, placement.cpu_milli),
        ("memory", facts.memory_bytes - used.memory_bytes, placement.memory_bytes),
        ("pods", facts.pods - used.pods, 1),
    ];
    // Nothing asked for fits also where nothing is left of it.
    let asked = || left.iter().filter(|(_, _, asked)| *asked > 0);
    if let Some((what, ..)) = asked().find(|(_, free, asked)| free < asked) {
        return On::No(format!("{name} has not enough {what} free"));
    }
    // A pod is asked for in any case.
    let more = asked().map(|(_, free, asked)| free / asked).min().unwrap_or(0);
    On::For(u64::try_from(more).unwrap_or(0), facts)
}
