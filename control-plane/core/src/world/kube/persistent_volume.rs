//! The PersistentVolume of the inventory: from which nodes it can be attached. There may be many thousands: no more is kept.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use super::node::{Node, NodeFacts};
use super::requirement::{self, Requirement};
use crate::world::bounds::{ITEMS, WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Who it is.
    pub meta: Meta,
    /// Available, Bound, Released, Failed, Pending.
    pub phase: String,
    /// One of these has to hold for a node, all requirements of it; none at all: it can be attached from every node.
    pub node_terms: Vec<Vec<Requirement>>,
    /// Whether those are all; false where that is not known.
    pub node_terms_complete: bool,
}

impl PersistentVolume {
    /// Do its node terms let it be attached from this node, as far as they are told?
    pub fn attaches_to(&self, node: &Node, facts: &NodeFacts) -> bool {
        requirement::let_in(&self.node_terms, node, facts)
    }
}

impl Object for PersistentVolume {
    const KIND: ObjectKind = ObjectKind::PersistentVolume;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::PersistentVolume> for PersistentVolume {
    fn from(volume: v1::PersistentVolume) -> Self {
        let term = |term: v1::NodeTerm| term.requirements.into_iter().map(Requirement::from).collect();
        Self {
            meta: volume.meta.unwrap_or_default().into(),
            phase: volume.phase,
            node_terms: volume.node_terms.into_iter().map(term).collect(),
            node_terms_complete: volume.node_terms_complete,
        }
    }
}

/// Cuts what is too long; false where the volume cannot be kept. What is dropped would have restricted or let in: where it can
/// be attached is then not known.
pub(super) fn bound(volume: &mut v1::PersistentVolume) -> bool {
    cut(&mut volume.phase, WORD);
    let requirements = || volume.node_terms.iter().flat_map(|term| &term.requirements);
    let most = volume.node_terms.iter().map(|term| term.requirements.len());
    let most = most.chain(requirements().map(|one| one.values.len())).max().unwrap_or(0);
    if most.max(volume.node_terms.len()) > ITEMS {
        volume.node_terms_complete = false;
    }
    volume.node_terms.truncate(ITEMS);
    for term in &mut volume.node_terms {
        term.requirements.truncate(ITEMS);
        term.requirements.iter_mut().for_each(requirement::bound);
    }
    is_meta_kept(volume.meta.as_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_are_too_many_read_as_not_told_in_full() {
        let values = |count: usize| (0..count).map(|n| format!("z{n}")).collect();
        for (count, complete) in [(ITEMS, true), (ITEMS + 1, false)] {
            let one =
                v1::NodeRequirement { key: "zone".into(), operator: "In".into(), values: values(count) };
            let mut told = v1::PersistentVolume {
                node_terms: vec![v1::NodeTerm { requirements: vec![one] }],
                node_terms_complete: true,
                ..v1::PersistentVolume::default()
            };
            assert!(bound(&mut told));
            let kept = PersistentVolume::from(told);
            assert_eq!(
                (kept.node_terms[0][0].values.len(), kept.node_terms_complete),
                (ITEMS, complete),
                "{count}"
            );
        }
    }
}
