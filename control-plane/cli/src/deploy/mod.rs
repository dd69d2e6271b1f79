//! What `nimbus enterprise deploy` does to the world: it asks, writes the directory of an installation, and runs the
//! programs of its steps. What is planned and in which order is decided by `nimbus_deploy`.

pub mod around;
pub mod ask;
pub mod charts;
mod contexts;
pub mod directory;
pub mod forward;
mod keys;
mod look;
pub mod outside;
mod pods;
mod program;
pub mod shell;
mod terraform;
mod way;
