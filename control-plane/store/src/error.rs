//! Errors of the store, classified by what a caller can do about them.
//!
//! Decides the sorts and their sentences; [`crate::classify`] decides which database error is of which sort. Every
//! message names the database without its password.

/// What went wrong: expected, found and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database's address cannot be read. The text never repeats what was given: it may hold a password.
    #[error(
        "expected a database address such as sqlite:///var/lib/nimbus/nimbus.db or \
         postgres://user@host:5432/nimbus, found {problem}; correct the address"
    )]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// No room is left. Nothing of the transaction was kept, nothing older was lost.
    #[error(
        "expected room to write in {at}, found the disk full ({detail}); free space or enlarge the disk: nothing \
         that was acknowledged is lost, a control plane that runs writes on by itself, and one that could not start has to be \
         started again"
    )]
    Full {
        /// The database.
        at: String,
        /// In the database's words.
        detail: String,
    },
    /// The database does not answer. Whether a commit that was under way took effect is not known: read again.
    #[error(
        "expected an answer from {at}, found none ({detail}); check that it runs and can be reached from here"
    )]
    Unreachable {
        /// The database.
        at: String,
        /// In the database's or the system's words.
        detail: String,
    },
    /// What answers there does not speak as PostgreSQL does.
    #[error("expected a PostgreSQL server at {at}, found something else ({detail}); check host and port")]
    OtherServer {
        /// The database.
        at: String,
        /// In the driver's words.
        detail: String,
    },
    /// The database refused this user or process.
    #[error(
        "expected to be let into {at}, was refused ({detail}); check that it exists, and user, password and permissions"
    )]
    Denied {
        /// The database.
        at: String,
        /// In the database's words.
        detail: String,
    },
    /// What was read has changed since, or another writer was first. Nothing was written: read again and decide anew.
    #[error("{table} {id}: {detail}; nothing was written, read again")]
    Conflict {
        /// The table.
        table: &'static str,
        /// The document, or the agent for `marks`, or the cursor's name.
        id: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// The server is of a version that is not supported.
    #[error(
        "expected PostgreSQL 14 or newer at {at}, found {found}; upgrade the server, nothing was written"
    )]
    OldServer {
        /// The database.
        at: String,
        /// Its version in its own words.
        found: String,
    },
    /// The database is not in UTF-8.
    #[error(
        "expected a PostgreSQL database in the encoding UTF8 at {at}, found one in {found}; make one with CREATE DATABASE nimbus ENCODING \
         'UTF8' TEMPLATE template0, and move what is in this one by pg_dump and pg_restore; nothing was written"
    )]
    Encoding {
        /// The database.
        at: String,
        /// Its encoding.
        found: String,
    },
    /// The database was written by a newer Nimbus.
    #[error(
        "data directory was written by a newer Nimbus: expected at most schema {known}, found schema {found} \
         (written by {build}) in {at}; upgrade Nimbus, nothing was touched"
    )]
    NewerSchema {
        /// The database.
        at: String,
        /// Its schema.
        found: i64,
        /// The newest schema that this build knows.
        known: i64,
        /// The build that wrote it.
        build: String,
    },
    /// The database was written by a Nimbus that is older than the first schema here.
    #[error(
        "data directory was written by an older Nimbus: expected schema {oldest} or a newer one, found schema {found} \
         (written by {build}) in {at}; nothing was touched: keep using that version, or start this one with a new data \
         directory (or an empty database) and let the agents join it anew"
    )]
    OlderSchema {
        /// The database.
        at: String,
        /// Its schema.
        found: i64,
        /// The oldest schema that this build knows.
        oldest: i64,
        /// The build that wrote it.
        build: String,
    },
    /// There is no history where one is expected.
    #[error(
        "expected the history of this control plane in {at}, found {found}; restore the database from a backup; nothing \
         was touched"
    )]
    NoHistory {
        /// The database.
        at: String,
        /// What is there instead.
        found: &'static str,
    },
    /// A backup is restored into an empty database only.
    #[error(
        "expected an empty database at {at}, found one with {found} tables, views or sequences; name another one, or empty \
         it yourself if nothing in it is needed; nothing was touched"
    )]
    NotEmpty {
        /// The database.
        at: String,
        /// How many tables, views and sequences it has.
        found: i64,
    },
    /// The database belongs to a control plane with other keys.
    #[error(
        "expected {at} to belong to the keys {expected}, found that it belongs to the keys {found}; nothing was touched"
    )]
    OtherKeys {
        /// The database.
        at: String,
        /// The keys that it is opened with; "none yet" where there are none.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// Another process or transaction holds what is needed for longer than we wait.
    #[error(
        "expected {at} to be free within {waited_s} s, found it locked ({detail}); stop the other user or retry"
    )]
    Locked {
        /// The database.
        at: String,
        /// How long we waited, seconds.
        waited_s: u64,
        /// In the database's words.
        detail: String,
    },
    /// Another control plane runs on this database.
    #[error(
        "expected to be the only control plane on {at}, found another one there for {waited_s} s; stop that one, or \
         give this one a database of its own"
    )]
    InUse {
        /// The database.
        at: String,
        /// How long we waited, seconds.
        waited_s: u64,
    },
    /// A control plane that started later took this database over. Nothing was written, and nothing will be.
    #[error(
        "expected to be the only control plane on {at} (epoch {own}), found one that started later (epoch {found}); \
         this one stops deciding; stop it"
    )]
    Superseded {
        /// The database.
        at: String,
        /// The epoch that this store took.
        own: u64,
        /// The one that the database has.
        found: u64,
    },
    /// The lease could not be renewed in time: another control plane may lead by now.
    #[error(
        "expected to renew the lease on {at} (epoch {epoch}) within {within_s} s, found no answer in time; another control \
         plane may lead by now, so this one ends; start it again, it then stands by (a service manager does)"
    )]
    Lapsed {
        /// The database.
        at: String,
        /// The epoch under which this one led.
        epoch: u64,
        /// How long a leader goes on without a renewal, seconds.
        within_s: u64,
    },
    /// What is stored cannot be what was written.
    #[error("expected {expected} in {at}, found {found}; restore the database from a backup, it is damaged")]
    Corrupt {
        /// The database, table or row.
        at: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The medium under the database failed.
    #[error("expected to read and write {at}, found an input/output error ({detail}); check the disk")]
    Disk {
        /// The database.
        at: String,
        /// In the database's words.
        detail: String,
    },
    /// A caller's value cannot be used.
    #[error("expected {expected}, found {found}")]
    Invalid {
        /// What is accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The database takes everything but this row, whenever it is offered: a constraint, or a value beyond its limits.
    #[error(
        "expected {at} to take a row, found it refused ({detail}); this is a defect of Nimbus, nothing of it was written"
    )]
    Refused {
        /// The database.
        at: String,
        /// In the database's words.
        detail: String,
    },
    /// More documents than this build reads at once: a decision on a part of them would be wrong.
    #[error(
        "expected at most {bound} documents of {table} at once, found more; resolve or trim some before Nimbus decides again"
    )]
    TooMany {
        /// The table.
        table: &'static str,
        /// The bound.
        bound: u32,
    },
    /// None of the above.
    #[error(
        "expected {at} to run a statement, found: {detail}; this is a defect of Nimbus or of the database"
    )]
    Database {
        /// The database.
        at: String,
        /// In the database's words.
        detail: String,
    },
}

impl StoreError {
    /// Another writer was first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Another control plane took over: no write of this one will ever succeed again.
    pub fn is_superseded(&self) -> bool {
        matches!(self, Self::Superseded { .. })
    }

    /// Will the database never take what this call would write, while it takes everything else?
    pub fn is_of_the_row(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Invalid { .. })
    }

    /// May the same call succeed later, with nothing changed but the database's own state?
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unreachable { .. } | Self::Locked { .. } | Self::Disk { .. })
    }
}
