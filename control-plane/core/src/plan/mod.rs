//! Plans: what is proposed ([`planner`]), whether it may go out now ([`safety`]), and an independent judge of both
//! ([`check`]).
//!
//! A plan says what it will change, why that may help, and what else was weighed and turned down.

pub mod attempts;
pub mod caps;
pub mod check;
mod digest;
pub(crate) mod files;
pub mod planner;
pub mod report;
mod restart;
mod rollback;
pub mod safety;

pub use digest::digest;
