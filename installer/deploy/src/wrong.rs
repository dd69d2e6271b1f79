//! What is wrong with an answer.

use serde::Serialize;

/// One answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{at}: expected {expected}, found {found}; {next}")]
pub struct Wrong {
    /// Its key, as `database.kind`.
    pub at: String,
    /// What can be used.
    pub expected: String,
    /// What was given.
    pub found: String,
    /// What to do.
    pub next: String,
}

impl Wrong {
    /// With all of its parts.
    pub fn new(
        at: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { at: at.to_owned(), expected: expected.into(), found: found.into(), next: next.into() }
    }
}
