//! The control plane's decisions, pure: plain functions of a snapshot and `now`.
//!
//! Facts come in as observations ([`world`]), decisions go out as values ([`model::ChangeSet`], [`heal::Order`]).
//! Nothing here reads a clock, draws a random number, opens a file or a socket; the same input always gives the
//! same output, so a whole decision can be replayed from one value.
#![deny(missing_docs)]

pub mod approval;
pub mod audit;
pub mod detect;
pub mod diagnose;
pub mod heal;
pub mod model;
pub mod plan;
pub mod rules;
pub mod settings;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod world;

pub use settings::Settings;
pub use snapshot::Snapshot;
pub use world::World;
