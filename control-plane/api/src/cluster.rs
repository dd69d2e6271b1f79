//! The API's clusters: their health, and what Nimbus is enabled to do in them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

/// Most agents of a cluster that are shown with it; `agents_total` says how many there are.
pub const SHOWN_AGENTS: usize = 1_000;

/// Most nodes of a cluster that are shown with it; `nodes_left_out` says how many more there are.
pub const SHOWN_NODES: usize = 1_000;
/// Most containers of a cluster near their memory limit that are shown with it.
pub const SHOWN_CONTAINERS: usize = 100;

/// What is known of one node: the latest figures that its kubelet measured, as the agent on it read them. `null` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeFigures {
    /// The node's name.
    pub node: String,
    /// When its agent read them; `null`: they were never read, and nothing is known.
    pub measured_at: Option<Timestamp>,
    /// They were read too long ago to say anything of now.
    pub stale: bool,
    /// Bytes of memory in use that cannot be taken back.
    pub memory_used_bytes: Option<u64>,
    /// Bytes of memory in all.
    pub memory_bytes: Option<u64>,
    /// The node's own file system: bytes in use.
    pub disk_used_bytes: Option<u64>,
    /// The node's own file system: bytes in all.
    pub disk_bytes: Option<u64>,
    /// Where container images are, which may be the same file system: bytes in use.
    pub images_used_bytes: Option<u64>,
    /// Where container images are: bytes in all.
    pub images_bytes: Option<u64>,
    /// The conditions that say that it runs short of something, such as `DiskPressure`; `null` where they are not known.
    pub pressures: Option<Vec<String>>,
}

/// A container that was near its memory limit when its node was last measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerNearLimit {
    /// The node's name.
    pub node: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub container: String,
    /// Bytes of memory in use that cannot be taken back.
    pub memory_used_bytes: u64,
    /// Bytes of memory that it may use.
    pub memory_limit_bytes: u64,
}

/// One agent of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterAgent {
    /// `agt_…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its node, or the host that it says it runs on; empty before its first report.
    pub node: String,
    /// Whether it can be reached.
    #[schema(value_type = words::AgentState)]
    pub state: String,
    /// Its build; empty before its first report.
    pub version: String,
    /// The way of its session: `quic`, `tcp` or `tcp through proxy`; `null`: it is not connected.
    #[serde(default)]
    pub transport: Option<String>,
    /// True while it watches the cluster's objects.
    pub leading: bool,
    /// Why it is in that state: its first problem, or why it cannot be reached; empty when all is well.
    pub problem: String,
}

/// A cluster with its agents and its nodes' figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterDetail {
    /// The cluster as lists show it.
    #[serde(flatten)]
    pub cluster: Cluster,
    /// Its agents that are not revoked, by node; where they are more than [`SHOWN_AGENTS`], those with trouble before those without.
    #[serde(default)]
    pub agents: Vec<ClusterAgent>,
    /// The latest figures of its nodes, by name; where there are more than [`SHOWN_NODES`], those that run short of something
    /// before those that do not.
    #[serde(default)]
    pub node_figures: Vec<NodeFigures>,
    /// Nodes that are not among `node_figures` for want of room.
    #[serde(default)]
    pub nodes_left_out: u32,
    /// Its containers near their memory limit, the nearest first, at most [`SHOWN_CONTAINERS`]; none of a node whose figures
    /// are stale.
    #[serde(default)]
    pub near_memory_limit: Vec<ContainerNearLimit>,
    /// Containers near their limit that are not among `near_memory_limit` for want of room.
    #[serde(default)]
    pub near_memory_limit_left_out: u32,
}

/// A cluster that some agent watches, or watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// UID of its kube-system namespace.
    pub id: String,
    /// First seen.
    pub created_at: Timestamp,
    /// The operator's name for it.
    pub name: String,
    /// The name again, as every other item has it.
    pub cluster: String,
    /// `kubernetes`.
    pub kind: String,
    /// How it is.
    #[schema(value_type = words::Health)]
    pub state: String,
    /// Why it is so; empty when healthy.
    pub reason: String,
    /// How far Nimbus may go.
    #[schema(value_type = words::Mode)]
    pub mode: String,
    /// True while people have paused this cluster or the whole fleet: nothing new is begun here, whoever orders it.
    #[serde(default)]
    pub paused: bool,
    /// The remedies that are enabled.
    #[schema(value_type = Vec<words::Action>)]
    pub enabled: Vec<String>,
    /// Enrolled agents that watch it and are not revoked.
    pub agents_total: u32,
    /// Those of them that are connected.
    pub agents_connected: u32,
    /// The agent that watches its objects now.
    pub leader: Option<String>,
    /// Nodes; `null` while unknown.
    pub nodes: Option<u32>,
    /// Nodes that are ready; `null` while unknown.
    pub nodes_ready: Option<u32>,
    /// Pods; `null` while unknown.
    pub pods: Option<u32>,
    /// Pods that are ready; `null` while unknown.
    pub pods_ready: Option<u32>,
    /// Deployments; `null` while unknown.
    pub deployments: Option<u32>,
    /// Incidents that are not resolved.
    pub open_incidents: u32,
}

/// A cluster that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedCluster {
    /// UID of its kube-system namespace.
    pub id: String,
    /// First seen.
    pub created_at: Timestamp,
    /// The operator's name for it.
    pub name: String,
    /// Its agents, which are refused from now on.
    pub agents: u32,
    /// Those of them that watch files of their host, which nobody watches then: what differs there is over too.
    pub watch_files: u32,
    /// The join tokens that are for it alone, which are revoked.
    pub tokens: u32,
    /// Its incidents, which are over.
    pub incidents: u32,
    /// True where nothing was written.
    pub dry_run: bool,
}
