//! The control plane's decisions, pure: plain functions of a snapshot and `now`.

pub mod model;
