//! What the agent sees: the host, its watched files and, while it leads, its cluster.

pub mod files;
pub mod host;
pub mod kube;
