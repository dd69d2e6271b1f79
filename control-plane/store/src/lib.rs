//! Every SQL statement of the product, on SQLite (embedded, the default) and PostgreSQL (14 and later), behind one
//! [`Store`].
//!
//! It decides how things are kept: which columns there are, what is one transaction, what a conflict is, when
//! something is on disk. It leaves to others what the things mean; a change set that comes in was decided elsewhere.
//!
//! Three kinds of things are kept:
//!
//! - the **observation log** ([`Store::append`], [`Store::read_log`]): one row for each batch of observations, with
//!   each agent's high-water mark moved in the same transaction, so that nothing acknowledged is lost or counted twice;
//! - **documents** ([`Document`](nimbus_control_core::model::Document)): agents, tokens, clusters, incidents, plans,
//!   approvals, jobs and revision histories, each a row with a version, a few columns to search by, and the model itself
//!   as JSON, and a checksum over all of it that is compared whenever the row is read. They change only through
//!   [`Store::commit`], which writes a whole [`ChangeSet`](nimbus_control_core::model::ChangeSet) over the versions that were read, or
//!   nothing;
//! - the **audit chain** ([`Store::audit`]): rows added by the same commit, each hashed over the one before. The
//!   database itself refuses to change or remove one, and none is ever trimmed in this version.
//!
//! # How to add a table of documents
//!
//! 1. Give the model to `nimbus-control-core`'s `model`, where it implements `Document`: its table's name, its id, and
//!    what the columns hold. A change set carries it as an `AnyDocument`; everything here is generic over `Document`:
//!    `get`, `many`, `list`, `all`, `counts`.
//! 2. Add a migration: a new file beside `migrate/initial.rs` with its steps, and one line at the end of `MIGRATIONS`.
//!    The first brings schema 2, each further one the next. Never change a migration that was released: a database in the field has
//!    run it. The columns are those of `initial.rs`; write the statement once with `{text}`, `{blob}` and `{position}`
//!    for the types, and give a dialect a text of its own only where it has to be.
//!    A table of documents has the column `sum`, and its name is in `migrate::DOCUMENTS` or beside it in `integrity`. Any other table has one too: see `sums`.
//! 3. If the documents can be finished, say in `retention.rs` when they go; if they never go, say so there.
//! 4. A table that is part of a control plane's state has its line in `portable`, so that a backup holds it.
//! 5. Tell a story: `story/` holds what is told against both databases, here and in the tests that cross crates.
//!
//! # How to write a statement
//!
//! Placeholders are `$1`, upserts `ON CONFLICT`, times BIGINT microseconds, digests hex text: all of it works on both.
//! Values always travel as values; `Sql` puts a statement together from literals and placeholders. Sort errors with
//! `classify`, by code, so that each says what was expected, what was found and what to do. Everything that reads has
//! a bound; whoever reads "all" refuses above it rather than leave some out, because a decision on a part is wrong.
#![deny(missing_docs)]

mod chain;
mod classify;
mod commit;
mod db;
mod document;
mod epoch;
mod error;
mod exclusive;
mod integrity;
mod lease;
mod log;
mod migrate;
mod open;
mod portable;
mod probe;
mod read;
mod replicas;
mod retention;
mod state;
mod store;
mod sums;
mod types;
mod url;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "story"))]
pub mod story;

pub use error::StoreError;
pub use exclusive::ExclusiveUse;
pub use log::{MAX_LOG_ROWS, MAX_TRIM_ROWS};
pub use portable::{Cell, Column, ColumnKind, Export, Import, Restoration, Table, tables};
pub use probe::{Probed, probe};
pub use read::MAX_ALL;
pub use replicas::{Replica, ReplicaName};
pub use retention::{MAX_TRIM_DOCUMENTS, renewal_name, restored_renewal_name};
pub use store::{History, Sharing, Store};
pub use types::{
    AuditFilter, AuditHead, AuditPage, Committed, DEFAULT_PAGE, Filter, LogBatch, LogSpan, MAX_PAGE,
    NewBatch, Page, Trimmed,
};
pub use url::StoreUrl;

/// The newest schema that this build knows; a database with a newer one is refused, and one from before
/// `migrate::OLDEST` too.
pub fn schema_version() -> i64 {
    migrate::known()
}
