//! Can the images run on the nodes?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::{count, sentences};

/// What the images are made for.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const SYSTEM: &str = "linux";

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "nodes", what: "the nodes are ready, and Linux on amd64 or arm64", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let nodes = snapshot.nodes.as_ref()?;
    let is_foreign = |system: &str, architecture: &str| {
        // What is empty was not said, and is not held against the node.
        (!system.is_empty() && system != SYSTEM)
            || (!architecture.is_empty() && !ARCHITECTURES.contains(&architecture))
    };
    let foreign: Vec<String> = nodes
        .iter()
        .filter(|node| is_foreign(&node.system, &node.architecture))
        .map(|node| format!("{} is {} on {}", node.name, node.system, node.architecture))
        .collect();
    let away: Vec<String> = nodes
        .iter()
        .filter(|node| !node.is_ready)
        .map(|node| format!("{} is not ready", node.name))
        .collect();
    let apart = "keep the agents off these nodes with the values nodeSelector or affinity: the images are for Linux on \
                 amd64 and arm64";
    let all = count(nodes.len(), "node", "nodes");
    Ok(if nodes.is_empty() {
        Outcome::failure("the cluster has no node", "add a node: nothing can run without one")
    } else if foreign.len() == nodes.len() {
        Outcome::failure(
            format!("no node can run the images: {}", sentences(&foreign)),
            "add nodes with Linux on amd64 or arm64",
        )
    } else if away.len() == nodes.len() {
        Outcome::failure(format!("none of {all} is ready"), "see why: kubectl describe nodes")
    } else if !foreign.is_empty() {
        Outcome::warning(sentences(&foreign), apart)
    } else if !away.is_empty() {
        Outcome::warning(
            format!("{} of {all}: {}", away.len(), sentences(&away)),
            "see why: kubectl describe nodes; helm waits for an agent on each node",
        )
    } else if let Some(silent) =
        nodes.iter().find(|node| node.system.is_empty() || node.architecture.is_empty())
    {
        Outcome::unknown(
            format!("{} does not say what it runs on", silent.name),
            "look at its nodeInfo: kubectl get nodes -o wide; the images are for Linux on amd64 and arm64",
        )
    } else {
        Outcome::pass(format!("{all}, ready, Linux on amd64 or arm64"))
    })
}
