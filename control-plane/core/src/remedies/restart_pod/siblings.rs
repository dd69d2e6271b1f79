//! What the other pods of the same template tell: whether the node, the pod, or something that they share is to blame.

use std::collections::BTreeSet;

use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Pod};

/// Where the fault is, as far as the siblings tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suspect {
    /// The same template is well elsewhere, and on this node every pod of it fails.
    Node {
        /// A node on which it is well.
        well_on: String,
    },
    /// This pod: nothing speaks against its node, or nothing is known that could.
    Pod(&'static str),
    /// Pods fail on several nodes while others are well; in words.
    Several(String),
    /// All of them fail, on several nodes; in words.
    Shared(String),
}

/// What the pods of `pod`'s template tell. `all` are the pods of its controller.
pub(super) fn suspect<'a>(pod: &Pod, all: impl Iterator<Item = &'a Pod>, s: &Snapshot<'_>) -> Suspect {
    let same = |other: &&Pod| other.controller_revision == pod.controller_revision && !other.node.is_empty();
    let all: Vec<&Pod> = all.filter(same).collect();
    let failing: Vec<&&Pod> = all.iter().filter(|other| fails(other, s)).collect();
    let well: Vec<&&Pod> = all.iter().filter(|other| other.ready && !fails(other, s)).collect();
    let nodes: BTreeSet<&str> =
        failing.iter().map(|other| other.node.as_str()).chain([pod.node.as_str()]).collect();
    if nodes.len() > 1 {
        let named: Vec<&str> = nodes.iter().take(5).copied().collect();
        let (failing, on) = (failing.len(), named.join(", "));
        return if well.is_empty() {
            Suspect::Shared(format!(
                "all {failing} of its running pods fail, on {} nodes ({on})",
                nodes.len()
            ))
        } else {
            Suspect::Several(format!(
                "{failing} of its pods fail on {} nodes ({on}), {} are well",
                nodes.len(),
                well.len()
            ))
        };
    }
    let here = well.iter().any(|other| other.node == pod.node);
    match well.iter().find(|other| other.node != pod.node) {
        Some(_) if here => Suspect::Pod("pods of the same template are well on its node"),
        Some(other) => Suspect::Node { well_on: other.node.clone() },
        None if here => {
            Suspect::Pod("pods of the same template are well on its node, and there are none elsewhere")
        }
        None => Suspect::Pod("no other pod of its template tells whether its node is to blame"),
    }
}

/// The pods of the same template that are well on other nodes.
pub(super) fn well_elsewhere<'a>(
    pod: &Pod,
    all: impl Iterator<Item = &'a Pod>,
    s: &Snapshot<'_>,
) -> Vec<&'a Pod> {
    all.filter(|other| {
        let same = other.controller_revision == pod.controller_revision && !other.node.is_empty();
        same && other.node != pod.node && other.ready && !fails(other, s)
    })
    .collect()
}

/// Those of `well` that run the very same containers and images, init containers among them. What is not known is not the
/// same.
pub(super) fn of_the_same_images<'a>(pod: &Pod, well: &[&'a Pod]) -> Vec<&'a Pod> {
    let Some(own) = images(pod) else { return Vec::new() };
    well.iter().filter(|other| images(other).is_some_and(|theirs| theirs == own)).copied().collect()
}

/// Each container with what its image's name stands for, by name; `None` where that is not known of all of them.
fn images(pod: &Pod) -> Option<BTreeSet<String>> {
    let facts = pod.facts.as_ref().filter(|facts| facts.references_complete)?;
    let plain = pod.containers.iter().filter(|container| container.role.is_empty());
    let plain = plain.map(|container| format!("{}={}", container.name, container.image_id));
    let all: BTreeSet<String> =
        facts.init_images.iter().map(|image| format!("init {image}")).chain(plain).collect();
    all.iter().all(|image| !image.ends_with('=')).then_some(all)
}

fn image_id<'a>(of: &'a Pod, name: &str) -> Option<&'a str> {
    let found = of.containers.iter().find(|container| container.name == name);
    found.map(|container| container.image_id.as_str()).filter(|id| !id.is_empty())
}

/// Why the pod's node is not suspect where none of `well` runs the very same images.
pub(super) fn another_image(pod: &Pod, well: &[&Pod]) -> String {
    let differs = pod.containers.iter().find_map(|c| {
        let here = image_id(pod, &c.name)?;
        let there = well.iter().find_map(|other| image_id(other, &c.name).filter(|there| *there != here))?;
        Some(format!(
            "container {} runs image {} as {here} here and as {there} where it is well: what the name stands for changed",
            c.name, c.image
        ))
    });
    differs.unwrap_or_else(|| "that the others run the very same images is not known".to_owned())
}

/// Does it fail, also in the moment between two crashes in which it is ready? A pod that only starts does not.
fn fails(pod: &Pod, s: &Snapshot<'_>) -> bool {
    if !pod.ready {
        return pod.is_unhealthy();
    }
    let worn = pod.containers.iter().any(|c| c.restarts >= s.settings.crash_loop_restarts);
    worn && pod.ready_since.is_none_or(|since| later(since, s.settings.settle()) > s.now)
}

/// The pods of the controller of `pod`.
pub(super) fn of<'a>(pod: &Pod, inventory: &'a Inventory) -> impl Iterator<Item = &'a Pod> {
    inventory.pods_owned_by(&pod.meta.owner_uid)
}
