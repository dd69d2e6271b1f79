//! The agent's decisions, without a clock, randomness, a file or a socket.
//!
//! One of several replicas watches a cluster ([`election`]). What is seen becomes an observation ([`observe`]), is
//! queued durably and in order ([`spool`]) and sent when the session says so ([`session`]). A job that comes back is
//! believed or refused ([`admit`], [`policy`]) by the rules of its action ([`action`]) and remembered for good
//! ([`journal`]). Effects are values; the daemon carries them out and owns everything that can fail for a reason outside
//! this process.
#![deny(missing_docs)]
// A new action, kind or state must be answered by every room: no wildcard may answer for it.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod action;
pub mod admit;
pub mod clock;
pub mod election;
pub mod journal;
pub mod observe;
pub mod path;
pub mod pause;
pub mod policy;
mod record;
mod refusal;
pub mod session;
pub mod spool;
pub mod unit;

pub use refusal::{Code, Refusal};
