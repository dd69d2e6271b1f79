//! Tests of a control plane from outside, over loopback and on SQLite in temporary directories. They are one binary
//! because linking costs more than running.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod cluster;
mod cluster_binding;
mod common;
mod garbage;
mod gateway;
mod heal;
mod hostile;
mod join_token;
mod pauses;
mod pods;
mod service;
mod skew;
mod startup;
mod trouble;
