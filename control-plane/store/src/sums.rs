//! The checksums of rows that are no documents: marks, cursors, counters, named values, and the observation log.
//!
//! A checksum in the row and not a look for values that cannot be: a mark that is off by one bit is as plausible as the
//! right one, and decides which observations are dropped. It is a CRC-32, computed from what is written anyway, and costs a
//! write no statement of its own, but for the epoch, of which each start takes one.
//!
//! A position in the log is given out by the database and is no part of it: that positions are in order is what SQLite's
//! integrity check looks at.

use nimbus_protocol::to_micros;

use crate::db::Row;
use crate::{NewBatch, StoreError};

/// A table of small rows: the column of its key, and what else a row says as one text, as [`sum`] takes it.
pub(crate) struct Small {
    pub(crate) table: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
}

/// All of them.
pub(crate) const SMALL: &[Small] = &[
    Small { table: "marks", key: "agent", value: "CAST(since AS TEXT) || ' ' || CAST(mark AS TEXT)" },
    Small { table: "cursors", key: "name", value: "CAST(position AS TEXT)" },
    Small { table: "counters", key: "name", value: "CAST(value AS TEXT)" },
    Small { table: "meta", key: "name", value: "value" },
];

/// What a row of `marks` says.
pub(crate) fn mark_value(since: i64, mark: i64) -> String {
    format!("{since} {mark}")
}

/// The checksum of a small row. It finds what a disk damages, and is no seal against a person.
pub(crate) fn sum(table: &str, key: &str, value: &str) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for text in [table, key, value] {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

/// Refuses a small row that is not what was written; `stored` is its checksum, which a row of an earlier build lacks.
pub(crate) fn compare(
    row: &Row,
    (table, key, value): (&str, &str, &str),
    stored: Option<i64>,
) -> Result<(), StoreError> {
    let found = sum(table, key, value);
    match stored {
        Some(stored) if stored != found => {
            let expected = format!("{table} {key} as it was written (checksum {stored:08x})");
            Err(row.corrupt(&expected, &format!("checksum {found:08x}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// What a row of the observation log says beside its payload, as it is stored.
pub(crate) struct LogRow<'a> {
    pub(crate) agent: &'a str,
    /// First and last sequence number, number of observations, and when they came.
    pub(crate) numbers: [i64; 4],
    pub(crate) payload: &'a [u8],
}

impl LogRow<'_> {
    pub(crate) fn sum(&self) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.agent.as_bytes());
        for number in self.numbers {
            hasher.update(&number.to_be_bytes());
        }
        hasher.update(self.payload);
        hasher.finalize().into()
    }
}

/// The checksum of a batch that is appended, whose numbers were looked at before.
pub(crate) fn batch_sum(batch: &NewBatch) -> i64 {
    let number = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
    let numbers =
        [number(batch.first), number(batch.last), i64::from(batch.count), to_micros(batch.received_at)];
    LogRow { agent: &batch.agent.to_string(), numbers, payload: &batch.payload }.sum()
}
