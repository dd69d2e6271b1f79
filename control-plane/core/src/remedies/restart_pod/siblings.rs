//! What the other pods of the same template tell: whether the node, the pod, or something that they share is to blame.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::snapshot::Snapshot;
use crate::world::{Container, Inventory, Pod};

/// A crash so long ago at most is one of now. The kubelet, too, forgets a container's crashes after ten minutes of running.
const LATELY: SignedDuration = SignedDuration::from_mins(10);
/// So many restarts are a pod that fails; a single one may have been for anything.
const AGAIN: u32 = 2;

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
    /// Another pod has only just become ready elsewhere: it tells more soon.
    Soon {
        /// The node on which it is ready.
        on: String,
        /// In so long.
        left: SignedDuration,
        /// Is the pod the only one that fails?
        alone: bool,
    },
    /// Pods fail on several nodes while others are well; in words.
    Several(String),
    /// Several fail, all of them on the pod's node, and none is known to be well; in words.
    Together(String),
    /// They fail on several nodes, and none is known to be well; in words.
    Shared(String),
}

/// What a pod tells of its template at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// It is well: ready for longer than the one that fails runs, and without a crash lately.
    Well,
    /// It fails, if only in the moment between two crashes.
    Fails,
    /// It would be well if it stayed ready for so much longer.
    Soon(SignedDuration),
    /// Nothing: it only starts, or crashed once lately.
    Nothing,
}

/// Whether another pod shows that the template can be well at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Witness {
    /// One is well.
    Well,
    /// One is ready on this node, and will be well if it stays so for so much longer.
    Soon(String, SignedDuration),
    /// None is.
    Nobody,
}

/// Whether another pod of `pod`'s template is well, on whatever node. `all` are the pods of its controller.
pub(super) fn witness<'a>(
    pod: &Pod,
    all: impl Iterator<Item = &'a Pod>,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Witness {
    let moment = Moment::of(pod, inventory, s);
    let mut soon: Option<(SignedDuration, String)> = None;
    for other in all.filter(|other| other.meta.uid != pod.meta.uid) {
        if other.controller_revision != pod.controller_revision || other.node.is_empty() {
            continue;
        }
        match tells(other, pod, moment, s) {
            Tells::Well => return Witness::Well,
            Tells::Soon(left) if soon.as_ref().is_none_or(|(least, _)| left < *least) => {
                soon = Some((left, other.node.clone()));
            }
            Tells::Soon(_) | Tells::Fails | Tells::Nothing => {}
        }
    }
    soon.map_or(Witness::Nobody, |(left, on)| Witness::Soon(on, left))
}

/// What the pods of `pod`'s template tell. `all` are the pods of its controller.
pub(super) fn suspect<'a>(
    pod: &Pod,
    all: impl Iterator<Item = &'a Pod>,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Suspect {
    let same = |other: &&Pod| other.controller_revision == pod.controller_revision && !other.node.is_empty();
    let moment = Moment::of(pod, inventory, s);
    let all: Vec<(&Pod, Tells)> =
        all.filter(same).map(|other| (other, tells(other, pod, moment, s))).collect();
    let those =
        |wanted: Tells| all.iter().filter(move |(_, tells)| *tells == wanted).map(|(other, _)| *other);
    let nodes: BTreeSet<&str> =
        those(Tells::Fails).map(|other| other.node.as_str()).chain([pod.node.as_str()]).collect();
    let (failing, well) = (those(Tells::Fails).count(), those(Tells::Well).count());
    if nodes.len() > 1 {
        return on_several(&nodes, failing, well, all.len());
    }
    let together = failing > 1 && well == 0;
    // One that is ready beside it, for however long, speaks for the node.
    let here =
        all.iter().any(|(other, tells)| other.node == pod.node && other.ready && *tells != Tells::Fails);
    let elsewhere = |other: &&Pod| other.node != pod.node;
    match those(Tells::Well).find(elsewhere) {
        Some(_) if here => Suspect::Pod("pods of the same template are well on its node"),
        Some(other) => Suspect::Node { well_on: other.node.clone() },
        None if here && !together => {
            Suspect::Pod("pods of the same template are well on its node, and there are none elsewhere")
        }
        None => {
            let settle = s.settings.settle();
            let soon =
                all.iter().filter(|(other, _)| elsewhere(other)).filter_map(|(other, tells)| match tells {
                    Tells::Soon(left) if *left <= settle => Some((*left, other.node.clone())),
                    Tells::Soon(_) | Tells::Well | Tells::Fails | Tells::Nothing => None,
                });
            match soon.min() {
                Some((left, on)) => Suspect::Soon { on, left, alone: !together },
                None if together => Suspect::Together(on_one(&pod.node, failing, all.len())),
                None => Suspect::Pod("no other pod of its template tells whether its node is to blame"),
            }
        }
    }
}

/// So many pods fail on one node, several of them, and none is known to be well.
fn on_one(node: &str, failing: usize, all: usize) -> String {
    if all == failing {
        return format!("all {failing} of its running pods fail, on one node ({node})");
    }
    format!("{failing} of its {all} running pods fail, on one node ({node}), and none is known to be well")
}

/// So many pods fail on more than one node.
fn on_several(nodes: &BTreeSet<&str>, failing: usize, well: usize, all: usize) -> Suspect {
    let named: Vec<&str> = nodes.iter().take(5).copied().collect();
    let (on, nodes) = (named.join(", "), nodes.len());
    match (well, all == failing) {
        (0, true) => {
            Suspect::Shared(format!("all {failing} of its running pods fail, on {nodes} nodes ({on})"))
        }
        (0, false) => Suspect::Shared(format!(
            "{failing} of its {all} running pods fail, on {nodes} nodes ({on}), and none is known to be well"
        )),
        (well, _) => {
            Suspect::Several(format!("{failing} of its pods fail on {nodes} nodes ({on}), {well} are well"))
        }
    }
}

/// The pods of the same template that are well on other nodes.
pub(super) fn well_elsewhere<'a>(
    pod: &Pod,
    all: impl Iterator<Item = &'a Pod>,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Vec<&'a Pod> {
    let moment = Moment::of(pod, inventory, s);
    all.filter(|other| {
        let same = other.controller_revision == pod.controller_revision && !other.node.is_empty();
        same && other.node != pod.node && tells(other, pod, moment, s) == Tells::Well
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

/// The moment that the times of pods are compared with.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Option<Timestamp>,
    /// Does it go on by itself?
    goes_on: bool,
}

impl Moment {
    /// Now; since the clock here jumped, when `pod` crashed last, which the cluster's own clock says.
    fn of(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> Self {
        if inventory.clock_jumped_at.is_none() {
            return Self { at: Some(s.now), goes_on: true };
        }
        let crashed = pod.containers.iter().filter(|c| c.restarts > 0);
        Self { at: crashed.filter_map(|c| c.last_finished_at).max(), goes_on: false }
    }
}

/// What `other` tells of the template of `pod`, which crash-loops.
///
/// Without a readiness probe, or with one that passes soon, a pod is ready for as long as each of its runs lasts. So that one is
/// ready says nothing until it has been for longer than the failing one runs.
fn tells(other: &Pod, pod: &Pod, moment: Moment, s: &Snapshot<'_>) -> Tells {
    if !other.ready {
        return if other.is_unhealthy() { Tells::Fails } else { Tells::Nothing };
    }
    // When a crash was is not always said: then it may have been just now.
    let lately = |c: &Container| {
        c.last_finished_at.zip(moment.at).is_none_or(|(at, now)| now.duration_since(at) < LATELY)
    };
    let crashed = other.containers.iter().filter(|c| c.restarts > 0 && lately(c)).map(|c| c.restarts).max();
    match (crashed, other.ready_since.zip(moment.at)) {
        (Some(restarts), _) if restarts >= AGAIN => Tells::Fails,
        (Some(_), _) | (None, None) => Tells::Nothing,
        (None, Some((since, now))) => {
            let settle = s.settings.settle();
            let needed = run_of(pod).saturating_mul(2).min(LATELY).max(settle);
            let left = needed - now.duration_since(since);
            if left <= SignedDuration::ZERO {
                Tells::Well
            } else if moment.goes_on {
                Tells::Soon(left)
            } else {
                Tells::Nothing
            }
        }
    }
}

/// For how long the longest of a pod's containers that crashed ran the last time; nothing where that is not said.
fn run_of(pod: &Pod) -> SignedDuration {
    let crashed = pod.containers.iter().filter(|c| c.restarts > 0);
    let runs = crashed.filter_map(|c| Some(c.last_finished_at?.duration_since(c.last_started_at?)));
    runs.max().unwrap_or(SignedDuration::ZERO)
}

/// The pods of the controller of `pod`.
pub(super) fn of<'a>(pod: &Pod, inventory: &'a Inventory) -> impl Iterator<Item = &'a Pod> {
    inventory.pods_owned_by(&pod.meta.owner_uid)
}
