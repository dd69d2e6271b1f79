//! Jobs: signed orders and what became of them.

pub mod list;
pub mod show;
