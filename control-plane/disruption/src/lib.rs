//! Answers before a node is drained: can it finish, what stands in the way, which fewest changes would clear it, in which
//! rounds its pods would go, and in which order several nodes would.
//!
//! Everything here is a function of a [`Cluster`], which its caller read; nothing is asked, written or timed. Whatever the
//! caller could not tell makes the answer *not known*, and never *it finishes*.
//!
//! What is decided exactly, and checked against trying everything on small clusters (`tests/brute_force.rs`):
//! - which pods are in the way by themselves ([`Block`]), as the eviction API and the scheduler would have it;
//! - whether all pods that go find room at the same time, which is packing, and hard: the search gives up after
//!   [`MOST_STEPS`], and says so;
//! - the fewest [`Change`]s after which it would finish;
//! - the fewest rounds that the budgets leave.

mod block;
mod cluster;
mod drain;
mod order;
mod pack;
mod rounds;
mod unblock;

pub use block::Block;
pub use cluster::{Budget, Cluster, Goes, Node, Pod, Room, Says};
pub use drain::{Drain, Verdict, drain};
pub use order::{Order, order};
pub use pack::MOST_STEPS;
pub use unblock::Change;
