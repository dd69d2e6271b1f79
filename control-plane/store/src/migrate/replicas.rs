//! Schema 5: a row for each control plane that stands by for others on the same database, or leads them; see `replicas`.
//!
//! It has no checksum: it is written anew every second, no decision reads it, and it is gone with its control plane.

use super::Step::{self, Both};

/// The statements of schema 5.
pub(crate) const STEPS: &[Step] = &[Both(
    "CREATE TABLE replicas (id {text} PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, build TEXT NOT NULL,
        epoch BIGINT NOT NULL, since BIGINT NOT NULL, seen BIGINT NOT NULL)",
)];
