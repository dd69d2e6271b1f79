//! Where the pods are that another one has to be near to, by required pod affinity.

use std::collections::BTreeSet;

use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::others::{Says, Told};
use crate::world::{Inventory, NodeFacts, Placement, Pod, StaysWith};

/// Where a pod may be for the sake of pods that it stays with.
#[derive(Default)]
pub(crate) struct Near<'a> {
    terms: &'a [StaysWith],
    /// Places, each a label of nodes and its value, with a pod that all terms select.
    places: BTreeSet<(&'a str, &'a str)>,
    /// It would be the first of its kind, and may be anywhere.
    first: bool,
    /// Why that is not known.
    doubt: Option<String>,
}

impl<'a> Near<'a> {
    /// For `pod`, which asks for `asked`. As for the scheduler only a pod counts that all terms select.
    pub(crate) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory, told: &Told<'a>) -> Self {
        let mut near = Self { terms: &asked.stays_with, ..Self::default() };
        let Some(first) = asked.stays_with.first() else { return near };
        let own = pod.meta.namespace.as_str();
        let mut namespaces: BTreeSet<&str> = first.namespaces.iter().map(String::as_str).collect();
        if namespaces.is_empty() {
            namespaces.insert(own);
        }
        for namespace in namespaces {
            for other in inventory.pods_of_namespace(namespace).filter(|other| told.is_beside(other, pod)) {
                near.add(other, own, told);
            }
        }
        near.consider_first(pod, told);
        near
    }

    /// Where `other` is, if all terms of a pod of the namespace `own` select it.
    fn add(&mut self, other: &'a Pod, own: &str, told: &Told<'a>) {
        match selected(self.terms, other, own) {
            Some(false) => {}
            None => self.doubt = Some(format!("not all labels of pod {} are told", other.meta.name)),
            Some(true) => match told.get(&other.node) {
                Some((_, facts)) if facts.labels.len() < MOST_OF_A_NODE => {
                    for term in self.terms {
                        let key = term.topology_key.as_str();
                        self.places.extend(facts.label(key).map(|value| (key, value)));
                    }
                }
                Some(_) | None => {
                    self.doubt = Some(format!("the labels of node {} are not told", other.node));
                }
            },
        }
    }

    /// Where nobody is whom it has to be near to, one that its own terms select is the first and may be anywhere. Unless it
    /// is of a StatefulSet, its old pod is still there on its way out when the new one is placed, and counts as one.
    fn consider_first(&mut self, pod: &'a Pod, told: &Told<'a>) {
        if !self.places.is_empty() || self.doubt.is_some() {
            return;
        }
        match selected(self.terms, pod, &pod.meta.namespace) {
            Some(false) => {}
            None => self.doubt = Some(format!("not all labels of pod {} are told", pod.meta.name)),
            Some(true) if pod.meta.owner_kind == "StatefulSet" => self.first = true,
            Some(true) => {
                self.add(pod, &pod.meta.namespace, told);
                if self.doubt.is_none() {
                    self.doubt = Some(format!(
                        "only pod {} itself is one that it stays with, and it counts until it is gone",
                        pod.meta.name
                    ));
                }
            }
        }
    }

    /// What is said of a node.
    pub(crate) fn says(&self, facts: &NodeFacts) -> Says {
        let lacks = self.terms.iter().find(|term| facts.label(&term.topology_key).is_none());
        if let Some(term) = lacks {
            let key = &term.topology_key;
            return Says::No(format!("it lacks the label {key} of the pod's affinity to pods"));
        }
        let is_place = |term: &StaysWith| {
            let key = term.topology_key.as_str();
            facts.label(key).is_some_and(|value| self.places.contains(&(key, value)))
        };
        match self.terms.iter().find(|term| !is_place(term)) {
            None => Says::Yes,
            Some(_) if self.first => Says::Yes,
            Some(term) => match &self.doubt {
                Some(why) => Says::NotKnown(format!("required pod affinity: {why}")),
                None => Says::No(format!(
                    "no pod that the pod stays with (required pod affinity over {}) is there",
                    term.topology_key
                )),
            },
        }
    }
}

/// Do all terms of a pod of the namespace `own` select this one? `None` where not all of its labels are told.
fn selected(terms: &[StaysWith], pod: &Pod, own: &str) -> Option<bool> {
    let namespace = &pod.meta.namespace;
    let reaches = |term: &StaysWith| {
        let is_own = term.namespaces.is_empty() && namespace == own;
        term.selector.is_some() && (is_own || term.namespaces.contains(namespace))
    };
    if !terms.iter().all(reaches) {
        return Some(false);
    }
    let labels = pod.labels()?;
    Some(terms.iter().flat_map(|term| &term.selector).all(|selector| selector.selects(labels)))
}
