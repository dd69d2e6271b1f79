//! The endpoints of clusters.

pub mod drain;
pub mod list;
pub mod remove;
pub mod show;

/// What to do when there is no such cluster.
pub const REMEDY: &str = "`nimbus clusters list` shows those there are";
