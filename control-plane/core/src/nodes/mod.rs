//! Questions about nodes that a person asks before doing something to them. Nothing is decided or changed here.

mod answer;
mod question;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use crate::settings::Settings;
use crate::world::Inventory;

pub use answer::{Drained, InTheWay, Step};
pub use nimbus_disruption::Verdict;
pub use question::Question;

/// Most nodes that are asked about at once.
pub const MOST_NODES: usize = 100;

/// Most pods on them.
pub const MOST_PODS: usize = 2_000;

/// Kinds of which every object has to be known.
const NEEDS: [ObjectKind; 3] = [ObjectKind::Node, ObjectKind::Pod, ObjectKind::PodDisruptionBudget];

/// Why nothing can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The cluster has no node of this name.
    NoNode(String),
    /// There were none, or more than [`MOST_NODES`].
    Count(usize),
    /// More than [`MOST_PODS`] are on them.
    Pods(usize),
    /// Not every object of this kind is known.
    NotListed(ObjectKind),
}

/// The question what draining these nodes of a cluster would do. Where nobody watches the cluster now, as `is_watched` says, what
/// is known may be out of date, and nothing is promised.
///
/// # Errors
/// Where the question has no answer.
pub fn draining(
    inventory: &Inventory,
    names: &BTreeSet<&str>,
    is_watched: bool,
    settings: &Settings,
    now: Timestamp,
) -> Result<Question, Unanswered> {
    if names.is_empty() || names.len() > MOST_NODES {
        return Err(Unanswered::Count(names.len()));
    }
    if let Some(kind) = NEEDS.into_iter().find(|kind| !inventory.has_every(*kind)) {
        return Err(Unanswered::NotListed(kind));
    }
    if let Some(name) = names.iter().find(|name| inventory.node(name).is_none()) {
        return Err(Unanswered::NoNode((*name).to_owned()));
    }
    let pods = inventory.pods.values().filter(|pod| names.contains(pod.node.as_str())).count();
    if pods > MOST_PODS {
        return Err(Unanswered::Pods(pods));
    }
    let mut question = Question::of(inventory, names, settings, now);
    if !is_watched {
        let why =
            "no agent watches the cluster's objects now, so that what is known of them may be out of date";
        question.doubts.insert(0, why.to_owned());
        question.is_old = true;
    }
    Ok(question)
}
