//! The other pods of a cluster and their nodes, as far as they matter for where a pod may go, and what is said of a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Inventory, Node, NodeFacts, Pod};

/// What is said of a node for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing speaks against it.
    Yes,
    /// It is refused; why.
    No(String),
    /// That cannot be judged; why.
    NotKnown(String),
}

impl Says {
    /// Both together: what refuses comes before what is not known.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (no @ Self::No(_), _) | (_, no @ Self::No(_)) => no,
            (doubt @ Self::NotKnown(_), _) | (Self::Yes, doubt) => doubt,
        }
    }
}

/// The nodes of which something is told, and the pods that do not count as being on any of them.
pub(crate) struct Told<'a> {
    nodes: BTreeMap<&'a str, (&'a Node, &'a NodeFacts)>,
    gone: BTreeSet<&'a str>,
}

impl<'a> Told<'a> {
    /// With every pod where it is.
    pub(crate) fn of(inventory: &'a Inventory) -> Self {
        Self::without(inventory, BTreeSet::new())
    }

    /// As if these pods, by their UIDs, were gone.
    pub(crate) fn without(inventory: &'a Inventory, gone: BTreeSet<&'a str>) -> Self {
        let nodes = inventory.nodes.values();
        let told = nodes.filter_map(|node| Some((node.meta.name.as_str(), (node, node.facts.as_ref()?))));
        Self { nodes: told.collect(), gone }
    }

    /// What is told of a node.
    pub(crate) fn get(&self, node: &str) -> Option<(&'a Node, &'a NodeFacts)> {
        self.nodes.get(node).copied()
    }

    /// Each of them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&'a str, &'a Node, &'a NodeFacts)> {
        self.nodes.iter().map(|(name, (node, facts))| (*name, *node, *facts))
    }

    /// Is it another pod, and one that takes a place on a node, also while it is on its way out?
    pub(crate) fn is_beside(&self, other: &Pod, pod: &Pod) -> bool {
        other.meta.uid != pod.meta.uid
            && !other.node.is_empty()
            && other.phase != "Succeeded"
            && other.phase != "Failed"
            && !self.gone.contains(other.meta.uid.as_str())
    }
}
