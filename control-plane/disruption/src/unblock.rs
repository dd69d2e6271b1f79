//! The fewest changes after which a drain would finish.

use crate::block::{Guarded, guarded};
use crate::cluster::Cluster;
use crate::pack::{Effort, Item, Packed, Rooms, pack};

/// Budgets of which every choice is tried; of more all are changed, and that fewer would do is not ruled out.
const MOST_BUDGETS: usize = 6;

/// Something that a person could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Change this budget so that it lets its pods go, or wait until more of its pods are healthy.
    Budget(usize),
    /// Take this pod off the node yourself, or make room for it: scale it, move it, or delete it.
    Pod(usize),
}

/// What would clear a drain.
pub(crate) struct Cleared {
    pub(crate) changes: Vec<Change>,
    /// Where the pods go that are left then.
    pub(crate) places: Vec<(usize, usize)>,
    /// Fewer changes would not do.
    pub(crate) is_fewest: bool,
}

/// The fewest changes: `must` are pods that are in their own way, `items` are all others.
pub(crate) fn fewest(
    cluster: &Cluster,
    must: &[usize],
    items: &[Item],
    room: &Rooms,
    effort: &mut Effort,
) -> Cleared {
    let blocked = |pod: usize, without: &[usize]| {
        matches!(guarded(&cluster.pods[pod], &cluster.budgets, without), Guarded::Blocked(_))
    };
    let mut budgets: Vec<usize> = items
        .iter()
        .filter(|item| blocked(item.pod, &[]))
        .flat_map(|item| cluster.pods[item.pod].budgets.iter().flatten().copied())
        .collect();
    budgets.sort_unstable();
    budgets.dedup();
    let tries_all = budgets.len() <= MOST_BUDGETS;
    let choices = if tries_all { 0..1_u32 << budgets.len() } else { 0..1 };
    let mut best: Option<(usize, usize, Cleared)> = None;
    let mut is_exact = tries_all;
    for choice in choices {
        let freed: Vec<usize> = if tries_all {
            budgets.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, it)| *it).collect()
        } else {
            budgets.clone()
        };
        let (taken, rest): (Vec<&Item>, Vec<&Item>) =
            items.iter().partition(|item| blocked(item.pod, &freed));
        let so_far = freed.len() + taken.len();
        let may_be_left = match &best {
            // As many changes with fewer pods among them are better; more are not.
            Some((least, ..)) if so_far > *least => continue,
            Some((least, ..)) => least - so_far,
            None => rest.len(),
        };
        let Some(Packed { places, left, is_exact: is_packed_exactly }) =
            pack(&rest, room, may_be_left, effort)
        else {
            // More than the best, or not known.
            is_exact &= !effort.is_over();
            continue;
        };
        is_exact &= is_packed_exactly;
        let pods = taken.len() + left.len();
        let total = freed.len() + pods;
        if best.as_ref().is_none_or(|(least, of_pods, _)| (total, pods) < (*least, *of_pods)) {
            let taken = taken.iter().map(|item| item.pod).chain(left).map(Change::Pod);
            let changes = freed.into_iter().map(Change::Budget).chain(taken).collect();
            best = Some((total, pods, Cleared { changes, places, is_fewest: true }));
        }
    }
    let (_, _, mut cleared) = best.unwrap_or_else(|| {
        // With no best so far as many may be left over as there are: the first choice finds one unless its search ends early.
        let all = items.iter().map(|item| Change::Pod(item.pod)).collect();
        is_exact = items.is_empty();
        (0, 0, Cleared { changes: all, places: Vec::new(), is_fewest: false })
    });
    cleared.changes.extend(must.iter().copied().map(Change::Pod));
    cleared.changes.sort_unstable();
    cleared.is_fewest = is_exact;
    cleared
}
