//! The nodes of a cluster as the API shows them: the latest figures that their kubelets measured.
//!
//! That a node runs short of something, or that a volume is nearly full, is told by the incidents `node_pressure` and
//! `volume_near_full`; here are the figures alone, also where all is well.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_api as api;
use nimbus_control_core::world::{Inventory, MeasuredNode, MeasuredNodes, NearLimit};

use super::number;

/// What is shown of a cluster's nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    pub figures: Vec<api::NodeFigures>,
    pub left_out: u32,
    pub near_limit: Vec<api::ContainerNearLimit>,
    pub near_limit_left_out: u32,
}

/// The nodes that are listed or were measured, each once. One that was never measured is shown, with everything unknown.
pub fn nodes(inventory: &Inventory, now: Timestamp) -> Nodes {
    let listed = inventory.nodes.values().map(|node| node.meta.name.as_str());
    let names: BTreeSet<&str> = listed.chain(inventory.measured.iter().map(|(name, _)| name)).collect();
    let mut figures: Vec<_> =
        names.into_iter().map(|name| of_node(name, inventory.measured.node(name), now)).collect();
    // Where not all of them are shown, those that run short of something are what somebody looks for.
    let left_out = figures.len().saturating_sub(api::SHOWN_NODES);
    figures.sort_by_key(|node| node.pressures.as_ref().is_none_or(Vec::is_empty));
    figures.truncate(api::SHOWN_NODES);
    figures.sort_by(|a, b| a.node.cmp(&b.node));
    let (near_limit, near_limit_left_out) = near_limit(&inventory.measured, now);
    Nodes { figures, left_out: number(left_out), near_limit, near_limit_left_out }
}

/// The figures of one node.
pub(super) fn of_node(name: &str, measured: Option<&MeasuredNode>, now: Timestamp) -> api::NodeFigures {
    let memory = measured.map(|node| node.memory).unwrap_or_default();
    let disk = measured.map(|node| node.node_filesystem).unwrap_or_default();
    let images = measured.map(|node| node.image_filesystem).unwrap_or_default();
    let pressures = measured.and_then(|node| node.pressures.as_ref());
    api::NodeFigures {
        node: name.to_owned(),
        measured_at: measured.map(|node| node.at),
        stale: measured.is_some_and(|node| !node.is_fresh(now)),
        memory_used_bytes: memory.working_set,
        memory_bytes: memory.capacity(),
        disk_used_bytes: disk.used(),
        disk_bytes: disk.capacity,
        images_used_bytes: images.used(),
        images_bytes: images.capacity,
        pressures: pressures.map(|all| all.iter().map(|pressure| pressure.condition.clone()).collect()),
    }
}

fn near_limit(measured: &MeasuredNodes, now: Timestamp) -> (Vec<api::ContainerNearLimit>, u32) {
    let fresh = measured.iter().filter(|(_, node)| node.is_fresh(now));
    let mut near: Vec<(&str, &NearLimit)> =
        fresh.flat_map(|(name, node)| node.near_limit.iter().map(move |near| (name, near))).collect();
    near.sort_by_key(|(_, near)| Reverse(near.used_permille()));
    let left_out = number(near.len().saturating_sub(api::SHOWN_CONTAINERS));
    let shown = |(node, near): (&str, &NearLimit)| api::ContainerNearLimit {
        node: node.to_owned(),
        namespace: near.namespace.clone(),
        pod: near.pod.clone(),
        container: near.container.clone(),
        memory_used_bytes: near.working_set,
        memory_limit_bytes: near.limit,
    };
    (near.into_iter().take(api::SHOWN_CONTAINERS).map(shown).collect(), left_out)
}
