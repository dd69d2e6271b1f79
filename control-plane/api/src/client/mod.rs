//! The client of the REST API, with one method for each operation.
//!
//! It decides how to reach a control plane safely (no token over plain HTTP to another machine, no proxy for a
//! loopback address, no redirects, every answer bounded in time and size) and what a failure means
//! ([`ClientError`]). It leaves to its caller where address and token come from, how an answer looks, and
//! with which exit code a command ends.

mod error;
mod http;
mod operations;
mod pages;

pub use error::{ClientError, Silence};
pub use http::{Answer, Client, Export, LONG_TIMEOUT, MAX_ANSWER_BYTES, TIMEOUT};
pub use pages::collect;
