//! Schema 3: a checksum in each document's row. A row of an earlier build has none until it is written again or checked.

use super::FIRST_DOCUMENTS;
use super::Step::{self, Each};

/// The statements of schema 3.
pub(crate) const STEPS: &[Step] = &[Each(FIRST_DOCUMENTS, "ALTER TABLE {table} ADD COLUMN sum BIGINT")];
