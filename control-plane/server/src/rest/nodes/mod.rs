//! The endpoints of nodes.

pub mod list;
pub mod show;
