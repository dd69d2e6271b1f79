//! What a kubelet measured on its node becomes one observation, and the decision when that is worth sending.
//!
//! Only the agent's own node is told. What was not measured stays absent: it is unknown, and not zero. Of volumes those of
//! claims are told, of containers those near their limit; what else is in a summary stays on the node.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use serde::Deserialize;

use super::host::{AT_LEAST_EVERY, SHARE_PERMILLE};
use super::summary::{FsStats, PodStats, Summary, VolumeStats};

/// Volumes that are told, the fullest; those beyond are counted.
pub const MAX_VOLUMES: usize = 256;
/// Containers that are told, those nearest to their limit.
pub const MAX_CONTAINERS: usize = 50;
/// Conditions of the node that are told.
pub const MAX_CONDITIONS: usize = 64;
/// A container is told from this many thousandths of its memory limit on.
pub const NEAR_LIMIT_PERMILLE: u64 = 800;
/// Longest reason of a condition, in characters.
const MAX_REASON: usize = 128;

/// Why a summary is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Another node's.
    #[error(
        "expected what the kubelet of this agent's node {own} measured, found a summary of node {found}: nothing of it is \
         reported; check that the agent's NIMBUS_NODE and NIMBUS_NODE_IP are of one node"
    )]
    Other {
        /// The agent's node.
        own: String,
        /// Whose it is.
        found: String,
    },
}

/// The part of a Node object that is read beside the summary: its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeObject {
    status: NodeStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct NodeStatus {
    conditions: Vec<NodeCondition>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct NodeCondition {
    r#type: String,
    status: String,
    reason: String,
}

/// Is this the summary of `own` node?
pub fn is_ours(own: &str, summary: &Summary) -> Result<(), NotOurs> {
    if summary.node.node_name == own {
        return Ok(());
    }
    // What is no name may be anything, also what an unverified peer was sent.
    let found = &summary.node.node_name;
    let is_told = found.is_empty() || is_name(found);
    let found = if is_told { format!("{found:?}") } else { "something that is no name".to_owned() };
    Err(NotOurs::Other { own: own.to_owned(), found })
}

/// Is it a name as Kubernetes has it for nodes, pods, claims, containers and namespaces? Nothing else is told of them.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fits)
}

/// The observation of `own` node; `None` where nothing of it could be read. `summary` is its kubelet's, `object` the Node
/// itself; each is `None` where it could not be read, and what it would say is unknown then.
pub fn measured(
    own: &str,
    summary: Option<&Summary>,
    object: Option<&NodeObject>,
) -> Result<Option<v1::NodeMeasured>, NotOurs> {
    let conditions = object.map(conditions);
    let Some(summary) = summary else {
        let alone = |conditions| v1::NodeMeasured { node: own.to_owned(), conditions, ..Default::default() };
        return Ok(conditions.map(alone));
    };
    is_ours(own, summary)?;
    let pods = &summary.pods.entries;
    let node = &summary.node;
    let swap = node.swap.as_ref();
    let memory = node.memory.as_ref().map(|memory| v1::MeasuredMemory {
        available_bytes: memory.available_bytes,
        working_set_bytes: memory.working_set_bytes,
        swap_used_bytes: swap.and_then(|swap| swap.swap_usage_bytes),
        swap_available_bytes: swap.and_then(|swap| swap.swap_available_bytes),
    });
    let (volumes, volumes_left_out) = volumes(pods, node.fs.as_ref());
    let count = |of: Option<i64>| of.and_then(|count| u64::try_from(count).ok());
    let rlimit = node.rlimit.as_ref();
    Ok(Some(v1::NodeMeasured {
        node: own.to_owned(),
        conditions: conditions.unwrap_or_default(),
        memory,
        node_filesystem: node.fs.as_ref().map(filesystem),
        image_filesystem: node.runtime.as_ref().and_then(|of| of.image_fs.as_ref()).map(filesystem),
        processes: count(rlimit.and_then(|of| of.curproc)),
        most_processes: count(rlimit.and_then(|of| of.maxpid)),
        volumes,
        volumes_left_out,
        containers: containers(pods),
        pods: number(pods.len()),
        pods_left_out: number(summary.pods.left_out),
    }))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn conditions(object: &NodeObject) -> Vec<v1::NodeCondition> {
    let condition = |one: &NodeCondition| v1::NodeCondition {
        r#type: one.r#type.chars().take(MAX_REASON).collect(),
        status: one.status.chars().take(MAX_REASON).collect(),
        reason: one.reason.chars().take(MAX_REASON).collect(),
    };
    object.status.conditions.iter().take(MAX_CONDITIONS).map(condition).collect()
}

fn filesystem(of: &FsStats) -> v1::MeasuredFilesystem {
    v1::MeasuredFilesystem {
        capacity_bytes: of.capacity_bytes,
        available_bytes: of.available_bytes,
        inodes: of.inodes,
        inodes_free: of.inodes_free,
    }
}

/// The volumes of claims, the fullest first, and how many are left out. One that two pods use is told once.
fn volumes(pods: &[PodStats], own: Option<&FsStats>) -> (Vec<v1::MeasuredVolume>, u32) {
    let with_pods = pods.iter().flat_map(|pod| pod.volume.entries.iter().map(move |volume| (pod, volume)));
    let mut all: Vec<v1::MeasuredVolume> =
        with_pods.filter_map(|(pod, volume)| told(pod, volume, own)).collect();
    all.sort_by(|a, b| (&a.namespace, &a.claim, &a.pod).cmp(&(&b.namespace, &b.claim, &b.pod)));
    all.dedup_by(|a, b| (&a.namespace, &a.claim) == (&b.namespace, &b.claim));
    all.sort_by_key(|volume| std::cmp::Reverse(volume.filesystem.as_ref().and_then(fullness)));
    // Which of those that were not read are of claims is not known.
    let unread: usize = pods.iter().map(|pod| pod.volume.left_out).sum();
    let left_out = all.len().saturating_sub(MAX_VOLUMES) + unread;
    all.truncate(MAX_VOLUMES);
    (all, number(left_out))
}

/// A volume of a pod; `None` where no claim is behind it.
fn told(pod: &PodStats, volume: &VolumeStats, own: Option<&FsStats>) -> Option<v1::MeasuredVolume> {
    let claim = volume.pvc_ref.as_ref()?;
    if ![&claim.namespace, &claim.name, &pod.pod_ref.name].into_iter().all(|name| is_name(name)) {
        return None;
    }
    Some(v1::MeasuredVolume {
        namespace: claim.namespace.clone(),
        claim: claim.name.clone(),
        pod: pod.pod_ref.name.clone(),
        filesystem: Some(filesystem(&volume.fs())),
        on_node_filesystem: own.is_some_and(|own| is_the_same(own, &volume.fs())),
    })
}

/// Is a volume a directory of the node's own file system? Then it has that one's size in bytes and in inodes; that another
/// disk is of the same size in both, byte for byte and inode for inode, would need that to be made so.
fn is_the_same(own: &FsStats, volume: &FsStats) -> bool {
    let sizes = |of: &FsStats| of.capacity_bytes.zip(of.inodes).filter(|(bytes, _)| *bytes > 0);
    sizes(own).is_some() && sizes(own) == sizes(volume) && {
        let free = |of: &FsStats| of.inodes_free.zip(of.available_bytes);
        let near = |a: u64, b: u64, all: u64| u128::from(a.abs_diff(b)) * 100 <= u128::from(all);
        // Both are read at different times: within a hundredth of the whole.
        free(own).zip(free(volume)).zip(sizes(own)).is_some_and(|((own, volume), (bytes, inodes))| {
            near(own.0, volume.0, inodes) && near(own.1, volume.1, bytes)
        })
    }
}

/// In thousandths, of bytes or of inodes, whichever is more.
fn fullness(of: &v1::MeasuredFilesystem) -> Option<u64> {
    let bytes = permille(of.capacity_bytes, of.available_bytes);
    bytes.max(permille(of.inodes, of.inodes_free))
}

fn permille(all: Option<u64>, left: Option<u64>) -> Option<u64> {
    let used = all?.checked_sub(left?)?;
    (u128::from(used) * 1_000).checked_div(u128::from(all?)).and_then(|share| u64::try_from(share).ok())
}

/// The containers near their memory limit. A kubelet says what is left of a limit, and says it only where there is one.
fn containers(pods: &[PodStats]) -> Vec<v1::MeasuredContainer> {
    let all =
        pods.iter().flat_map(|pod| pod.containers.entries.iter().map(move |container| (pod, container)));
    let near = all.filter_map(|(pod, container)| {
        let memory = container.memory.as_ref()?;
        let (used, left) = memory.working_set_bytes.zip(memory.available_bytes)?;
        let limit = used.checked_add(left).filter(|limit| *limit > 0)?;
        let share = permille(Some(limit), Some(left))?;
        let named = [&pod.pod_ref.namespace, &pod.pod_ref.name, &container.name];
        (share >= NEAR_LIMIT_PERMILLE && named.into_iter().all(|name| is_name(name))).then(|| {
            let told = v1::MeasuredContainer {
                namespace: pod.pod_ref.namespace.clone(),
                pod: pod.pod_ref.name.clone(),
                container: container.name.clone(),
                working_set_bytes: used,
                limit_bytes: limit,
            };
            (share, told)
        })
    });
    let mut near: Vec<_> = near.collect();
    near.sort_by(|(a, one), (b, other)| {
        let name = |of: &v1::MeasuredContainer| (of.namespace.clone(), of.pod.clone(), of.container.clone());
        b.cmp(a).then_with(|| name(one).cmp(&name(other)))
    });
    near.truncate(MAX_CONTAINERS);
    near.into_iter().map(|(_, told)| told).collect()
}

/// Decides which observations are worth sending: when how full a file system is left its step of [`SHARE_PERMILLE`], when a
/// volume came or went, when a condition changed, and after [`AT_LEAST_EVERY`] anyway.
#[derive(Debug, Default)]
pub struct MeasuredSender {
    sent: Option<(Timestamp, v1::NodeMeasured)>,
}

impl MeasuredSender {
    /// The observation to send, or `None` while nothing changed enough.
    pub fn offer(&mut self, told: v1::NodeMeasured, now: Timestamp) -> Option<v1::NodeMeasured> {
        if let Some((at, before)) = &self.sent {
            let age = now.duration_since(*at);
            // A negative age is a clock that was set back: then age says nothing.
            let quiet = age >= SignedDuration::ZERO && age < AT_LEAST_EVERY;
            if quiet && steps(before) == steps(&told) {
                return None;
            }
        }
        self.sent = Some((now, told.clone()));
        Some(told)
    }

    /// Sends the next one whatever it says: the control plane has nothing to compare with.
    pub fn reset(&mut self) {
        self.sent = None;
    }
}

/// What is compared: conditions word by word, and file systems in steps of [`SHARE_PERMILLE`]. Memory moves all the time and
/// decides nothing; it goes along with the rest.
type Steps = (Vec<v1::NodeCondition>, [Option<u64>; 2], Vec<(String, String, Option<u64>)>);

fn steps(of: &v1::NodeMeasured) -> Steps {
    let step =
        |of: Option<&v1::MeasuredFilesystem>| of.and_then(fullness).map(|share| share / SHARE_PERMILLE);
    let mut volumes: Vec<_> = of
        .volumes
        .iter()
        .map(|one| (one.namespace.clone(), one.claim.clone(), step(one.filesystem.as_ref())))
        .collect();
    volumes.sort();
    let own = [step(of.node_filesystem.as_ref()), step(of.image_filesystem.as_ref())];
    (of.conditions.clone(), own, volumes)
}
