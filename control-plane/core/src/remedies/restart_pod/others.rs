//! The other pods of a cluster and their nodes, as far as they matter for where a pod may go, and what is said of a node.

use std::collections::BTreeMap;

use crate::world::{Inventory, Node, NodeFacts, Pod};

/// What is said of a node for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing speaks against it.
    Yes,
    /// It is refused; why.
    No(String),
    /// That cannot be judged; why.
    NotKnown(String),
}

impl Says {
    /// Both together: what refuses comes before what is not known.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (no @ Self::No(_), _) | (_, no @ Self::No(_)) => no,
            (doubt @ Self::NotKnown(_), _) | (Self::Yes, doubt) => doubt,
        }
    }
}

/// The nodes by name, with what is told of each.
pub(super) type Told<'a> = BTreeMap<&'a str, (&'a Node, &'a NodeFacts)>;

/// The nodes of which something is told.
pub(super) fn told(inventory: &Inventory) -> Told<'_> {
    let nodes = inventory.nodes.values();
    nodes.filter_map(|node| Some((node.meta.name.as_str(), (node, node.facts.as_ref()?)))).collect()
}

/// Is it another pod, and one that takes a place on a node, also while it is on its way out?
pub(super) fn is_beside(other: &Pod, pod: &Pod) -> bool {
    other.meta.uid != pod.meta.uid
        && !other.node.is_empty()
        && other.phase != "Succeeded"
        && other.phase != "Failed"
}
