//! Restores a backup into an empty data directory and an empty database.
//!
//! In this order: the whole backup is checked; the marker is written, on which no control plane starts; the files; the
//! database, in one transaction, that says from which backup it is; the marker is removed. An error takes everything back. A
//! crash leaves the marker, and the same command again begins anew, but for a database that was filled already.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nimbus_platform::{DirLock, LockError, create_private_dir, own_private_dir};
use nimbus_store::{Export, Import, Restoration, StoreError, StoreUrl};

use crate::epoch::after_restore;
use crate::error::BackupError;
use crate::files::{self, DATABASE, EPOCH, FILES, MARKER};
use crate::read::Item;
use crate::seal::Opening;
use crate::verify::{Report, open, verify};

/// Where a backup is restored.
#[derive(Debug, Clone)]
pub struct Target {
    /// The data directory; made when missing.
    pub data_dir: PathBuf,
    /// The database; `None` for the embedded one.
    pub database: Option<StoreUrl>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub report: Report,
    /// The control plane's next epoch is above this.
    pub epoch: u64,
    /// An unfinished restore of the same backup was completed.
    pub resumed: bool,
}

/// May a backup be restored there? Writes nothing, and does not ask the database.
fn check_target(target: &Target) -> Result<(), BackupError> {
    let dir = &target.data_dir;
    if !dir.try_exists().map_err(|error| BackupError::io(dir, error))? {
        return Ok(());
    }
    let is_resumed = files::marker(dir)?.is_some();
    match files::anything_else(dir, is_resumed)? {
        Some(found) => Err(BackupError::NotEmpty { dir: dir.clone(), found }),
        None => Ok(()),
    }
}

/// Could this backup be restored there? Checks the whole backup, the directory, and whether an unfinished restore in it is of
/// this backup. Writes nothing, and does not ask the database, which has to be empty.
pub fn rehearse(
    file: &Path,
    opening: &Opening,
    target: &Target,
    said: impl FnMut(&str),
) -> Result<Report, BackupError> {
    check_target(target)?;
    let report = verify(file, opening, said)?;
    begun_of(&target.data_dir, &report.manifest.id)?;
    Ok(report)
}

/// Whether a restore of the backup `id` was begun in this directory; one of another backup is refused.
fn begun_of(dir: &Path, id: &str) -> Result<bool, BackupError> {
    match files::marker(dir)? {
        None => Ok(false),
        Some(found) if found == id => Ok(true),
        Some(found) => Err(BackupError::OtherRestore { dir: dir.to_owned(), expected: id.to_owned(), found }),
    }
}

/// Restores `file`. `said` hears what is being done.
pub async fn restore(
    file: &Path,
    opening: &Opening,
    target: &Target,
    now: Timestamp,
    mut said: impl FnMut(&str),
) -> Result<Restored, BackupError> {
    check_target(target)?;
    let report = verify(file, opening, |table| said(&format!("checking {table}")))?;
    let dir = &target.data_dir;
    create_private_dir(dir).map_err(|error| BackupError::io(dir, error))?;
    let _lock = DirLock::take(dir).map_err(|error| match error {
        LockError::Held { dir, holder } => BackupError::InUse { dir, holder },
        LockError::Io { path, source } => BackupError::io(&path, source),
    })?;
    // Once more, under the lock.
    check_target(target)?;
    let resumed = begun_of(dir, &report.manifest.id)?;
    let epoch = after_restore(report.head.epoch, u64::try_from(now.as_millisecond()).unwrap_or(0));
    // Until the database says otherwise, the run before may have filled it.
    let may_be_filled = Cell::new(resumed);
    let filling = Filling { file, opening, target, report: &report, epoch, now, may_be_filled };
    match filling.run(resumed, &mut said).await {
        Ok(()) => Ok(Restored { report, epoch, resumed }),
        Err(error) => {
            // Of a database elsewhere that was filled, or whose answer to the commit was lost, only the marker tells the next
            // run that it may be complete.
            if target.database.is_none() || !filling.may_be_filled.get() {
                // The first error is the one to tell; what cannot be removed is still marked.
                let _ = files::clear(dir).and_then(|()| files::remove(dir, MARKER));
            }
            Err(error)
        }
    }
}

/// One restore.
struct Filling<'a> {
    file: &'a Path,
    opening: &'a Opening,
    target: &'a Target,
    report: &'a Report,
    epoch: u64,
    now: Timestamp,
    /// May the database hold the backup by now?
    may_be_filled: Cell<bool>,
}

impl Filling<'_> {
    async fn run(&self, resumed: bool, said: &mut impl FnMut(&str)) -> Result<(), BackupError> {
        let dir = &self.target.data_dir;
        let id = &self.report.manifest.id;
        if resumed {
            // Whatever a crash left half-written; the marker stays meanwhile.
            files::clear(dir)?;
        }
        own_private_dir(dir).map_err(|error| BackupError::io(dir, error))?;
        let text = format!(
            "{id}\nA restore was begun and is not finished. Run the same `nimbus backup restore` again to complete it.\n"
        );
        files::write(dir, MARKER, 0o600, text.as_bytes())?;
        files::write(dir, EPOCH, 0o600, format!("{}\n", self.epoch).as_bytes())?;
        let url = self.target.database.clone().unwrap_or_else(|| StoreUrl::sqlite(dir.join(DATABASE)));
        let is_filled = resumed && self.is_filled(&url).await?;
        self.may_be_filled.set(is_filled);
        self.fill(&url, is_filled, said).await?;
        files::remove(dir, MARKER)
    }

    /// Did the run before fill this database with the same backup?
    async fn is_filled(&self, url: &StoreUrl) -> Result<bool, BackupError> {
        match Export::open(url).await {
            Ok(mut export) => {
                let found = export.restored().await?;
                export.close().await?;
                Ok(found.as_ref() == Some(&self.report.manifest.id))
            }
            Err(StoreError::NoHistory { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn fill(
        &self,
        url: &StoreUrl,
        is_filled: bool,
        said: &mut impl FnMut(&str),
    ) -> Result<(), BackupError> {
        let mut import = if is_filled { None } else { Some(Import::begin(url).await?) };
        match self.copy(import.as_mut(), said).await {
            Ok(()) => {}
            Err(error) => {
                if let Some(import) = import {
                    import.abandon().await;
                }
                return Err(error);
            }
        }
        let Some(import) = import else { return Ok(()) };
        let head = &self.report.head;
        let restoration = Restoration {
            backup: &self.report.manifest.id,
            made_at: head.created_at,
            now: self.now,
            epoch: self.epoch,
            last_position: head.last_position,
        };
        self.may_be_filled.set(true);
        Ok(import.finish(&restoration).await?)
    }

    async fn copy(
        &self,
        mut import: Option<&mut Import>,
        said: &mut impl FnMut(&str),
    ) -> Result<(), BackupError> {
        let (mut reader, _) = open(self.file, self.opening)?;
        let mut table = "";
        loop {
            match reader.next()? {
                Item::File(name, bytes) => {
                    // The check saw to it that these are all: no name leads out of the directory.
                    if FILES.contains(&name.as_str()) {
                        files::write(&self.target.data_dir, &name, files::mode(&name), &bytes)?;
                    }
                }
                Item::Row(of, row) => {
                    if of.name != table {
                        table = of.name;
                        said(&format!("restoring {table}"));
                    }
                    if let Some(import) = &mut import {
                        import.row(of, row).await?;
                    }
                }
                Item::End(manifest) if manifest == self.report.manifest => return Ok(()),
                Item::End(_) => {
                    return Err(BackupError::Damaged {
                        file: self.file.to_owned(),
                        expected: "what was checked just now".to_owned(),
                        found: "another backup".to_owned(),
                    });
                }
            }
        }
    }
}
