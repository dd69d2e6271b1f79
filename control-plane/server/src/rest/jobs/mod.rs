//! The endpoints of jobs: signed orders to agents, and how each ended.

pub mod list;
pub mod show;
