//! Makes a backup: reads the database as it is in one moment and the files beside it, and writes one encrypted file.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nimbus_platform::sync_parent;
use nimbus_store::{Export, StoreUrl, tables};
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::files::{self, CA, FILES};
use crate::format::{FORMAT, Head, Manifest};
use crate::seal::Sealing;
use crate::verify::Report;
use crate::write::Writer;

/// What is backed up.
#[derive(Debug, Clone)]
pub struct Source {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the keys are, when they are not in the data directory: those of control planes that stand by for each other.
    pub keys: Option<PathBuf>,
    /// The database; `None` for the embedded one.
    pub database: Option<StoreUrl>,
}

impl Source {
    fn url(&self) -> StoreUrl {
        let embedded = || StoreUrl::sqlite(self.data_dir.join(files::DATABASE));
        self.database.clone().unwrap_or_else(embedded)
    }
}

/// Makes a backup at `out`, where nothing may be yet, with mode 0600. It is there once it is whole and on the disk. `said`
/// hears which table is read.
pub async fn create(
    source: &Source,
    out: &Path,
    sealing: &Sealing,
    now: Timestamp,
    said: impl FnMut(&str),
) -> Result<Report, BackupError> {
    let fail = |error| BackupError::io(out, error);
    let dir = room_for(out)?;
    let prefix = format!(".{}.", out.file_name().unwrap_or_default().to_string_lossy());
    let new =
        tempfile::Builder::new().prefix(&prefix).suffix(".unfinished").tempfile_in(dir).map_err(fail)?;
    new.as_file().set_permissions(Permissions::from_mode(0o600)).map_err(fail)?;
    let sealed = sealing.wrap(BufWriter::new(new.as_file()), out)?;
    let (sealed, head, manifest) = write(source, sealed, out, now, said).await?;
    sealed.finish().and_then(|mut out| out.flush()).map_err(fail)?;
    new.as_file().sync_all().map_err(fail)?;
    let bytes = new.as_file().metadata().map_err(fail)?.len();
    new.persist_noclobber(out).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(out.to_owned()),
        _ => fail(error.error),
    })?;
    sync_parent(out).map_err(fail)?;
    Ok(Report { head, manifest, bytes })
}

/// The directory of a backup, where nothing may be yet by its name.
fn room_for(out: &Path) -> Result<&Path, BackupError> {
    if out.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(out.to_owned()));
    }
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match dir.metadata() {
        Ok(found) if found.is_dir() => Ok(dir),
        Ok(_) => Err(BackupError::io(dir, io::ErrorKind::NotADirectory.into())),
        Err(error) => Err(BackupError::io(dir, error)),
    }
}

/// Reads everything that [`create`] would, and writes nothing: what the backup would hold. Its bytes are those before
/// encryption.
pub async fn preview(
    source: &Source,
    out: &Path,
    now: Timestamp,
    said: impl FnMut(&str),
) -> Result<Report, BackupError> {
    room_for(out)?;
    let (counted, head, manifest) = write(source, Counted(0), &source.data_dir, now, said).await?;
    Ok(Report { head, manifest, bytes: counted.0 })
}

/// Writes the lines of a backup to `out`, which errors call `to`.
pub(crate) async fn write<W: Write>(
    source: &Source,
    out: W,
    to: &Path,
    now: Timestamp,
    mut said: impl FnMut(&str),
) -> Result<(W, Head, Manifest), BackupError> {
    let fail = |error| BackupError::io(to, error);
    let dir = &source.data_dir;
    if files::marker(dir)?.is_some() {
        return Err(BackupError::Unfinished(dir.clone()));
    }
    let keys = source.keys.as_ref().unwrap_or(dir);
    let read = FILES.iter().map(|name| files::read(keys, name).map(|found| (*name, found)));
    let found: Vec<(&str, Zeroizing<Vec<u8>>)> = read.collect::<Result<_, _>>()?;
    let pem = found.iter().find(|(name, _)| *name == CA).map(|(_, bytes)| bytes.as_slice());
    let ca_sha256 = files::fingerprint(keys, pem.unwrap_or_default())?;
    let mut export = Export::open(&source.url()).await?;
    // A database of an earlier build does not say it, and takes these keys at its next start.
    if let Some(owner) = export.owner().await?.filter(|owner| *owner != ca_sha256) {
        return Err(BackupError::OtherKeys { dir: keys.clone(), expected: ca_sha256, found: owner });
    }
    let head = Head {
        format: FORMAT,
        product: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: now,
        database: export.kind().to_owned(),
        schema: nimbus_store::schema_version(),
        epoch: export.epoch().await?.max(files::epoch(dir)?),
        last_position: export.last_position().await?,
        ca_sha256,
    };
    let mut writer = Writer::begin(out, head).map_err(fail)?;
    for (name, bytes) in &found {
        writer.file(name, bytes).map_err(fail)?;
    }
    for table in tables() {
        said(table.name);
        writer.begin_table(table).map_err(fail)?;
        export.rows(table, |row| writer.row(row).map_err(fail)).await?;
        writer.end_table(table).map_err(fail)?;
    }
    export.close().await?;
    writer.finish().map_err(fail)
}

/// Counts what is written and keeps nothing of it.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
