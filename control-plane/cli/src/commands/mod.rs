//! The subcommands of `nimbus`, one file each: flags, help and what the command does.

pub mod access;
pub mod agents;
pub mod approvals;
pub mod audit;
pub mod auth;
pub mod autonomous;
pub mod backup;
pub mod clusters;
pub mod completions;
pub mod doctor;
pub mod drift;
pub mod enterprise;
pub mod incidents;
pub mod jobs;
pub mod keys;
pub mod nodes;
pub mod outcome;
pub mod preflight;
pub mod resolve;
mod rules;
pub mod status;
pub mod support_bundle;
pub mod up;
pub mod verify_release;
pub mod version;

use crate::exit::Exit;

/// With `--exit-code`, whether a list found something.
fn found<T>(items: &[T], asked: bool) -> Exit {
    if asked && !items.is_empty() { Exit::Found } else { Exit::Done }
}
