//! Schema 8: the rules that people set. There are some hundreds at most.

use super::Step::{self, Each};

/// Their table.
pub(super) const TABLE: &str = "rules";

/// The statements of schema 8.
pub(crate) const STEPS: &[Step] = &[
    Each(
        &[TABLE],
        "CREATE TABLE {table} (id {text} PRIMARY KEY, version BIGINT NOT NULL, created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL, state {text} NOT NULL, cluster {text} NOT NULL, key {text} NOT NULL,
            doc TEXT NOT NULL, sum BIGINT)",
    ),
    Each(&[TABLE], "CREATE INDEX {table}_made ON {table} (created_at, id)"),
    Each(&[TABLE], "CREATE INDEX {table}_state ON {table} (state, created_at, id)"),
    Each(&[TABLE], "CREATE INDEX {table}_key ON {table} (key, created_at, id)"),
    Each(&[TABLE], "CREATE INDEX {table}_changed ON {table} (updated_at)"),
];
