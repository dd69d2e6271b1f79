//! How the pods that a topology spread constraint selects are spread, and where one more may be, as the scheduler counts it.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::others::{Says, Told};
use crate::world::{Inventory, NodeFacts, Placement, Pod, Spread};

/// What the constraints of a pod say of nodes.
#[derive(Default)]
pub(crate) struct Spreads<'a> {
    counts: Vec<Count<'a>>,
    /// Why that is not known.
    doubt: Option<String>,
}

/// How many pods each place of one constraint has.
struct Count<'a> {
    of: &'a Spread,
    /// The nodes that count.
    nodes: BTreeSet<&'a str>,
    /// By value of the label.
    places: BTreeMap<&'a str, i64>,
    /// One where the pod itself is one that is counted.
    itself: i64,
    /// How many the place with the fewest has, once all are counted.
    fewest: i64,
}

impl<'a> Spreads<'a> {
    /// For `pod`, which asks for `asked`: it leaves the place where it is.
    pub(crate) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory, told: &Told<'a>) -> Self {
        let mut spreads = Self::default();
        if asked.spread.is_empty() {
            return spreads;
        }
        let own = pod.labels();
        if own.is_none() {
            spreads.doubt = Some(format!("not all labels of pod {} are told", pod.meta.name));
        }
        // Of a constraint that selects every pod, older schedulers count all of them and newer ones none.
        let every = |spread: &&Spread| {
            spread.selector.as_ref().is_some_and(|of| of.labels.is_empty() && of.expressions.is_empty())
        };
        if let Some(spread) = asked.spread.iter().find(every) {
            spreads.doubt = Some(format!("the one over {} selects every pod", spread.topology_key));
        }
        let unclear = inventory.nodes.values().find(|node| {
            node.facts
                .as_ref()
                .is_none_or(|facts| facts.labels.len().max(facts.taints.len()) >= MOST_OF_A_NODE)
        });
        if let Some(node) = unclear {
            spreads.doubt = Some(format!("not all labels and taints of {} are told", node.meta.name));
        }
        spreads.counts = asked.spread.iter().map(|one| Count::of(one, asked, own, told)).collect();
        for other in inventory.pods_of_namespace(&pod.meta.namespace) {
            if spreads.doubt.is_some() {
                break;
            }
            if told.is_beside(other, pod) && !other.meta.deleting {
                spreads.add(other, told);
            }
        }
        spreads.counts.iter_mut().for_each(Count::finish);
        spreads
    }

    fn add(&mut self, other: &'a Pod, told: &Told<'a>) {
        let node = other.node.as_str();
        let Some((_, facts)) = told.get(node) else {
            self.doubt = Some(format!("nothing is told of node {node}"));
            return;
        };
        let Some(labels) = other.labels() else {
            if self.counts.iter().any(|count| count.nodes.contains(node)) {
                self.doubt = Some(format!("not all labels of pod {} are told", other.meta.name));
            }
            return;
        };
        let counts = |count: &&mut Count<'a>| count.nodes.contains(node) && selects(count.of, labels);
        for count in self.counts.iter_mut().filter(counts) {
            if let Some(value) = facts.label(&count.of.topology_key) {
                *count.places.entry(value).or_default() += 1;
            }
        }
    }

    /// What is said of a node.
    pub(crate) fn says(&self, facts: &NodeFacts) -> Says {
        for count in &self.counts {
            let key = &count.of.topology_key;
            if facts.label(key).is_none() {
                return Says::No(format!("it lacks the label {key}, over which the pod is spread"));
            }
        }
        if let Some(why) = &self.doubt {
            return Says::NotKnown(format!("topology spread: {why}"));
        }
        self.counts.iter().fold(Says::Yes, |said, count| said.and(count.says(facts)))
    }
}

impl<'a> Count<'a> {
    /// With the nodes that count, which have the labels of all constraints, and no pod yet.
    fn of(of: &'a Spread, asked: &Placement, own: Option<&[(String, String)]>, told: &Told<'a>) -> Self {
        let mut count = Self { of, nodes: BTreeSet::new(), places: BTreeMap::new(), itself: 0, fewest: 0 };
        count.itself = i64::from(own.is_some_and(|own| selects(of, own)));
        for (name, node, facts) in told.nodes() {
            let counts = asked.spread.iter().all(|one| facts.label(&one.topology_key).is_some())
                && (!of.honors_affinity || asked.differs(node, facts).is_none())
                && (!of.honors_taints || asked.kept_out_by(facts).is_none());
            if let (true, Some(value)) = (counts, facts.label(&of.topology_key)) {
                count.nodes.insert(name);
                count.places.insert(value, 0);
            }
        }
        count
    }

    /// All pods are counted.
    fn finish(&mut self) {
        let known = i64::try_from(self.places.len()).unwrap_or(i64::MAX);
        let fewest = self.places.values().min().copied();
        self.fewest = fewest.filter(|_| known >= self.of.min_domains).unwrap_or(0);
    }

    fn says(&self, facts: &NodeFacts) -> Says {
        let Some(value) = facts.label(&self.of.topology_key) else { return Says::Yes };
        let there = self.places.get(value).copied().unwrap_or(0);
        if there + self.itself - self.fewest <= self.of.max_skew {
            return Says::Yes;
        }
        Says::No(format!(
            "topology spread over {}: {there} of its pods are there, {} where the fewest are, and the skew may be {} at \
             most",
            self.of.topology_key, self.fewest, self.of.max_skew
        ))
    }
}

fn selects(spread: &Spread, labels: &[(String, String)]) -> bool {
    spread.selector.as_ref().is_some_and(|selector| selector.selects(labels))
}
