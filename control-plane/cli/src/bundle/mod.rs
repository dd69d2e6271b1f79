//! The support bundle: what a maintainer needs of an installation, without its secrets.
//!
//! [`parts`] lists what is asked for, [`gather`] asks part by part and takes the secrets out of each answer before it asks
//! for the next, [`pack`] makes the archive. Nothing that was not redacted is written anywhere: answers are in memory
//! alone until then. A part that cannot be had is a line in the manifest and not the end.

pub mod gather;
pub mod manifest;
pub mod pack;
pub mod parts;
mod piece;
mod questions;
mod run;

use std::time::Duration;

/// Most bytes of a part once it is redacted; the rest is cut at a line, and the manifest says so.
pub const MOST_OF_A_PART: usize = 4 << 20;
/// Most bytes of all parts together; further ones are left out by name.
pub const MOST: usize = 64 << 20;
/// Most bytes of what a program prints that are read.
pub const MOST_PRINTED: usize = 16 << 20;
/// Longest wait for one part, and for its secrets to be taken out.
pub const LONGEST: Duration = Duration::from_secs(30);
/// Most pods whose logs are read, and how many lines of each.
pub const MOST_PODS: usize = 50;
/// Lines of each log.
pub const LINES: usize = 500;
/// How many of the newest incidents, jobs and approvals are asked for.
pub const NEWEST: u32 = 100;
/// Most files of `/etc/nimbus`, and the most bytes of one.
pub const MOST_FILES: usize = 50;
