//! What kubelets measured on their nodes, as the agent on each node reads it: file systems, volumes of claims, pressure.
//!
//! The latest figures alone are kept, of each node once, and of volumes beside that a few of the last hour, from which the pace is told at
//! which they fill; those are not stored. A figure that is absent is unknown. That a node's agent may tell of this node is checked before (`cluster_binding`);
//! what is near full, and whether a figure is fresh enough to conclude anything from it, is judged by the causes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::bounds::{ITEMS, NAME, WORD, cut, is_name};
use super::disk_trend::DiskTrend;
use super::kube::PersistentVolumeClaim;

/// Most nodes of one cluster whose figures are kept; those of further ones are not, and are unknown.
pub const MAX_NODES: usize = 10_000;

/// What was read longer ago than this says nothing of now: three times as long as an agent is silent about a node where
/// nothing moves.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// From so many thousandths in use on it is followed how fast a volume fills: what is emptier is nobody's trouble, and there may be
/// millions.
const FOLLOWED: u64 = 700;

/// The newest figures of every node, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeasuredNodes(BTreeMap<String, MeasuredNode>);

/// The newest figures of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredNode {
    /// When its agent read them.
    pub at: Timestamp,
    /// The conditions that say that it runs short of something, such as `DiskPressure`; `None` where they are not known.
    pub pressures: Option<Vec<Pressure>>,
    /// The node's own file system.
    pub node_filesystem: Filesystem,
    /// Where container images are; it may be the same one.
    pub image_filesystem: Filesystem,
    /// Volumes of claims.
    pub volumes: Vec<Volume>,
    /// Its memory. No cause reads it: it is shown.
    #[serde(default)]
    pub memory: Memory,
    /// Containers that are near their memory limit, the nearest first, as its agent chose them. They are shown alone, too.
    #[serde(default)]
    pub near_limit: Vec<NearLimit>,
    /// How fast its volumes fill, by namespace and claim.
    #[serde(skip)]
    trend: DiskTrend,
}

/// The memory of a node; what is `None` was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes that can still be had.
    pub available: Option<u64>,
    /// Bytes that cannot be taken back from those who use them.
    pub working_set: Option<u64>,
}

/// A container that is near its memory limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearLimit {
    /// Namespace of its pod.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub container: String,
    /// Bytes that it uses and that cannot be taken back from it.
    pub working_set: u64,
    /// Bytes that it may use.
    pub limit: u64,
}

/// A condition of a node that is True and says that it runs short of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// Which, such as `DiskPressure`.
    pub condition: String,
    /// Why, in the kubelet's word.
    pub reason: String,
}

/// The figures of a file system; what is `None` was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filesystem {
    /// Bytes in all.
    pub capacity: Option<u64>,
    /// Bytes that can still be had.
    pub available: Option<u64>,
    /// Inodes in all.
    pub inodes: Option<u64>,
    /// Inodes that can still be had.
    pub inodes_free: Option<u64>,
}

/// The volume of a claim, as one of the nodes that use it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The claim's namespace.
    pub namespace: String,
    /// The claim's name.
    pub claim: String,
    /// A pod of that node which uses it.
    pub pod: String,
    /// Its figures.
    pub filesystem: Filesystem,
    /// It is a part of the node's own file system, without a size of its own.
    pub on_node_filesystem: bool,
}

impl MeasuredNodes {
    /// Takes the figures of a node; true when a figure is news.
    pub(super) fn put(&mut self, told: &v1::NodeMeasured, observed_at: Timestamp) -> bool {
        let is_known = self.0.contains_key(&told.node);
        if told.node.is_empty() || (!is_known && self.0.len() >= MAX_NODES) {
            return false;
        }
        let mut node = MeasuredNode::of(told, observed_at);
        let mut before = self.0.remove(&told.node);
        let trend = before.as_mut().map(|before| std::mem::take(&mut before.trend)).unwrap_or_default();
        let is_news = !before.is_some_and(|before| node.is_judged_as(before));
        node.follow(trend);
        self.0.insert(told.node.clone(), node);
        is_news
    }

    /// Drops the figures of nodes that are no longer there.
    pub(super) fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|node, _| is_there(node));
    }

    /// A node's figures, whenever they were read.
    pub fn node(&self, name: &str) -> Option<&MeasuredNode> {
        self.0.get(name)
    }

    /// All nodes with their figures, whenever they were read, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MeasuredNode)> {
        self.0.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// What each node that uses this claim sees of its volume: the node, when, and the volume.
    pub fn of_claim<'a>(
        &'a self,
        namespace: &'a str,
        claim: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a MeasuredNode, &'a Volume)> {
        self.iter().flat_map(move |(name, node)| {
            let wanted = move |volume: &&Volume| volume.namespace == namespace && volume.claim == claim;
            node.volumes.iter().filter(wanted).map(move |volume| (name, node, volume))
        })
    }
}

impl MeasuredNode {
    fn of(told: &v1::NodeMeasured, at: Timestamp) -> Self {
        let about = || told.conditions.iter().filter(|c| c.r#type.ends_with("Pressure"));
        let pressures = about().filter(|c| c.status == "True");
        // One that is neither True nor False says nothing, and so does a node without any.
        let is_known = about().any(|c| c.status == "True")
            || (about().next().is_some() && about().all(|c| c.status == "False"));
        let pressure =
            |c: &v1::NodeCondition| Pressure { condition: c.r#type.clone(), reason: c.reason.clone() };
        Self {
            at,
            pressures: is_known.then(|| pressures.map(pressure).collect()),
            node_filesystem: filesystem(told.node_filesystem.as_ref()),
            image_filesystem: filesystem(told.image_filesystem.as_ref()),
            volumes: told.volumes.iter().map(volume).collect(),
            memory: told.memory.as_ref().map_or_else(Memory::default, memory),
            near_limit: told.containers.iter().map(near_limit).collect(),
            trend: DiskTrend::default(),
        }
    }

    /// Goes on from what was followed before: those volumes that are past [`FOLLOWED`].
    fn follow(&mut self, mut trend: DiskTrend) {
        let is_followed = |volume: &&Volume| {
            !volume.on_node_filesystem
                && volume.filesystem.used_permille().is_some_and(|used| used >= FOLLOWED)
        };
        let figures: Vec<(String, u64)> = self
            .volumes
            .iter()
            .filter(is_followed)
            .filter_map(|volume| Some((volume.key(), volume.filesystem.available?)))
            .collect();
        let figures: Vec<(&str, u64)> = figures.iter().map(|(key, left)| (key.as_str(), *left)).collect();
        trend.take(self.at, &figures);
        self.trend = trend;
    }

    /// Over how long a volume was seen to fill, and in how long it is full at that pace. `None` where it does not fill, or was not
    /// followed for long enough.
    pub fn fill_pace(&self, volume: &Volume) -> Option<(SignedDuration, SignedDuration)> {
        self.trend.pace(&volume.key(), volume.filesystem.available?, self.at)
    }

    /// Would every cause say the same of both? When they were read, memory and containers are kept and are no news by
    /// themselves: a cluster where nothing else moves is not assessed again.
    fn is_judged_as(&self, before: Self) -> bool {
        *self == Self { at: self.at, memory: self.memory, near_limit: self.near_limit.clone(), ..before }
    }

    /// Were they read lately enough to say something of now?
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= FRESH
    }
}

impl Volume {
    /// Does this figure, read at that moment, say how full the claim's volume is? Not of a raw block device (most drivers tell its size
    /// and nothing else, which reads as full), of one that nobody writes to, of a part of the node's own file system, and of another
    /// claim of the same name.
    pub fn tells_of(&self, claim: &PersistentVolumeClaim, at: Timestamp) -> bool {
        // An agent that does not tell the mode: a raw device has nothing available and no inodes.
        let is_raw = match claim.volume_mode.as_str() {
            "" => self.filesystem.available == Some(0) && self.filesystem.inodes == Some(0),
            mode => mode != "Filesystem",
        };
        let is_of_it = claim.meta.created_at.is_none_or(|made| made <= at);
        is_of_it && !is_raw && !claim.is_only_read() && !self.on_node_filesystem
    }

    /// By what it is followed.
    fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.claim)
    }
}

impl Memory {
    /// Bytes in all. A kubelet reckons what is available as what there is without the working set, so both together are it.
    pub fn capacity(&self) -> Option<u64> {
        self.available?.checked_add(self.working_set?)
    }
}

impl NearLimit {
    /// How much of its limit it uses, in thousandths; more than 1000 where it is above it, 0 without a limit.
    pub fn used_permille(&self) -> u64 {
        let share = (u128::from(self.working_set) * 1_000).checked_div(u128::from(self.limit)).unwrap_or(0);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

impl Filesystem {
    /// Bytes in use; `None` where that is not known.
    pub fn used(&self) -> Option<u64> {
        self.capacity?.checked_sub(self.available?)
    }

    /// How much of its bytes is in use, in thousandths; `None` where that is not known: not measured, no capacity, or more
    /// available than there is.
    pub fn used_permille(&self) -> Option<u64> {
        permille(self.capacity, self.available)
    }

    /// The same for its inodes. A file system that has no fixed number of them, such as btrfs, says 0: not known, and no
    /// bound either.
    pub fn inodes_used_permille(&self) -> Option<u64> {
        permille(self.inodes, self.inodes_free)
    }
}

fn permille(all: Option<u64>, left: Option<u64>) -> Option<u64> {
    let (all, left) = (all?, left?);
    let used = all.checked_sub(left)?;
    let share = (u128::from(used) * 1_000).checked_div(u128::from(all))?;
    u64::try_from(share).ok()
}

fn filesystem(told: Option<&v1::MeasuredFilesystem>) -> Filesystem {
    told.map_or_else(Filesystem::default, |told| Filesystem {
        capacity: told.capacity_bytes,
        available: told.available_bytes,
        inodes: told.inodes,
        inodes_free: told.inodes_free,
    })
}

fn volume(told: &v1::MeasuredVolume) -> Volume {
    Volume {
        namespace: told.namespace.clone(),
        claim: told.claim.clone(),
        pod: told.pod.clone(),
        filesystem: filesystem(told.filesystem.as_ref()),
        on_node_filesystem: told.on_node_filesystem,
    }
}

fn memory(told: &v1::MeasuredMemory) -> Memory {
    Memory { available: told.available_bytes, working_set: told.working_set_bytes }
}

fn near_limit(told: &v1::MeasuredContainer) -> NearLimit {
    NearLimit {
        namespace: told.namespace.clone(),
        pod: told.pod.clone(),
        container: told.container.clone(),
        working_set: told.working_set_bytes,
        limit: told.limit_bytes,
    }
}

/// Cuts what is too long; false where it names no node that can be.
pub(super) fn bound(node: &mut v1::NodeMeasured) -> bool {
    node.conditions.truncate(ITEMS);
    for condition in &mut node.conditions {
        for text in [&mut condition.r#type, &mut condition.status, &mut condition.reason] {
            cut(text, WORD);
        }
    }
    node.volumes.truncate(ITEMS);
    for volume in &mut node.volumes {
        for text in [&mut volume.namespace, &mut volume.claim, &mut volume.pod] {
            cut(text, NAME);
        }
    }
    node.containers.truncate(ITEMS);
    for container in &mut node.containers {
        for text in [&mut container.namespace, &mut container.pod, &mut container.container] {
            cut(text, NAME);
        }
    }
    !node.node.is_empty() && is_name(&node.node, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_known_only_where_both_figures_are_and_make_sense() {
        let of =
            |capacity, available| Filesystem { capacity, available, ..Default::default() }.used_permille();
        for (capacity, available, used) in [
            (Some(1_000), Some(100), Some(900)),
            (Some(1_000), Some(0), Some(1_000)),
            (Some(u64::MAX), Some(0), Some(1_000)),
            (Some(0), Some(0), None),
            (Some(10), Some(11), None),
            (None, Some(0), None),
            (Some(10), None, None),
        ] {
            assert_eq!(of(capacity, available), used, "{capacity:?} {available:?}");
        }
        let full = Filesystem { inodes: Some(100), inodes_free: Some(0), ..Default::default() };
        assert_eq!((full.inodes_used_permille(), full.used_permille()), (Some(1_000), None));
    }

    #[test]
    fn conditions_that_were_not_read_are_not_taken_for_no_pressure() {
        let of = |conditions: &[(&str, &str)]| {
            let condition = |(kind, status): &(&str, &str)| v1::NodeCondition {
                r#type: (*kind).into(),
                status: (*status).into(),
                ..Default::default()
            };
            let conditions = conditions.iter().map(condition).collect();
            let told = v1::NodeMeasured { node: "a".into(), conditions, ..Default::default() };
            let pressures = MeasuredNode::of(&told, Timestamp::UNIX_EPOCH).pressures;
            pressures.map(|all| all.into_iter().map(|one| one.condition).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("Ready", "True")]), None);
        assert_eq!(of(&[("DiskPressure", "Unknown"), ("PIDPressure", "False")]), None);
        assert_eq!(of(&[("Ready", "True"), ("DiskPressure", "False")]), Some(vec![]));
        assert_eq!(
            of(&[("DiskPressure", "True"), ("PIDPressure", "Unknown")]),
            Some(vec!["DiskPressure".into()])
        );
    }

    #[test]
    fn the_figures_of_a_node_that_is_gone_go_and_no_more_than_so_many_are_kept() {
        let mut nodes = MeasuredNodes::default();
        let told = |node: &str| v1::NodeMeasured { node: node.into(), ..Default::default() };
        for n in 0..=MAX_NODES {
            assert_eq!(nodes.put(&told(&format!("n{n}")), Timestamp::UNIX_EPOCH), n < MAX_NODES);
        }
        nodes.keep_only(|node| node == "n7");
        assert_eq!(nodes.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["n7"]);
        assert!(!bound(&mut told("")) && !bound(&mut told(&"n".repeat(NAME + 1))) && bound(&mut told("a")));
    }

    #[test]
    fn memory_and_containers_are_kept_the_latest_alone_and_are_no_news_to_the_causes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let told = |working_set: u64, volumes| v1::NodeMeasured {
            node: "a".into(),
            memory: Some(v1::MeasuredMemory {
                available_bytes: Some(1_000 - working_set),
                working_set_bytes: Some(working_set),
                ..Default::default()
            }),
            containers: vec![v1::MeasuredContainer {
                container: "c".repeat(NAME + 1),
                working_set_bytes: working_set,
                limit_bytes: 1_000,
                ..Default::default()
            }],
            volumes,
            ..Default::default()
        };
        let mut nodes = MeasuredNodes::default();
        assert!(nodes.put(&told(850, vec![]), at(1)), "a node that was not known");
        assert!(!nodes.put(&told(900, vec![]), at(2)), "memory moved, and nothing that a cause reads");
        let node = nodes.node("a").unwrap();
        assert_eq!(
            (node.at, node.memory.working_set, node.memory.capacity()),
            (at(2), Some(900), Some(1_000))
        );
        assert_eq!(node.near_limit.iter().map(NearLimit::used_permille).collect::<Vec<_>>(), [900]);
        assert!(nodes.put(&told(900, vec![v1::MeasuredVolume::default()]), at(3)), "a volume is news");
        assert_eq!(Memory { available: Some(u64::MAX), working_set: Some(1) }.capacity(), None);
        assert_eq!(Memory { available: None, working_set: Some(1) }.capacity(), None);

        let mut long = told(1, vec![]);
        assert!(bound(&mut long));
        assert_eq!(long.containers[0].container.len(), NAME);
    }

    #[test]
    fn what_was_kept_before_memory_was_is_still_read() {
        let mut nodes = MeasuredNodes::default();
        nodes.put(&v1::NodeMeasured { node: "a".into(), ..Default::default() }, Timestamp::UNIX_EPOCH);
        let mut kept = serde_json::to_value(&nodes).unwrap();
        for added in ["memory", "near_limit"] {
            assert!(kept["a"].as_object_mut().unwrap().remove(added).is_some());
        }
        assert_eq!(serde_json::from_value::<MeasuredNodes>(kept).unwrap(), nodes);
    }
}
