//! An installation of Nimbus in a company's own infrastructure: from answers to files and steps, and through the steps.
//!
//! Pure: [`draft`] gathers answers from a file, flags and questions, [`read`] checks them all at once, [`plan`] makes the
//! files and the steps, [`drive`] decides what is run, resumed and undone. Who asks, writes and runs is the caller, behind
//! [`drive::Hands`].

#![deny(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod answers;
pub mod command;
pub mod draft;
pub mod drive;
pub mod files;
pub mod guide;
pub mod journal;
pub mod object;
pub mod operation;
pub mod plan;
pub mod read;
pub mod step;
pub mod steps;
pub mod terraform;
pub mod values;
pub mod words;
pub mod wrong;

#[cfg(test)]
mod tests;
