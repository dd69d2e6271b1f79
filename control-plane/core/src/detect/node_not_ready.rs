//! A node whose Ready condition is not True: it says so itself, or nobody has heard of it.

use super::Finding;
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::{Inventory, Node};

pub(super) fn detect(cluster: &str, inventory: &Inventory, _: &Settings) -> Vec<Finding> {
    let finding = |node: &Node| {
        let why = if node.ready_reason.is_empty() { "no reason given" } else { &node.ready_reason };
        let condition = if node.ready.is_empty() { "missing" } else { &node.ready };
        let evidence = vec![format!("node {}: its Ready condition is {condition} ({why})", node.meta.name)];
        Finding {
            node: node.meta.name.clone(),
            ..Finding::of_cluster(IncidentKind::NodeNotReady, cluster, node.meta.object("Node"), evidence)
        }
    };
    inventory.nodes.values().filter(|n| !n.is_ready() && !n.meta.deleting).map(finding).collect()
}
