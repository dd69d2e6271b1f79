//! What the other pods of a cluster say of a node for a pod, as the scheduler reads it: which of them keep apart, which have
//! to be near, and how they are spread.

use super::apart::Selected;
use super::near::Near;
use super::others::{Says, Told};
use super::spread::Spreads;
use crate::world::{Inventory, NodeFacts, Placement, Pod};

/// What the other pods say, found out once for all nodes.
pub(crate) struct Beside<'a> {
    apart: Selected<'a>,
    near: Near<'a>,
    spreads: Spreads<'a>,
}

impl<'a> Beside<'a> {
    /// For `pod`, which asks for `asked`.
    pub(crate) fn of(pod: &'a Pod, asked: &'a Placement, inventory: &'a Inventory, told: &Told<'a>) -> Self {
        Self {
            apart: Selected::of(pod, asked, inventory, told),
            near: Near::of(pod, asked, inventory, told),
            spreads: Spreads::of(pod, asked, inventory, told),
        }
    }

    /// What they say of a node.
    pub(crate) fn say(&self, facts: &NodeFacts) -> Says {
        self.apart.says(facts).and(self.near.says(facts)).and(self.spreads.says(facts))
    }
}
