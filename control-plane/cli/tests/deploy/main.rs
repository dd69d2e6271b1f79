//! An installation is carried out, cut off at every program that it runs, gone on with, and undone.
//!
//! `kubectl`, `helm` and `nimbus` are scripts here. They stand for what these programs tell a caller: an exit code, nothing
//! for what was not made, and that a thing is there once it was made, with the mark that it was made with. With the real kubectl and helm on a real API
//! server it is played in `tests/tests/deploy_apply.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints know tests by their attribute, and these are what tests share"
)]

mod command;
mod killed;
mod preflight;
mod site;
mod steps;
mod theirs;
