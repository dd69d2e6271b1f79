//! Helpers of the tests: literals for objects, and a control plane without sockets (`lab`).

pub(crate) mod lab;
pub(crate) mod objects;

use jiff::Timestamp;

/// Seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}
