//! Whether pods find room at the same time: a search over where each could go, with an end.

use crate::block::Taken;
use crate::cluster::Room;

/// The most steps of one question, in each of which one pod is looked at beside all nodes. Past them it is not known whether
/// everything fits, or whether fewer pods could be left out.
pub const MOST_STEPS: u32 = 100_000;

/// What a question may still cost.
pub(crate) struct Effort(u32);

impl Effort {
    pub(crate) fn new() -> Self {
        Self(MOST_STEPS)
    }

    /// Takes so many steps; false once there are not so many any more, and then for good.
    fn spend(&mut self, steps: usize) -> bool {
        self.0 = u32::try_from(steps).ok().and_then(|steps| self.0.checked_sub(steps)).unwrap_or(0);
        !self.is_over()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0 == 0
    }
}

/// A pod that has to find room.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its place in the cluster's list.
    pub(crate) pod: usize,
    /// What it asks for.
    pub(crate) asks: Room,
    /// The nodes that take it.
    pub(crate) on: Vec<usize>,
    /// Its groups of which no two may share a node.
    pub(crate) apart: Vec<usize>,
}

/// What there is before any of them is placed.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    /// Of each node.
    pub(crate) free: Vec<Room>,
    /// Groups on nodes.
    pub(crate) taken: Taken,
}

/// Where pods go, and which are left over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    /// Pod and node.
    pub(crate) places: Vec<(usize, usize)>,
    /// Pods for which there is no room.
    pub(crate) left: Vec<usize>,
    /// Fewer could not be left over.
    pub(crate) is_exact: bool,
}

/// Most items for which more than the first way is searched; of more, what the first way leaves over is left over.
const MOST_SEARCHED: usize = 256;

/// Packs as many as there is room for, leaving `most` over at most; `None` where more would have to be, or where the search
/// ended before it found how.
pub(crate) fn pack(items: &[&Item], room: &Rooms, most: usize, effort: &mut Effort) -> Option<Packed> {
    let mut items: Vec<&Item> = items.to_vec();
    // Whom few nodes take, and who asks for much, comes first.
    items.sort_by_key(|item| (item.on.len(), std::cmp::Reverse(item.asks), item.pod));
    if !effort.spend(items.len()) {
        return None;
    }
    let mut first = Search::new(&items, room);
    first.the_first_way();
    let mut is_exact = true;
    for leave in at_least(&items, room)..first.left.len().min(most.saturating_add(1)) {
        let mut search = Search::new(&items, room);
        let found = if items.len() > MOST_SEARCHED { None } else { search.from(0, leave, effort) };
        match found {
            Some(true) => return Some(search.packed(is_exact)),
            Some(false) => {}
            None => {
                is_exact = false;
                break;
            }
        }
    }
    (first.left.len() <= most).then(|| first.packed(is_exact))
}

/// How many have to be left over whatever is done: of each figure no more can be on a node than of those that ask for least, and
/// on all nodes no more than there is.
fn at_least(items: &[&Item], room: &Rooms) -> usize {
    let mut is_on = vec![false; room.free.len()];
    items.iter().flat_map(|item| &item.on).for_each(|node| is_on[*node] = true);
    let free: Vec<Room> =
        room.free.iter().zip(is_on).filter(|(_, is_on)| *is_on).map(|(free, _)| *free).collect();
    let figures: [fn(&Room) -> i64; 3] = [|it| it.cpu_milli, |it| it.memory_bytes, |it| it.pods];
    // How many of those that ask for least fit into so much.
    let fit = figures.map(|figure| {
        let mut asked: Vec<i64> = items.iter().map(|item| figure(&item.asks).max(0)).collect();
        asked.sort_unstable();
        let sums = asked.iter().scan(0_i64, |sum, one| {
            *sum = sum.saturating_add(*one);
            Some(*sum)
        });
        sums.collect::<Vec<i64>>()
    });
    let count = |sums: &[i64], has: i64| sums.partition_point(|sum| *sum <= has.max(0));
    let on_one = |free: &Room| {
        let counts = figures.iter().zip(&fit).map(|(figure, sums)| count(sums, figure(free)));
        counts.min().unwrap_or(0)
    };
    let one_by_one = free.iter().map(on_one).fold(0, usize::saturating_add);
    let together = figures.iter().zip(&fit).map(|(figure, sums)| {
        count(sums, free.iter().fold(0_i64, |sum, one| sum.saturating_add(figure(one).max(0))))
    });
    let most = together.min().unwrap_or(0).min(one_by_one);
    items.len().saturating_sub(most)
}

struct Search<'a> {
    items: &'a [&'a Item],
    free: Vec<Room>,
    taken: Taken,
    places: Vec<(usize, usize)>,
    left: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(items: &'a [&'a Item], room: &Rooms) -> Self {
        let Rooms { free, taken } = room.clone();
        Self { items, free, taken, places: Vec::new(), left: Vec::new() }
    }

    fn packed(self, is_exact: bool) -> Packed {
        Packed { places: self.places, left: self.left, is_exact }
    }

    /// Puts each where least is left after it, and leaves over whom nothing takes then.
    fn the_first_way(&mut self) {
        for item in self.items.iter().copied() {
            let nodes = item.on.iter().copied().filter(|node| self.takes(item, *node));
            match nodes.min_by_key(|node| (self.free[*node].less(item.asks), *node)) {
                Some(node) => self.put(item, node),
                None => self.left.push(item.pod),
            }
        }
    }

    /// Packs the items from `at` on and leaves `leave` over at most; `None` once there were too many steps.
    fn from(&mut self, at: usize, leave: usize, effort: &mut Effort) -> Option<bool> {
        let Some(item) = self.items.get(at).copied() else { return Some(true) };
        if !effort.spend(1) {
            return None;
        }
        let mut nodes: Vec<usize> = item.on.iter().copied().filter(|node| self.takes(item, *node)).collect();
        // Where least is left after it: what is large finds room later.
        nodes.sort_by_key(|node| (self.free[*node].less(item.asks), *node));
        for node in nodes {
            self.put(item, node);
            let found = self.from(at + 1, leave, effort);
            if found != Some(false) {
                return found;
            }
            self.take_back(item, node);
        }
        if leave == 0 {
            return Some(false);
        }
        self.left.push(item.pod);
        let found = self.from(at + 1, leave - 1, effort);
        if found == Some(false) {
            self.left.pop();
        }
        found
    }

    fn takes(&self, item: &Item, node: usize) -> bool {
        self.free[node].holds(item.asks)
            && !item.apart.iter().any(|group| self.taken.contains(&(node, *group)))
    }

    fn put(&mut self, item: &Item, node: usize) {
        self.free[node] = self.free[node].less(item.asks);
        self.taken.extend(item.apart.iter().map(|group| (node, *group)));
        self.places.push((item.pod, node));
    }

    fn take_back(&mut self, item: &Item, node: usize) {
        self.free[node] = self.free[node].more(item.asks);
        for group in &item.apart {
            self.taken.remove(&(node, *group));
        }
        self.places.pop();
    }
}
