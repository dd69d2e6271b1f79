//! All rows of a database as values that neither database is needed to understand: what a backup is made of.
//!
//! Decides which tables there are and which columns of them travel, in one list that both ways use: [`Export`] reads
//! everything as it was in one moment, [`Import`] fills an empty database with it in one transaction. How rows look in a
//! file is the business of others. A table that a migration adds has its line here; a test compares the list with the
//! database.

mod export;
mod import;

use std::sync::LazyLock;

pub use export::Export;
pub use import::{Import, Restoration};

use jiff::Timestamp;

use crate::migrate::DOCUMENTS;
use crate::{Store, StoreError};

/// Name of the row of `meta` that says from which backup a database was restored.
pub(crate) const RESTORED: &str = "restored";
/// What each table of documents holds.
const DOCUMENT: &[Column] = &[
    text("id"),
    int("version"),
    int("created_at"),
    int("updated_at"),
    text("state"),
    text("cluster"),
    text("key"),
    text("doc"),
    int("sum"),
];
/// The tables that hold no documents. The first column is the key, and gives the order.
const OTHERS: &[Table] = &[
    Table {
        name: "observations",
        columns: &[
            int("position"),
            text("agent"),
            int("first_seq"),
            int("last_seq"),
            int("items"),
            int("received_at"),
            blob("payload"),
            int("sum"),
        ],
    },
    Table { name: "marks", columns: &[text("agent"), int("since"), int("mark"), int("sum")] },
    Table {
        name: "audit",
        columns: &[
            int("seq"),
            text("prev"),
            text("hash"),
            int("at"),
            text("actor"),
            text("action"),
            text("subject"),
            text("cluster"),
            text("detail"),
        ],
    },
    Table { name: "audit_head", columns: &[int("id"), int("seq"), text("hash")] },
    Table { name: "cursors", columns: &[text("name"), int("position"), int("sum")] },
    Table { name: "counters", columns: &[text("name"), int("value"), int("sum")] },
    Table { name: "meta", columns: &[text("name"), text("value"), int("sum")] },
    Table { name: "snapshots", columns: &[int("position"), text("sha256"), blob("bytes")] },
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A whole number of 64 bits; it alone may be missing.
    Int,
    /// Text without NUL characters.
    Text,
    /// Bytes.
    Blob,
}

impl ColumnKind {
    /// Its word in a backup.
    pub fn word(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Text => "text",
            Self::Blob => "blob",
        }
    }
}

/// A column that travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in both databases.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// A table and its columns, the key first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name in both databases.
    pub name: &'static str,
    /// What travels, in this order.
    pub columns: &'static [Column],
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// No value: a number that an earlier build did not write.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// May it stand in a column of this kind?
    pub fn fits(&self, kind: ColumnKind) -> bool {
        match (self, kind) {
            (Self::Null | Self::Int(_), ColumnKind::Int)
            | (Self::Text(_), ColumnKind::Text)
            | (Self::Blob(_), ColumnKind::Blob) => true,
            (Self::Null | Self::Int(_) | Self::Text(_) | Self::Blob(_), _) => false,
        }
    }
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Int }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Text }
}

const fn blob(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Blob }
}

/// Every table whose rows are a control plane's state, in the order in which they are read and written.
pub fn tables() -> &'static [Table] {
    static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
        let documents = DOCUMENTS.iter().map(|name| Table { name, columns: DOCUMENT });
        documents.chain(OTHERS.iter().copied()).collect()
    });
    &TABLES
}

impl Store {
    /// When the backup was made that this database was restored from, and when it was restored; `None` for a database that
    /// never was.
    pub async fn restored(&self) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let Some(value) = self.meta_get(RESTORED).await? else { return Ok(None) };
        let micros = |text: &str| text.parse().ok().map(nimbus_protocol::from_micros);
        let mut words = value.split(' ').skip(1);
        let times = words.next().and_then(micros).zip(words.next().and_then(micros));
        times.map(Some).ok_or_else(|| StoreError::Corrupt {
            at: self.address(),
            expected: "when this database was backed up and restored".to_owned(),
            found: value,
        })
    }
}

/// The names of a table's columns, as a statement lists them.
fn names(table: &Table) -> String {
    table.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
