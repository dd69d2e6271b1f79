//! The lines of a backup: what each holds, and how a row is written and read. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use nimbus_store::{Cell, ColumnKind, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The newest format that this build reads, and the one that it writes.
pub const FORMAT: u32 = 1;
/// The longest line, bytes: a blob of 1 GB, which is the most that either database keeps, in base64.
pub const MAX_LINE: u64 = 1_500_000_000;
/// The longest file of a data directory, bytes: keys, certificates and tokens are far shorter.
pub const MAX_FILE: u64 = 64 << 10;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format's version.
    pub format: u32,
    /// The version of Nimbus that wrote it.
    pub product: String,
    /// The moment that the backup shows.
    pub created_at: Timestamp,
    /// `sqlite` or `postgresql`.
    pub database: String,
    /// The schema of its tables.
    pub schema: i64,
    /// The highest epoch that is known to have been taken.
    pub epoch: u64,
    /// The last position that the observation log gave out.
    pub last_position: i64,
    /// SHA-256 (hex) of the CA certificate, which agents know this control plane by.
    pub ca_sha256: String,
}

/// A file of the data directory.
#[derive(Serialize, Deserialize)]
pub struct FileEntry {
    /// Name in the data directory.
    pub name: String,
    /// SHA-256 (hex) of its bytes.
    pub sha256: String,
    /// Its bytes, base64.
    pub bytes: String,
}

/// A table begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHead {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the rows.
    pub columns: Vec<ColumnHead>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnHead {
    /// Its name.
    pub name: String,
    /// `int`, `text` or `blob`.
    pub kind: String,
}

/// What a table was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 (hex) over the lines of its rows.
    pub sha256: String,
}

/// What a file was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 (hex) of its bytes.
    pub sha256: String,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What tells this backup from every other one: SHA-256 (hex) over the head, the files and the tables.
    pub id: String,
    /// Every file.
    pub files: Vec<FileSum>,
    /// Every table.
    pub tables: Vec<TableSum>,
}

/// A line that is no row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first.
    Head(Head),
    /// A file.
    File(FileEntry),
    /// A table begins.
    Table(TableHead),
    /// A table ends.
    End(TableSum),
    /// The last.
    Manifest(Manifest),
}

impl Record {
    /// Its word in an error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Head(_) => "the head",
            Self::File(_) => "a file",
            Self::Table(_) => "the begin of a table",
            Self::End(_) => "the end of a table",
            Self::Manifest(_) => "the manifest",
        }
    }
}

impl TableHead {
    /// The line of a table as this build writes it.
    pub fn of(table: &Table) -> Self {
        let column = |column: &nimbus_store::Column| ColumnHead {
            name: column.name.to_owned(),
            kind: column.kind.word().to_owned(),
        };
        Self { name: table.name.to_owned(), columns: table.columns.iter().map(column).collect() }
    }
}

impl Manifest {
    /// The manifest of a backup with this head.
    pub fn of(head: &Head, files: Vec<FileSum>, tables: Vec<TableSum>) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_vec(&(head, &files, &tables))?;
        Ok(Self { id: hex::encode(Sha256::digest(text)), files, tables })
    }
}

/// SHA-256 (hex).
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes as they stand in a line.
pub fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes from a line.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A row as a value of JSON.
pub fn row_value(row: &[Cell]) -> Value {
    let value = |cell: &Cell| match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => Value::from(*number),
        Cell::Text(text) => Value::from(text.as_str()),
        Cell::Blob(bytes) => Value::from(to_base64(bytes)),
    };
    Value::Array(row.iter().map(value).collect())
}

/// The row of `table` in a line; `None` when it is none.
pub fn row(table: &Table, line: &[u8]) -> Option<Vec<Cell>> {
    let values: Vec<Value> = serde_json::from_slice(line).ok()?;
    if values.len() != table.columns.len() {
        return None;
    }
    let cells = values.into_iter().zip(table.columns);
    cells.map(|(value, column)| cell(value, column.kind)).collect()
}

fn cell(value: Value, kind: ColumnKind) -> Option<Cell> {
    match (value, kind) {
        (Value::Null, ColumnKind::Int) => Some(Cell::Null),
        (Value::Number(number), ColumnKind::Int) => number.as_i64().map(Cell::Int),
        (Value::String(text), ColumnKind::Text) => Some(Cell::Text(text)),
        (Value::String(text), ColumnKind::Blob) => from_base64(&text).map(Cell::Blob),
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => None,
    }
}
