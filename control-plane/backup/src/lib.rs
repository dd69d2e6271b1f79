//! Backups of a control plane: everything that it needs to go on elsewhere, in one encrypted file.
//!
//! Decides what is in a backup, how it is written and checked, and in which order one is restored so that a crash at any
//! point leaves either nothing or something that a second run completes. How rows are read from and written to a database
//! is the store's business, how a person asks for it the command's.
//!
//! # The format
//!
//! An age file (<https://age-encryption.org/v1>), encrypted for a passphrase or for X25519 recipients. In it are lines of
//! JSON, each ended by a line feed, so that `age --decrypt FILE | head` shows it:
//!
//! | line | holds |
//! |---|---|
//! | `{"head": …}` | first: format, the product's version, when, from which kind of database, its schema, epoch, last position of the log, SHA-256 of the CA certificate |
//! | `{"file": …}` | a file of the data directory: name, SHA-256, bytes in base64 |
//! | `{"table": …}` | a table begins: its name and its columns, each `name` and `kind` (`int`, `text`, `blob`) |
//! | `[…]` | a row of that table: numbers, texts, base64 for blobs, `null` for a missing number |
//! | `{"end": …}` | the table ends: its name, its rows, and the SHA-256 over the lines of its rows with their line feeds |
//! | `{"manifest": …}` | last: what all files and tables were, once more, and the backup's own id |
//!
//! Rows are in the order of their key, their values as both databases know them: a backup of SQLite restores into PostgreSQL
//! and the other way. Nothing is in memory but one row at a time, and on restoring what one statement takes (4 MiB, or one
//! larger row). A line has at most 1.5 GB, which is what the largest blob of either database needs.
#![deny(missing_docs)]

mod create;
mod epoch;
mod error;
mod files;
mod format;
mod read;
mod restore;
mod seal;
pub mod shelf;
mod verify;
mod write;

#[cfg(test)]
mod tests;

pub use create::{Source, create, preview};
pub use error::BackupError;
pub use files::MARKER;
pub use format::{FORMAT, FileSum, Head, Manifest, TableSum};
pub use restore::{Restored, Target, rehearse, restore};
pub use seal::{Opening, Sealing};
pub use verify::{Report, verify};

/// The address of a database.
pub use nimbus_store::StoreUrl;
