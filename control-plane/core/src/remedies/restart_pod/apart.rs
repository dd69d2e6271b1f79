//! Where pods are that may keep another one away, or that it may keep away, by required anti-affinity.
//!
//! Which labels a term selects is not told: any pod in its reach may be meant. So a place without one is free, and of a place
//! with one it is not known.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::kind::MOST_OF_A_NODE;

use crate::world::{Inventory, NodeFacts, Placement, Pod};

/// Where a pod may not fit for the sake of other pods.
#[derive(Default)]
pub(super) struct Apart<'a> {
    /// Places, each a label of nodes and its value, where such a pod is.
    places: BTreeSet<(&'a str, &'a str)>,
    /// The labels of these places: few, however many places there are.
    keys: BTreeSet<&'a str>,
    /// Labels of which one such pod may be at any value: nothing is told of its node.
    anywhere: BTreeSet<&'a str>,
    /// A pod whose terms are not told.
    untold: Option<&'a str>,
}

impl<'a> Apart<'a> {
    /// For `pod`, which asks for `asked`.
    pub(super) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory) -> Self {
        let mut apart = Self::default();
        let nodes: BTreeMap<&str, &NodeFacts> = inventory
            .nodes
            .values()
            .filter_map(|node| Some((node.meta.name.as_str(), node.facts.as_ref()?)))
            .collect();
        if !asked.keeps_away.is_empty() {
            for other in inventory.pods.values().filter(|other| is_beside(other, pod)) {
                apart.add(asked, other, pod, &nodes);
            }
        }
        for other in inventory.pods_that_keep_others_away().filter(|other| is_beside(other, pod)) {
            let Some(theirs) = other.facts.as_ref().and_then(|facts| facts.placement.as_ref()) else {
                continue;
            };
            if theirs.keeps_away_untold() {
                apart.untold = Some(&other.meta.name);
            }
            apart.add(theirs, other, pod, &nodes);
        }
        apart
    }

    /// Where `other` is, for each of these terms in whose reach the two are.
    fn add(
        &mut self,
        terms: &'a Placement,
        other: &'a Pod,
        pod: &Pod,
        nodes: &BTreeMap<&str, &'a NodeFacts>,
    ) {
        let same = other.meta.namespace == pod.meta.namespace;
        for term in terms.keeps_away.iter().filter(|term| same || term.other_namespaces) {
            let key = term.topology_key.as_str();
            match nodes.get(other.node.as_str()) {
                // Without the label it is in no place; one that may have more labels than are told is anywhere.
                Some(facts) if facts.label(key).is_some() || facts.labels.len() < MOST_OF_A_NODE => {
                    self.places.extend(facts.label(key).map(|value| (key, value)));
                    self.keys.insert(key);
                }
                Some(_) | None => _ = self.anywhere.insert(key),
            }
        }
    }

    /// Why it is not known whether the pod may be on this node; `None` where no other pod speaks against it.
    pub(super) fn doubts(&self, facts: &NodeFacts) -> Option<String> {
        if let Some(other) = self.untold {
            return Some(format!("the required anti-affinity of pod {other} is not told by its agent"));
        }
        let is_place = |key: &&str| facts.label(key).is_some_and(|value| self.places.contains(&(key, value)));
        let key = self.keys.iter().copied().find(is_place);
        let key = key.or_else(|| self.anywhere.iter().copied().find(|key| facts.label(key).is_some()))?;
        Some(format!("required anti-affinity over {key} is between it and a pod there, or may be"))
    }
}

/// Is it another pod, and one that takes a place on a node, also while it is on its way out?
fn is_beside(other: &Pod, pod: &Pod) -> bool {
    other.meta.uid != pod.meta.uid
        && !other.node.is_empty()
        && other.phase != "Succeeded"
        && other.phase != "Failed"
}
