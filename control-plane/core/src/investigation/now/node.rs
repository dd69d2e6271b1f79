//! A node: whether it is ready and takes pods, who keeps it from them, and what its kubelet measured.

use crate::investigation::words::{fullness, in_brackets, since, some};
use crate::investigation::{Known, Source};
use crate::world::{Inventory, Node, Object as _};

/// Most taints, and most marks of others, that are told.
const MOST_MARKS: usize = 10;

pub(super) fn of(node: &Node, inventory: &Inventory) -> Vec<Known> {
    let object = node.object();
    let status = |text: String| Known::new(None, Source::Status, &object, text);
    let ready = if node.ready.is_empty() { "not told" } else { &node.ready };
    let closed = if node.unschedulable { ", closed for new pods" } else { "" };
    let leaving = if node.meta.deleting { ", on its way out" } else { "" };
    let reason = in_brackets(&node.ready_reason);
    let mut all =
        vec![status(format!("Ready is {ready}{}{reason}{closed}{leaving}", since(node.ready_since)))];
    let turned = format!("Ready is {ready} since then");
    all.extend(node.ready_since.map(|at| Known::new(at, Source::Status, &object, turned)));
    if let Some(job) = node.held_for() {
        let until = node.facts.as_ref().and_then(|facts| facts.held_until);
        let until = until.map_or_else(String::new, |at| format!(", until {at:.0} at most"));
        all.push(status(format!("{job}, a job of Nimbus, keeps new pods away from it{until}")));
    }
    if let Some(facts) = &node.facts {
        let taints: Vec<String> = facts
            .taints
            .iter()
            .map(|taint| {
                let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
                format!("{}{value}:{}", taint.key, taint.effect)
            })
            .collect();
        for (what, them) in [("taints", &taints), ("marked", &facts.marks)] {
            all.extend((!them.is_empty()).then(|| status(format!("{what}: {}", some(them, MOST_MARKS)))));
        }
    }
    let texts = measured(node, inventory);
    all.extend(texts.into_iter().map(|text| Known::new(None, Source::Kubelet, &object, text)));
    all
}

/// What its kubelet told at one moment: since when it was so it does not say.
fn measured(node: &Node, inventory: &Inventory) -> Vec<String> {
    let Some(figures) = inventory.measured.node(&node.meta.name) else { return Vec::new() };
    let mut all = Vec::new();
    let short: Vec<&str> =
        figures.pressures.iter().flatten().map(|pressure| pressure.condition.as_str()).collect();
    if !short.is_empty() {
        all.push(format!("read at {:.0}: it runs short ({})", figures.at, short.join(", ")));
    }
    for (what, filesystem) in
        [("its own file system", &figures.node_filesystem), ("that of its images", &figures.image_filesystem)]
    {
        let used = fullness(filesystem);
        all.extend(used.map(|used| format!("read at {:.0}: {what}, {used}", figures.at)));
    }
    all
}
