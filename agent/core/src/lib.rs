//! The agent's decisions, without a clock, randomness, a file or a socket.
//!
//! One replica of many watches a cluster ([`election`]). What is seen becomes an observation ([`observe`]), is queued durably and in order ([`spool`]) and sent when the
//! session says so ([`session`]). A job that comes back is believed or refused ([`admit`], [`policy`],
//! [`preconditions`]) and remembered for good ([`journal`]). Effects are values; the daemon carries them out and
//! owns everything that can fail for a reason outside this process.
#![deny(missing_docs)]

pub mod admit;
pub mod election;
pub mod journal;
pub mod observe;
pub mod path;
pub mod policy;
pub mod preconditions;
mod record;
mod refusal;
pub mod session;
pub mod spool;

pub use refusal::{Code, Refusal};
