//! The control plane's decisions, as pure functions of a snapshot and `now`.
//!
//! Facts come in as observations ([`world`]), decisions go out as values ([`model::ChangeSet`], [`remediation::UnsignedJob`]).
//! Nothing here reads a clock, draws a random number, opens a file or a socket; the same input always gives the
//! same output, so a whole decision can be replayed from one value.
#![deny(missing_docs)]
// A new action, cause or kind must be answered by every room: no wildcard may answer for it.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod approval;
pub mod assessment;
pub mod attestation;
pub mod audit;
pub mod calendar;
pub mod causes;
pub mod check;
pub mod cluster_binding;
pub mod connected_agents;
pub mod directory;
pub mod drift;
mod fit;
pub mod gateway;
pub mod investigation;
pub mod leadership;
pub mod living;
pub mod model;
pub mod nodes;
pub mod quorum;
pub mod remediation;
pub mod remedies;
pub mod rulebook;
pub mod rules;
pub mod safety;
pub mod settings;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod unsolicited_reports;
pub mod verdict;
pub mod world;

pub use settings::Settings;
pub use snapshot::Snapshot;
pub use world::World;
