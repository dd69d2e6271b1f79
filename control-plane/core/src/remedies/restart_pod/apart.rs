//! Where pods are that may keep another one away, or that it may keep away, by required anti-affinity.
//!
//! Which labels a term selects is not told: any pod in its reach may be meant. So a place without one is free, and of a place
//! with one it is not known.

use std::collections::BTreeSet;

use crate::world::{Inventory, NodeFacts, Placement, Pod};

/// Places, each a label of nodes and its value, where such a pod is.
pub(super) struct Kept<'a> {
    places: BTreeSet<(&'a str, &'a str)>,
    /// Labels of which one such pod may be at any value: nothing is told of its node.
    anywhere: BTreeSet<&'a str>,
}

impl<'a> Kept<'a> {
    /// Those for `pod`, which asks for `asked`.
    pub(super) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory) -> Self {
        let mut kept = Self { places: BTreeSet::new(), anywhere: BTreeSet::new() };
        if !asked.keeps_away.is_empty() {
            for other in inventory.pods.values().filter(|other| is_beside(other, pod)) {
                let same = other.meta.namespace == pod.meta.namespace;
                let terms = asked.keeps_away.iter().filter(|term| same || term.other_namespaces);
                kept.add(terms.map(|term| term.topology_key.as_str()), other, inventory);
            }
        }
        for other in inventory.pods_that_keep_others_away().filter(|other| is_beside(other, pod)) {
            let same = other.meta.namespace == pod.meta.namespace;
            let placement = other.facts.as_ref().and_then(|facts| facts.placement.as_ref());
            let terms = placement.into_iter().flat_map(|placement| &placement.keeps_away);
            let terms = terms.filter(|term| same || term.other_namespaces);
            kept.add(terms.map(|term| term.topology_key.as_str()), other, inventory);
        }
        kept
    }

    fn add(&mut self, keys: impl Iterator<Item = &'a str>, other: &'a Pod, inventory: &'a Inventory) {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return;
        }
        let node = inventory.node(&other.node).and_then(|node| node.facts.as_ref());
        for key in keys {
            match node {
                // Without the label it is in no place.
                Some(facts) => self.places.extend(facts.label(key).map(|value| (key, value))),
                None => _ = self.anywhere.insert(key),
            }
        }
    }

    /// The label by which a node is, or may be, a place of such a pod.
    pub(super) fn holds(&self, facts: &NodeFacts) -> Option<&'a str> {
        let place = self.places.iter().find(|(key, value)| facts.label(key) == Some(value));
        let place = place.map(|(key, _)| *key);
        place.or_else(|| self.anywhere.iter().copied().find(|key| facts.label(key).is_some()))
    }
}

/// Is it another pod, and one that takes a place on a node, also while it is on its way out?
fn is_beside(other: &Pod, pod: &Pod) -> bool {
    other.meta.uid != pod.meta.uid
        && !other.node.is_empty()
        && other.phase != "Succeeded"
        && other.phase != "Failed"
}
