//! What is read of a kubelet's `/stats/summary`. Every field may be missing: then the figure is not known.

use serde::Deserialize;

use super::kept::Kept;

/// Pods of a summary that are read; those beyond are counted. A kubelet runs 110 by default.
pub const MAX_PODS: usize = 500;
/// Containers of one pod that are read; those beyond are not told.
const MAX_CONTAINERS_EACH: usize = 100;
/// Volumes of one pod that are read, ConfigMaps and Secrets among them; those beyond are counted.
const MAX_VOLUMES_EACH: usize = 100;

/// The answer of a kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The node itself.
    pub node: NodeStats,
    /// Its pods.
    pub pods: Kept<PodStats, MAX_PODS>,
}

/// The node itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStats {
    /// Its name.
    pub node_name: String,
    /// Memory of the whole node.
    pub memory: Option<MemoryStats>,
    /// Swap of the whole node; kubelets before 1.28 do not say it.
    pub swap: Option<SwapStats>,
    /// The file system of the kubelet's own directory.
    pub fs: Option<FsStats>,
    /// What the container runtime has.
    pub runtime: Option<RuntimeStats>,
    /// Process ids.
    pub rlimit: Option<RlimitStats>,
}

/// Memory, of a node or of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MemoryStats {
    /// What is left: of a container, of its limit. A container without a limit has none.
    pub available_bytes: Option<u64>,
    /// What cannot be taken away.
    pub working_set_bytes: Option<u64>,
}

/// Swap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SwapStats {
    /// What is left.
    pub swap_available_bytes: Option<u64>,
    /// What is in use.
    pub swap_usage_bytes: Option<u64>,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FsStats {
    /// Bytes that can still be had.
    pub available_bytes: Option<u64>,
    /// Bytes in all.
    pub capacity_bytes: Option<u64>,
    /// Inodes that can still be had.
    pub inodes_free: Option<u64>,
    /// Inodes in all.
    pub inodes: Option<u64>,
}

/// What the container runtime has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuntimeStats {
    /// The file system of its images.
    pub image_fs: Option<FsStats>,
}

/// Process ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RlimitStats {
    /// How many there may be.
    pub maxpid: Option<i64>,
    /// How many there are.
    pub curproc: Option<i64>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStats {
    /// Which.
    pub pod_ref: Ref,
    /// Its containers.
    pub containers: Kept<ContainerStats, MAX_CONTAINERS_EACH>,
    /// Its volumes; ConfigMaps, Secrets and emptyDirs among them.
    pub volume: Kept<VolumeStats, MAX_VOLUMES_EACH>,
}

/// A name in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ref {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Its name.
    pub name: String,
    /// Its memory.
    pub memory: Option<MemoryStats>,
}

/// A volume of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeStats {
    /// The claim behind it, if there is one.
    pub pvc_ref: Option<Ref>,
    // The figures of its file system, one by one: what is flattened is kept whole while it is read, whatever it is.
    available_bytes: Option<u64>,
    capacity_bytes: Option<u64>,
    inodes_free: Option<u64>,
    inodes: Option<u64>,
}

impl VolumeStats {
    /// Its file system.
    pub fn fs(&self) -> FsStats {
        FsStats {
            available_bytes: self.available_bytes,
            capacity_bytes: self.capacity_bytes,
            inodes_free: self.inodes_free,
            inodes: self.inodes,
        }
    }
}
