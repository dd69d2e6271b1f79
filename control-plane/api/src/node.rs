//! The nodes of a cluster.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ClusterAgent, Incident, NodeFigures, ObjectRef, words};

/// Most pods of one node that are shown: more than any kubelet takes by default.
pub const SHOWN_PODS: usize = 500;

/// A node that the leading agent of its cluster has listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// UID of the Node object.
    pub id: String,
    /// When that object was made; the beginning of 1970 where its agent does not say.
    pub created_at: Timestamp,
    /// Its name.
    pub name: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its cluster's UID.
    pub cluster_uid: String,
    /// Always `node`.
    pub kind: String,
    /// Whether it is ready, as the cluster's leading agent sees it now.
    #[schema(value_type = words::NodeState)]
    pub state: String,
    /// Why it is not ready, or why that is not known; empty where it is ready.
    pub reason: String,
    /// When its Ready condition last changed; `null`: not known.
    pub since: Option<Timestamp>,
    /// True while it is cordoned: the scheduler gives it no pods.
    pub cordoned: bool,
    /// The job of Nimbus that keeps it from new pods, by a taint or a cordon; `null`: none does.
    pub held_by: Option<String>,
    /// Is it part of the cluster's own control plane?
    pub control_plane: bool,
    /// Its pods, those that ran to their end left out; `null` where not every pod of the cluster is known.
    pub pods: Option<u32>,
    /// Those of its pods that are ready.
    pub pods_ready: Option<u32>,
    /// Incidents about it or its pods that are not resolved.
    pub open_incidents: u32,
    /// The latest figures that its kubelet measured.
    pub figures: NodeFigures,
}

/// A node with what is on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeDetail {
    /// The node as lists show it.
    #[serde(flatten)]
    pub node: Node,
    /// Its taints, each as `key=value:Effect`; `null` where its agent does not say them.
    pub taints: Option<Vec<String>>,
    /// Marks of others that are at work on it, in words.
    pub marks: Vec<String>,
    /// Until when the taint of `held_by` may stay; `null`: it does not say so, or there is none.
    pub held_until: Option<Timestamp>,
    /// Thousandths of a processor that pods may ask for in all; `null`: not known.
    pub cpu_milli: Option<i64>,
    /// Bytes of memory that pods may ask for in all; `null`: not known.
    pub memory_bytes: Option<i64>,
    /// Pods that it takes in all; `null`: not known.
    pub most_pods: Option<i64>,
    /// The agents that run on it.
    pub agents: Vec<ClusterAgent>,
    /// The incidents of `open_incidents`, newest first.
    pub incidents: Vec<Incident>,
    /// Its pods, those that are not ready first; at most [`SHOWN_PODS`].
    pub pods_on_it: Vec<NodePod>,
    /// Pods that are not among `pods_on_it` for want of room.
    pub pods_left_out: u32,
}

/// A pod of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodePod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Pending`, `Running`, `Failed` or `Unknown`, as its status says.
    pub phase: String,
    /// Is it ready?
    pub ready: bool,
    /// Restarts of all its containers.
    pub restarts: u32,
    /// Why a container of it does not run, such as `CrashLoopBackOff`; empty where all run or nobody says.
    pub reason: String,
    /// Its controlling owner; `null`: nobody makes another one.
    pub owner: Option<ObjectRef>,
}
