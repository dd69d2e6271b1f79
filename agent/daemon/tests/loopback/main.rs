//! Tests of agents against a small test control plane, over real QUIC on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]
#![allow(clippy::disallowed_methods, reason = "certificates and jobs of a test are made at the real time")]

mod agent;
mod enrol;
mod last_words;
mod pauses;
mod plane;
mod service;
