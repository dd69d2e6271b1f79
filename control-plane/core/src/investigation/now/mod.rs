//! How what the incident is about is now, as far as its cluster's agents told: the workload, its runs, the claim, its pods, and the
//! nodes of those that are not well; and what of it has a time. Its own object comes first and is never left out.

mod claim;
mod node;
mod pod;
mod runs;
mod workload;

use std::collections::BTreeSet;

use super::{Investigation, Known, MOST_FACTS, Source, Window, pods, revisions};
use crate::model::Incident;
use crate::world::{Inventory, Node, Pod};

/// Most pods that are told one by one beside the incident's own, those that are not well first.
const MOST_PODS: usize = 20;
/// Most nodes beside the incident's own, those that are not ready first.
const MOST_NODES: usize = 5;
/// Most moments of these pods and nodes, those nearest to the incident's begin.
const MOST_MOMENTS: usize = 60;
/// Most Events of these pods, likewise.
const MOST_EVENTS: usize = 20;

/// All of it. What has a time is told of the window alone; what is so now is told however long it has been so.
pub(super) fn tell(incident: &Incident, inventory: &Inventory, window: Window, found: &mut Investigation) {
    let mut seen = Seen::default();
    seen.add(workload::of(incident, inventory));
    seen.add(revisions::held(incident, inventory));
    seen.add(runs::of(incident, inventory));
    seen.add(claim::of(incident, inventory));

    let all = pods::of(incident, inventory);
    let (own, rest): (Vec<&Pod>, Vec<&Pod>) =
        all.iter().copied().partition(|pod| pod.meta.uid == incident.object.uid());
    let events = pod::events(own.iter().chain(rest.iter().take(MOST_PODS)).copied(), inventory);
    seen.add(own.into_iter().flat_map(|pod| pod::of(pod, &events)));
    seen.add(inventory.nodes.get(incident.object.uid()).into_iter().flat_map(|own| node::of(own, inventory)));
    let own = std::mem::take(&mut seen.moments);
    found.timeline.extend(own.into_iter().filter(|one| one.at.is_some_and(|at| window.has(at))));

    nodes(incident, inventory, &all, &mut seen);
    let told = rest
        .iter()
        .take(MOST_PODS)
        .take_while(|pod| seen.add_where_there_is_room(pod::of(pod, &events)))
        .count();
    if rest.len() > told {
        let text = format!("and {} more pods, which are not told one by one", rest.len() - told);
        seen.facts.push(Known::new(None, Source::Status, &incident.object, text));
    }
    found.now = seen.facts;
    let (events, moments): (Vec<Known>, Vec<Known>) =
        seen.moments.into_iter().partition(|one| one.source == Source::Event);
    found.tell_nearest(
        moments,
        MOST_MOMENTS,
        window,
        "moments of its other pods, and of their containers and nodes",
    );
    found.tell_nearest(events, MOST_EVENTS, window, "Events of its other pods");
}

/// The nodes that pods which are not well are on, beside the incident's own.
fn nodes(incident: &Incident, inventory: &Inventory, pods: &[&Pod], seen: &mut Seen) {
    let names: BTreeSet<&str> =
        pods.iter().filter(|pod| pod.is_active() && !pod.ready).map(|pod| pod.node.as_str()).collect();
    let is_meant =
        |node: &&Node| node.meta.uid != incident.object.uid() && names.contains(node.meta.name.as_str());
    let mut all: Vec<&Node> = inventory.nodes.values().filter(is_meant).collect();
    all.sort_by(|a, b| (a.is_ready(), &a.meta.name).cmp(&(b.is_ready(), &b.meta.name)));
    let more = all.len().saturating_sub(MOST_NODES);
    for node in all.into_iter().take(MOST_NODES) {
        seen.add(node::of(node, inventory));
    }
    if more > 0 {
        let text =
            format!("its pods that are not well are on {more} more nodes, which are not told one by one");
        seen.facts.push(Known::new(None, Source::Status, &incident.object, text));
    }
}

/// What is seen.
#[derive(Default)]
struct Seen {
    /// What is so now.
    facts: Vec<Known>,
    /// What has a time.
    moments: Vec<Known>,
}

impl Seen {
    fn add(&mut self, lines: impl IntoIterator<Item = Known>) {
        for line in lines {
            if line.at.is_some() { self.moments.push(line) } else { self.facts.push(line) }
        }
    }

    /// False, and nothing is added, where there would be too many facts, with the one that says how many more there are.
    fn add_where_there_is_room(&mut self, lines: Vec<Known>) -> bool {
        let facts = lines.iter().filter(|line| line.at.is_none()).count();
        let fits = self.facts.len() + facts < MOST_FACTS;
        if fits {
            self.add(lines);
        }
        fits
    }
}
