//! The files of a data directory that a control plane is known by, and the file that marks a restore as unfinished.
//!
//! Left out are the embedded database, which is backed up as tables; the lock; `agent`, in which `nimbus up` keeps this
//! machine's own agent, which joins anew; and what a crash left behind.

use std::io::ErrorKind;
use std::path::Path;

use nimbus_platform::{read_optional, read_regular, sync_parent, write_atomic};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::format::{MAX_FILE, sha256};

/// The file that is in a data directory while a restore is not finished: the control plane does not start on it.
pub const MARKER: &str = "restore.unfinished";
/// The CA's certificate.
pub const CA: &str = "ca.pem";
/// Every file that is in a backup; without one of them a control plane would make new keys.
pub const FILES: [&str; 4] = [CA, "ca.key", "job.key", "operator.token"];
/// The file with the highest epoch.
pub const EPOCH: &str = "epoch";
/// How the files of the embedded database begin.
pub const DATABASE: &str = "nimbus.db";

/// The permission bits with which a file is restored, whatever a volume's group made of them: the certificate is public, and
/// the control plane refuses secrets that others may read.
pub fn mode(name: &str) -> u32 {
    if name == CA { 0o644 } else { 0o600 }
}

/// Reads a file that has to be there.
pub fn read(dir: &Path, name: &'static str) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let path = dir.join(name);
    match read_regular(&path, MAX_FILE) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(BackupError::NotADataDir { dir: dir.to_owned(), file: name })
        }
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            let error =
                std::io::Error::new(ErrorKind::FileTooLarge, "more than 64 KiB, which no such file has");
            Err(BackupError::io(&path, error))
        }
        Err(error) => Err(BackupError::io(&path, error)),
    }
}

/// The SHA-256 (hex) of the CA certificate: what a database says to whom it belongs.
pub fn fingerprint(dir: &Path, pem: &[u8]) -> Result<String, BackupError> {
    let certificate = CertificateDer::from_pem_slice(pem).map_err(|error| {
        let error = std::io::Error::new(ErrorKind::InvalidData, format!("no certificate: {error:?}"));
        BackupError::io(&dir.join(CA), error)
    })?;
    Ok(sha256(&certificate))
}

/// The highest epoch that the directory knows; 0 when it says nothing.
pub fn epoch(dir: &Path) -> Result<u64, BackupError> {
    let path = dir.join(EPOCH);
    let text = read_optional(&path).map_err(|error| BackupError::io(&path, error))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).trim().parse().unwrap_or(0))
}

/// Writes a file durably with these permission bits.
pub fn write(dir: &Path, name: &str, mode: u32, bytes: &[u8]) -> Result<(), BackupError> {
    let path = dir.join(name);
    write_atomic(&path, bytes, mode).map_err(|error| BackupError::io(&path, error))
}

/// The id of the backup whose restore was begun here and is not finished.
pub fn marker(dir: &Path) -> Result<Option<String>, BackupError> {
    let path = dir.join(MARKER);
    let text = read_optional(&path).map_err(|error| BackupError::io(&path, error))?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()))
}

/// Removes what a restore writes and leaves everything else, the marker too.
pub fn clear(dir: &Path) -> Result<(), BackupError> {
    let io = |error| BackupError::io(dir, error);
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy();
        let plain = name.strip_suffix(".new").unwrap_or(&name);
        if FILES.contains(&plain) || plain == EPOCH || name.starts_with(DATABASE) {
            remove(dir, &name)?;
        }
    }
    Ok(())
}

/// Removes a file durably, if it is there.
pub fn remove(dir: &Path, name: &str) -> Result<(), BackupError> {
    let path = dir.join(name);
    let removed = match std::fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    removed.and_then(|()| sync_parent(&path)).map_err(|error| BackupError::io(&path, error))
}

/// Something in the directory that a restore did not put there, and that is no file system's own.
pub fn anything_else(dir: &Path, is_resumed: bool) -> Result<Option<String>, BackupError> {
    let io = |error| BackupError::io(dir, error);
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy().into_owned();
        let plain = name.strip_suffix(".new").unwrap_or(&name);
        let is_restores =
            FILES.contains(&plain) || [EPOCH, MARKER].contains(&plain) || name.starts_with(DATABASE);
        let may_be_there = matches!(plain, "lock" | "lost+found") || (is_resumed && is_restores);
        if !may_be_there {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
