//! What the agent watches: the host, its files and, while this replica leads, its cluster.

pub mod files;
pub mod host;
pub mod kube;
