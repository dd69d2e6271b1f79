//! Helpers of the tests: literals for objects, and a control plane without sockets (`lab`).

pub(crate) mod lab;
pub(crate) mod objects;

use jiff::Timestamp;
use nimbus_protocol::v1;

pub(crate) use nimbus_protocol::action::Body as Order;

/// What a job orders.
pub(crate) fn order_of(job: &v1::Job) -> Option<Order> {
    nimbus_protocol::action::decode(&job.action)
}

/// Seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}
