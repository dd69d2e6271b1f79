//! Whether pods find room at the same time: a search over where each could go, with an end.

use std::collections::BTreeSet;

use crate::block::Taken;
use crate::cluster::Room;

/// The most steps of one search. Past them it is not known whether everything fits, or whether fewer pods could be left out.
pub const MOST_STEPS: u32 = 200_000;

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
pub(crate) fn pack(items: &[Item], room: &Rooms, most: usize) -> Option<Packed> {
    let mut items: Vec<&Item> = items.iter().collect();
    // Whom few nodes take, and who asks for much, comes first.
    items.sort_by_key(|item| (item.on.len(), std::cmp::Reverse(item.asks), item.pod));
    let mut first = Search::new(&items, room);
    first.the_first_way();
    let at_least = (0..first.left.len()).find(|leave| !Search::new(&items, room).is_short(0, *leave));
    let at_least = at_least.unwrap_or(first.left.len());
    let mut is_exact = true;
    for leave in at_least..first.left.len().min(most.saturating_add(1)) {
        let mut search = Search::new(&items, room);
        let found = if items.len() > MOST_SEARCHED { None } else { search.from(0, leave) };
        match found {
            Some(true) => return Some(search.packed(is_exact)),
            Some(false) => {}
            None => is_exact = false,
        }
    }
    (first.left.len() <= most).then(|| first.packed(is_exact))
}

struct Search<'a> {
    items: &'a [&'a Item],
    free: Vec<Room>,
    taken: Taken,
    places: Vec<(usize, usize)>,
    left: Vec<usize>,
    steps: u32,
}

impl<'a> Search<'a> {
    fn new(items: &'a [&'a Item], room: &Rooms) -> Self {
        let Rooms { free, taken } = room.clone();
        Self { items, free, taken, places: Vec::new(), left: Vec::new(), steps: 0 }
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
    fn from(&mut self, at: usize, leave: usize) -> Option<bool> {
        let Some(item) = self.items.get(at).copied() else { return Some(true) };
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return None;
        }
        if self.is_short(at, leave) {
            return Some(false);
        }
        let mut nodes: Vec<usize> = item.on.iter().copied().filter(|node| self.takes(item, *node)).collect();
        // Where least is left after it: what is large finds room later.
        nodes.sort_by_key(|node| (self.free[*node].less(item.asks), *node));
        for node in nodes {
            self.put(item, node);
            let found = self.from(at + 1, leave);
            if found != Some(false) {
                return found;
            }
            self.take_back(item, node);
        }
        if leave == 0 {
            return Some(false);
        }
        self.left.push(item.pod);
        let found = self.from(at + 1, leave - 1);
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

    /// Do the items from `at` on ask for more than all nodes that take any of them have, whichever `leave` of them are left
    /// over?
    fn is_short(&self, at: usize, leave: usize) -> bool {
        let items = &self.items[at..];
        let nodes: BTreeSet<usize> = items.iter().flat_map(|item| item.on.iter().copied()).collect();
        let figures: [fn(&Room) -> i64; 3] = [|it| it.cpu_milli, |it| it.memory_bytes, |it| it.pods];
        figures.iter().any(|figure| {
            let mut asked: Vec<i64> = items.iter().map(|item| figure(&item.asks).max(0)).collect();
            asked.sort_unstable_by(|a, b| b.cmp(a));
            let asked: i64 = asked.iter().skip(leave).fold(0, |sum, one| sum.saturating_add(*one));
            let free =
                nodes.iter().fold(0_i64, |sum, node| sum.saturating_add(figure(&self.free[*node]).max(0)));
            asked > free
        })
    }
}
