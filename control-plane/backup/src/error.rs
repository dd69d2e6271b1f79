//! Why a backup is not made, not good, or not restored; each says what was expected, what was found and what to do.

use std::io;
use std::path::{Path, PathBuf};

use nimbus_store::StoreError;

use crate::format::FORMAT;

/// What is wrong. Never shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read or filled.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No room is left.
    #[error(
        "expected room for {}, found the disk full; free some and run the same command again, nothing was kept of this try",
        .0.display()
    )]
    Full(PathBuf),
    /// The system refuses.
    #[error("{} cannot be read or written: {error}; check the path and its permissions", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A backup never replaces a file.
    #[error("expected no file at {}, found one; a backup is never overwritten: name another file", .0.display())]
    Exists(PathBuf),
    /// The data directory lacks what a control plane has.
    #[error(
        "expected a control plane's data directory at {}, found no {file} in it; name the directory that its --data-dir names",
        dir.display()
    )]
    NotADataDir {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        file: &'static str,
    },
    /// Keys and database are not of the same control plane.
    #[error(
        "expected the database of the keys in {} (CA certificate SHA-256 {expected}), found that of {found}; name the data \
         directory and the database of the same control plane",
        dir.display()
    )]
    OtherKeys {
        /// The directory.
        dir: PathBuf,
        /// The fingerprint of its CA.
        expected: String,
        /// That of the database's.
        found: String,
    },
    /// What is to open or close a backup cannot be used.
    #[error("expected {expected}, found {found}; correct {what}")]
    Key {
        /// Where it was given.
        what: String,
        /// What it has to be.
        expected: &'static str,
        /// What it is, without a part of it.
        found: String,
    },
    /// It does not open the backup.
    #[error("expected the {expected} that {} was encrypted for, found another one; {next}", file.display())]
    WrongKey {
        /// The backup.
        file: PathBuf,
        /// Passphrase, or identity.
        expected: &'static str,
        /// What to do.
        next: &'static str,
    },
    /// No backup at all.
    #[error("expected a backup at {}, found {found}; name a file that `nimbus backup create` wrote", file.display())]
    NoBackup {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: String,
    },
    /// It ends too early.
    #[error(
        "expected {} to end with its manifest, found it cut off{at}; copy it again from where it was made, or take another backup",
        file.display()
    )]
    Truncated {
        /// The backup.
        file: PathBuf,
        /// Behind what, as part of the sentence.
        at: String,
    },
    /// It is not what was written.
    #[error(
        "expected {expected} in {}, found {found}: it is damaged; copy it again from where it was made, or take another backup",
        file.display()
    )]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A newer Nimbus wrote it.
    #[error(
        "expected a backup of format {FORMAT} or older at {}, found format {found}, written by nimbus {product}; use that \
         version of nimbus or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The backup.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The version that wrote it.
        product: String,
    },
    /// Its tables are those of another schema.
    #[error(
        "expected a backup with schema {known}, found schema {found}, written by nimbus {product}; restore it with that \
         version of nimbus, and upgrade afterwards"
    )]
    OtherSchema {
        /// The schema of this build.
        known: i64,
        /// That of the backup.
        found: i64,
        /// The version that wrote it.
        product: String,
    },
    /// A backup is restored into an empty directory only.
    #[error(
        "expected an empty directory at {}, found {found} in it; name another directory, or move what is in it away; \
         nothing was touched",
        dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// Another process uses it.
    #[error("expected {} to be free, found it in use by process {holder}; stop that one first", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process's id, or `unknown`.
        holder: String,
    },
    /// What is to be backed up is a restore that was cut off.
    #[error(
        "expected a complete data directory at {}, found a restore that was begun and is not finished; run the same \
         nimbus backup restore again, which completes it",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// A restore of another backup was begun there.
    #[error(
        "expected the unfinished restore in {} to be of this backup ({expected}), found it to be of {found}; finish it with \
         that file, or begin anew in another directory with another empty database",
        dir.display()
    )]
    OtherRestore {
        /// The directory.
        dir: PathBuf,
        /// The id of the backup that is restored now.
        expected: String,
        /// The id of the one that was begun.
        found: String,
    },
}

impl BackupError {
    /// The error for what the system said about `path`.
    pub fn io(path: &Path, error: io::Error) -> Self {
        if nimbus_platform::is_full(&error) {
            Self::Full(path.to_owned())
        } else {
            Self::Io { path: path.to_owned(), error }
        }
    }

    /// Does the database not answer?
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unreachable { .. }))
    }

    /// Is the target of a restore, or the place of a new backup, taken?
    pub fn is_taken(&self) -> bool {
        matches!(
            self,
            Self::Exists(_)
                | Self::NotEmpty { .. }
                | Self::InUse { .. }
                | Self::OtherRestore { .. }
                | Self::Store(StoreError::NotEmpty { .. })
        )
    }
}
