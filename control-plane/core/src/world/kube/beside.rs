//! What a pod asks of a node for the sake of other pods: which it keeps away, which it stays with, and how it is spread.

use nimbus_protocol::kind::ANTI_AFFINITY;
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::selector::{self, Selector};
use crate::world::bounds::{ITEMS, NAME, TEXT, cut};

/// A term of required anti-affinity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeepsAway {
    /// Nodes with the same value of this label are one place.
    pub topology_key: String,
    /// May pods of other namespaces be meant? Of which is not told.
    pub other_namespaces: bool,
    /// Which pods it selects; `None` where it selects none, or that is not told.
    #[serde(default)]
    pub selector: Option<Selector>,
    /// Is that told? If not, any pod in its reach may be meant.
    #[serde(default)]
    pub selector_told: bool,
}

/// A term of required affinity to pods: one that it selects has to be in the place of the node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StaysWith {
    /// Nodes with the same value of this label are one place.
    pub topology_key: String,
    /// Which pods it selects; `None` selects none.
    pub selector: Option<Selector>,
    /// Of these namespaces; none at all: of the pod's own.
    pub namespaces: Vec<String>,
}

/// A strict topology spread constraint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Nodes with the same value of this label are one place.
    pub topology_key: String,
    /// How many more pods that it selects a place may have than the one with the fewest.
    pub max_skew: i64,
    /// Which pods of the pod's namespace it selects; `None` selects none.
    pub selector: Option<Selector>,
    /// While there are fewer places, the fewest counts as none.
    pub min_domains: i64,
    /// Do only nodes count that the pod's node selector and node affinity let in?
    pub honors_affinity: bool,
    /// Do only nodes count whose taints the pod tolerates?
    pub honors_taints: bool,
}

impl From<v1::KeepsAway> for KeepsAway {
    fn from(k: v1::KeepsAway) -> Self {
        Self {
            topology_key: k.topology_key,
            other_namespaces: k.other_namespaces,
            selector: k.selector.map(Selector::from),
            selector_told: k.selector_told,
        }
    }
}

impl From<v1::StaysWith> for StaysWith {
    fn from(s: v1::StaysWith) -> Self {
        Self {
            topology_key: s.topology_key,
            selector: s.selector.map(Selector::from),
            namespaces: s.namespaces,
        }
    }
}

impl From<v1::Spread> for Spread {
    fn from(s: v1::Spread) -> Self {
        Self {
            topology_key: s.topology_key,
            max_skew: i64::from(s.max_skew),
            selector: s.selector.map(Selector::from),
            min_domains: i64::from(s.min_domains),
            honors_affinity: s.honors_affinity,
            honors_taints: s.honors_taints,
        }
    }
}

/// Most terms of pod affinity, namespaces of one, and spread constraints of a pod that are kept.
const TERMS: usize = 16;

/// Most labels, expressions and values in all selectors of a pod's terms of one sort. They are compared with the labels of every
/// pod of the namespace; a pod of a person's has a handful.
const CONDITIONS: usize = 64;

/// Cuts what is too long. A part of these would read as all of it: then none is kept, and that is said.
pub(super) fn bound(placement: &mut v1::Placement) {
    if placement.keeps_away.len() > ITEMS {
        placement.keeps_away.clear();
        not_told(placement, ANTI_AFFINITY);
    }
    let few = conditions(placement.keeps_away.iter().filter_map(|one| one.selector.as_ref())) <= CONDITIONS;
    for one in &mut placement.keeps_away {
        cut(&mut one.topology_key, TEXT);
        let whole = one.selector.as_mut().is_none_or(selector::bound);
        if !whole || !few {
            (one.selector, one.selector_told) = (None, false);
        }
    }
    let few = conditions(placement.stays_with.iter().filter_map(|one| one.selector.as_ref())) <= CONDITIONS;
    let mut whole = few && placement.stays_with.len() <= TERMS;
    placement.stays_with.truncate(TERMS);
    for one in &mut placement.stays_with {
        cut(&mut one.topology_key, TEXT);
        whole &= one.namespaces.len() <= TERMS && one.selector.as_mut().is_none_or(selector::bound);
        one.namespaces.iter_mut().for_each(|name| cut(name, NAME));
    }
    if !whole {
        placement.stays_with.clear();
        not_told(placement, "required pod affinity");
    }
    let few = conditions(placement.spread.iter().filter_map(|one| one.selector.as_ref())) <= CONDITIONS;
    let mut whole = few && placement.spread.len() <= TERMS;
    placement.spread.truncate(TERMS);
    for one in &mut placement.spread {
        cut(&mut one.topology_key, TEXT);
        whole &= one.selector.as_mut().is_none_or(selector::bound);
    }
    if !whole {
        placement.spread.clear();
        not_told(placement, "topology spread");
    }
}

/// How many labels, expressions and values there are to compare.
fn conditions<'a>(selectors: impl Iterator<Item = &'a v1::LabelSelector>) -> usize {
    let of = |selector: &v1::LabelSelector| {
        let values: usize = selector.match_expressions.iter().map(|one| 1 + one.values.len()).sum();
        selector.match_labels.len() + values
    };
    selectors.map(of).sum()
}

/// Names, before all else, what decides too and is not told.
pub(super) fn not_told(placement: &mut v1::Placement, what: &str) {
    placement.other_conditions.insert(0, what.to_owned());
    if let Some(untold) = &mut placement.untold {
        untold.conditions.insert(0, what.to_owned());
    }
}
