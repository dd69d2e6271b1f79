//! Questions about nodes that a person asks before doing something to them. Nothing is decided or changed here.

mod answer;
mod question;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_disruption::{drain, order};
use nimbus_protocol::ObjectKind;

use crate::settings::Settings;
use crate::world::Inventory;

pub use answer::{Drained, InTheWay, Step};
pub use nimbus_disruption::Verdict;

/// Most nodes that are asked about at once.
pub const MOST_NODES: usize = 100;

/// Kinds of which every object has to be known.
const NEEDS: [ObjectKind; 3] = [ObjectKind::Node, ObjectKind::Pod, ObjectKind::PodDisruptionBudget];

/// Why nothing can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The cluster has no node of this name.
    NoNode(String),
    /// There were none, or more than [`MOST_NODES`].
    Count(usize),
    /// Not every object of this kind is known.
    NotListed(ObjectKind),
}

/// What draining these nodes of a cluster would do: all of them at once, and one after another with each opened again. Where
/// nobody watches the cluster now, as `is_watched` says, what is known may be out of date, and nothing is promised.
///
/// # Errors
/// Where the question has no answer.
pub fn drained(
    inventory: &Inventory,
    names: &BTreeSet<&str>,
    is_watched: bool,
    settings: &Settings,
    now: Timestamp,
) -> Result<Drained, Unanswered> {
    if names.is_empty() || names.len() > MOST_NODES {
        return Err(Unanswered::Count(names.len()));
    }
    if let Some(kind) = NEEDS.into_iter().find(|kind| !inventory.has_every(*kind)) {
        return Err(Unanswered::NotListed(kind));
    }
    if let Some(name) = names.iter().find(|name| inventory.node(name).is_none()) {
        return Err(Unanswered::NoNode((*name).to_owned()));
    }
    let question = question::Question::of(inventory, names, settings, now);
    let together = drain(&question.cluster, &question.drained);
    let one_by_one = (names.len() > 1).then(|| order(&question.cluster, &question.drained));
    let answer = answer::answer(&question, &together, one_by_one);
    Ok(if is_watched { answer } else { answer.out_of_date() })
}
