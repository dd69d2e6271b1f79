//! What has to be true before an installation of Nimbus ([`preflight`]) and after it ([`doctor`]).
//!
//! Pure: each check is a plain function from a snapshot to an outcome, in a file of its own, and has one line in its list.
//! [`kubernetes`] reads what kubectl and helm printed, [`quic`] makes and reads the datagrams of a probe. Who runs programs,
//! opens sockets and reads clocks is the caller. What could not be read is *unknown* with its reason, never *pass*.

#![deny(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod address;
pub mod check;
pub mod clock;
pub mod doctor;
pub mod excess;
pub mod kubernetes;
pub mod listener;
pub mod needs;
pub mod preflight;
pub mod quantity;
pub mod quic;
pub mod report;
pub mod secrets;
pub mod version;

mod words;

#[cfg(test)]
mod tests;
