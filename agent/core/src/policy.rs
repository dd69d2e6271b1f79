//! The local policy.
use crate::Refusal;
use jiff::Timestamp;
use nimbus_protocol::v1;
/// What this agent may ever do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {}
/// A policy file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {message}")]
pub struct PolicyError {
    /** From 1. */
    pub line: usize,
    /** Expected, found. */
    pub message: String,
}
impl Policy {
    /// From TOML.
    pub fn parse(_text: &str) -> Result<Self, PolicyError> {
        todo!()
    }
    /// Actions allowed at all, sorted.
    pub fn allowed_actions(&self) -> Vec<String> {
        todo!()
    }
    /// May this job run?
    pub fn judge(&self, _job: &v1::Job, _now: Timestamp, _jobs_in_last_hour: usize) -> Result<(), Refusal> {
        todo!()
    }
}
