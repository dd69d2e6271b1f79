//! The watchers of the agent: of the host, of its files, in a pod of what its kubelet measured and, while this replica leads,
//! of its cluster.

pub mod files;
pub mod host;
pub mod kube;
pub mod kubelet;
