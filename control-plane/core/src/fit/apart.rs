//! Where pods are that may keep another one away, or that it may keep away, by required anti-affinity.
//!
//! Where a node is to be held, the labels that a term selects are left aside, as the checker and the agent do: any pod in its
//! reach may be meant. So a place without one is free, and of a place with one it is not known ([`Apart`]). Where a pod would
//! go is answered by these labels, as far as they are told ([`Selected`]).

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::others::{Says, Told};
use crate::world::{Inventory, KeepsAway, NodeFacts, Placement, Pod};

/// Where a pod may not fit for the sake of other pods.
#[derive(Default)]
pub(crate) struct Apart<'a> {
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
    pub(crate) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory) -> Self {
        let mut apart = Self::default();
        let told = Told::of(inventory);
        if !asked.keeps_away.is_empty() {
            for other in inventory.pods.values().filter(|other| told.is_beside(other, pod)) {
                apart.add(asked, other, pod, &told);
            }
        }
        for other in inventory.pods_that_keep_others_away().filter(|other| told.is_beside(other, pod)) {
            let Some(theirs) = other.facts.as_ref().and_then(|facts| facts.placement.as_ref()) else {
                continue;
            };
            if theirs.keeps_away_untold() {
                apart.untold = Some(&other.meta.name);
            }
            apart.add(theirs, other, pod, &told);
        }
        apart
    }

    /// Where `other` is, for each of these terms in whose reach the two are.
    fn add(&mut self, terms: &'a Placement, other: &'a Pod, pod: &Pod, told: &Told<'a>) {
        let same = other.meta.namespace == pod.meta.namespace;
        for term in terms.keeps_away.iter().filter(|term| same || term.other_namespaces) {
            self.note(&term.topology_key, told.get(&other.node).map(|(_, facts)| facts));
        }
    }

    /// Such a pod may be on this node.
    fn note(&mut self, key: &'a str, on: Option<&'a NodeFacts>) {
        match on {
            // Without the label it is in no place; one that may have more labels than are told is anywhere.
            Some(facts) if facts.label(key).is_some() || facts.labels.len() < MOST_OF_A_NODE => {
                self.places.extend(facts.label(key).map(|value| (key, value)));
                self.keys.insert(key);
            }
            Some(_) | None => _ = self.anywhere.insert(key),
        }
    }

    /// Why it is not known whether the pod may be on this node; `None` where no other pod speaks against it.
    pub(crate) fn doubts(&self, facts: &NodeFacts) -> Option<String> {
        if let Some(other) = self.untold {
            return Some(format!("the required anti-affinity of pod {other} is not told by its agent"));
        }
        let is_place = |key: &&str| facts.label(key).is_some_and(|value| self.places.contains(&(key, value)));
        let key = self.keys.iter().copied().find(is_place);
        let key = key.or_else(|| self.anywhere.iter().copied().find(|key| facts.label(key).is_some()))?;
        Some(format!("required anti-affinity over {key} is between it and a pod there, or may be"))
    }
}

/// Where a pod may not be for the sake of other pods, by the labels that the terms of either select.
#[derive(Default)]
pub(crate) struct Selected<'a> {
    /// By label of nodes and its value a pod there that a term means, or whose term means it.
    taken: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
    /// Where there may be one.
    doubted: Apart<'a>,
}

impl<'a> Selected<'a> {
    /// For `pod`, which asks for `asked`.
    pub(crate) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory, told: &Told<'a>) -> Self {
        let mut selected = Self::default();
        if asked.keeps_away.iter().any(|term| term.other_namespaces) {
            inventory.pods.values().for_each(|other| selected.keep(asked, other, pod, told));
        } else if !asked.keeps_away.is_empty() {
            let near = inventory.pods_of_namespace(&pod.meta.namespace);
            near.for_each(|other| selected.keep(asked, other, pod, told));
        }
        for other in inventory.pods_that_keep_others_away().filter(|other| told.is_beside(other, pod)) {
            let Some(theirs) = other.facts.as_ref().and_then(|facts| facts.placement.as_ref()) else {
                continue;
            };
            if theirs.keeps_away_untold() {
                selected.doubted.untold = Some(&other.meta.name);
            }
            let same = other.meta.namespace == pod.meta.namespace;
            for term in &theirs.keeps_away {
                selected.add(term, other, means(term, pod, same), told);
            }
        }
        selected
    }

    /// Where `other` is, for each of the pod's own terms.
    fn keep(&mut self, asked: &'a Placement, other: &'a Pod, pod: &Pod, told: &Told<'a>) {
        if !told.is_beside(other, pod) {
            return;
        }
        let same = other.meta.namespace == pod.meta.namespace;
        for term in &asked.keeps_away {
            self.add(term, other, means(term, other, same), told);
        }
    }

    fn add(&mut self, term: &'a KeepsAway, other: &'a Pod, meant: Option<bool>, told: &Told<'a>) {
        let key = term.topology_key.as_str();
        let on = told.get(&other.node).map(|(_, facts)| facts);
        match (meant, on.and_then(|facts| facts.label(key))) {
            (Some(false), _) => {}
            (Some(true), Some(value)) => {
                self.taken.entry(key).or_default().insert(value, &other.meta.name);
            }
            (Some(true) | None, _) => self.doubted.note(key, on),
        }
    }

    /// What is said of a node.
    pub(crate) fn says(&self, facts: &NodeFacts) -> Says {
        let there = self.taken.iter().find_map(|(key, places)| {
            let pod = places.get(facts.label(key)?)?;
            Some((key, pod))
        });
        if let Some((key, pod)) = there {
            return Says::No(format!("required anti-affinity over {key} is between it and pod {pod} there"));
        }
        self.doubted.doubts(facts).map_or(Says::Yes, Says::NotKnown)
    }
}

/// Does a term mean this pod, which is of the same namespace as the one whose term it is, or not? `None` where that is not
/// told, as it is not of which other namespaces a term is.
pub(crate) fn means(term: &KeepsAway, pod: &Pod, same: bool) -> Option<bool> {
    if !same && !term.other_namespaces {
        return Some(false);
    }
    if !term.selector_told {
        return None;
    }
    let Some(selector) = &term.selector else { return Some(false) };
    let selects = selector.selects(pod.labels()?);
    if selects && term.other_namespaces { None } else { Some(selects) }
}
