//! Schema 4: a checksum in each row of the small state and of the observation log. One flipped bit in a mark made a control
//! plane drop what an agent sent, and nobody could say so. A row of an earlier build has none until it is written again or
//! checked.

use super::Step::{self, Each};

/// The tables that hold no documents and had no checksum until then.
const TABLES: &[&str] = &["marks", "cursors", "counters", "meta", "observations"];

/// The statements of schema 4.
pub(crate) const STEPS: &[Step] = &[Each(TABLES, "ALTER TABLE {table} ADD COLUMN sum BIGINT")];
