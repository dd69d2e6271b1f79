//! Reads a whole backup and says what is in it, or what is wrong with it.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use nimbus_platform::open_regular;

use crate::error::BackupError;
use crate::files::{CA, FILES, fingerprint};
use crate::format::{Head, Manifest};
use crate::read::{Item, Reader};
use crate::seal::{Opening, Plain};

/// What a good backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its head.
    pub head: Head,
    /// Its manifest.
    pub manifest: Manifest,
    /// The length of the file.
    pub bytes: u64,
}

/// A backup that is decrypted as it is read.
pub(crate) type Opened = Reader<BufReader<Plain<BufReader<File>>>>;

/// Opens a backup and reads its head.
pub(crate) fn open(file: &Path, opening: &Opening) -> Result<(Opened, u64), BackupError> {
    let input = open_regular(file).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => BackupError::NoBackup { file: file.to_owned(), found: error.to_string() },
        _ => BackupError::io(file, error),
    })?;
    let bytes = input.metadata().map_err(|error| BackupError::io(file, error))?.len();
    let plain = opening.unwrap(BufReader::new(input), file)?;
    Ok((Reader::begin(BufReader::new(plain), file.to_owned())?, bytes))
}

/// Decrypts `file`, compares every checksum and count, and looks whether everything is there that a control plane needs.
/// `said` hears which table is read.
pub fn verify(file: &Path, opening: &Opening, mut said: impl FnMut(&str)) -> Result<Report, BackupError> {
    let (mut reader, bytes) = open(file, opening)?;
    let damaged = |expected: String, found: &str| BackupError::Damaged {
        file: file.to_owned(),
        expected,
        found: found.to_owned(),
    };
    let mut table = "";
    let manifest = loop {
        match reader.next()? {
            Item::File(name, bytes) if name == CA => {
                let expected = &reader.head().ca_sha256;
                let found = fingerprint(file, &bytes).unwrap_or_else(|_| "none".to_owned());
                if found != *expected {
                    return Err(damaged(format!("the CA certificate {expected}"), &found));
                }
            }
            Item::Row(of, _) if of.name != table => {
                table = of.name;
                said(table);
            }
            Item::File(..) | Item::Row(..) => {}
            Item::End(manifest) => break manifest,
        }
    };
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    if names != FILES {
        return Err(damaged(format!("the files {}", FILES.join(", ")), &names.join(", ")));
    }
    Ok(Report { head: reader.head().clone(), manifest, bytes })
}
