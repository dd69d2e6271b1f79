//! Can these nodes be drained, at the same time and without coming back?

use crate::block::{Block, Guarded, Places, Taken, guarded, of_itself, places, taken};
use crate::cluster::{Cluster, Goes};
use crate::pack::{Effort, Item, MOST_STEPS, Rooms, pack};
use crate::rounds::{rounds, takes_ms};
use crate::unblock::{Change, fewest};

/// The answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It finishes, if replacements become ready.
    Finishes,
    /// It does not: [`Drain::changes`] would clear it.
    Blocked,
    /// That cannot be said; see [`Drain::not_known`].
    NotKnown,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// In a word.
    pub verdict: Verdict,
    /// Each pod that is in the way, with all that keeps it.
    pub blocks: Vec<(usize, Vec<Block>)>,
    /// Each would find room alone, and not all of them do: so many at least.
    pub without_room: usize,
    /// What could not be told.
    pub not_known: Vec<String>,
    /// Where each pod could go, if it finishes; else where those would go that are left after the changes.
    pub places: Vec<(usize, usize)>,
    /// What would clear it; nothing where it finishes.
    pub changes: Vec<Change>,
    /// Fewer changes would not do. Where the search ended early, fewer may.
    pub changes_are_fewest: bool,
    /// The pods that go, round by round, as the budgets leave it; of a drain that finishes.
    pub rounds: Vec<Vec<usize>>,
    /// Milliseconds until the last replacement is ready; `None` where that is not known, or it does not finish.
    pub takes_ms: Option<u64>,
}

/// What stands in the way of single pods.
#[derive(Default)]
struct Alone {
    blocks: Vec<(usize, Vec<Block>)>,
    /// Pods that no other budget would free.
    must: Vec<usize>,
    /// All others that go.
    items: Vec<Item>,
    not_known: Vec<String>,
    /// Nodes of which it is not known whether they take some of them.
    places_not_known: Option<String>,
}

/// Answers for these nodes, all of them drained and none opened again meanwhile.
pub fn drain(cluster: &Cluster, nodes: &[usize]) -> Drain {
    within(cluster, nodes, &mut Effort::new())
}

/// The same, for what is left of a question's steps.
pub(crate) fn within(cluster: &Cluster, nodes: &[usize], effort: &mut Effort) -> Drain {
    let room =
        Rooms { free: cluster.nodes.iter().map(|node| node.free).collect(), taken: taken(cluster, nodes) };
    let Alone { blocks, must, items, mut not_known, places_not_known } = alone(cluster, nodes, &room.taken);
    let all: Vec<&Item> = items.iter().collect();
    let together = pack(&all, &room, 0, effort);
    if let (Some(packed), true) = (&together, blocks.is_empty() && not_known.is_empty()) {
        let pods: Vec<usize> = items.iter().map(|item| item.pod).collect();
        let rounds = rounds(cluster, &pods);
        return Drain {
            verdict: Verdict::Finishes,
            blocks,
            without_room: 0,
            not_known,
            places: packed.places.clone(),
            changes: Vec::new(),
            changes_are_fewest: true,
            takes_ms: takes_ms(cluster, &rounds),
            rounds,
        };
    }
    let most_left = pack(&all, &room, all.len(), effort);
    let without_room = most_left.as_ref().map_or(0, |packed| packed.left.len());
    let is_proven = most_left.is_some_and(|packed| packed.is_exact);
    if together.is_none() {
        not_known.extend(match places_not_known {
            Some(why) => Some(why),
            None if is_proven => None,
            None => {
                Some(format!("whether all pods find room together was not found within {MOST_STEPS} steps"))
            }
        });
    }
    let is_blocked = !blocks.is_empty() || (together.is_none() && not_known.is_empty());
    let cleared = fewest(cluster, &must, &items, &room, effort);
    Drain {
        verdict: if is_blocked { Verdict::Blocked } else { Verdict::NotKnown },
        blocks,
        without_room: if is_proven { without_room } else { 0 },
        changes_are_fewest: cleared.is_fewest && not_known.is_empty(),
        not_known,
        places: cleared.places,
        changes: cleared.changes,
        rounds: Vec::new(),
        takes_ms: None,
    }
}

fn alone(cluster: &Cluster, nodes: &[usize], taken: &Taken) -> Alone {
    let mut alone = Alone::default();
    let goes = |goes: &Goes| match goes {
        Goes::Stays => false,
        Goes::Replaced | Goes::Bare | Goes::Loses(_) | Goes::AsksNot(_) | Goes::NotKnown(_) => true,
    };
    for (number, pod) in cluster.pods.iter().enumerate() {
        if !nodes.contains(&pod.node) || !goes(&pod.goes) {
            continue;
        }
        let mut blocks = Vec::new();
        match of_itself(pod) {
            Ok(block) => blocks.extend(block),
            Err(why) => {
                // It may be one that stays, in whose way nothing is.
                alone.not_known.push(why);
                continue;
            }
        }
        match guarded(pod, &cluster.budgets, &[]) {
            Guarded::Free => {}
            Guarded::Blocked(block) => blocks.push(block),
            Guarded::NotKnown(why) => alone.not_known.push(why),
        }
        let mut on = Vec::new();
        match places(pod, cluster, nodes, taken) {
            Places::On(nodes, unknown) => {
                on = nodes;
                alone.places_not_known = alone.places_not_known.take().or(unknown);
            }
            Places::NotKnown(why) => alone.not_known.push(why),
            Places::Nowhere(why) => blocks.push(Block::NoPlace(why)),
        }
        if blocks.iter().any(|block| !block.is_of_budgets()) {
            alone.must.push(number);
        } else if !on.is_empty() {
            alone.items.push(Item { pod: number, asks: pod.asks, on, apart: pod.apart.clone() });
        }
        if !blocks.is_empty() {
            alone.blocks.push((number, blocks));
        }
    }
    alone
}
