//! Makes the keys of control planes that stand by for each other, before any of them has started: each one gets the same.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nimbus_platform::create_private_dir;

use crate::bearer::BearerToken;
use crate::ca::{Authority, CaError};
use crate::files::FileError;
use crate::sign::Signer;

/// The files of a directory of keys: the own CA's certificate and key, the key that signs jobs, the operator's token.
pub const KEY_FILES: [&str; 4] = ["ca.pem", "ca.key", "job.key", "operator.token"];

/// Why no keys were made.
#[derive(Debug, thiserror::Error)]
pub enum MakeKeysError {
    /// There is something already, which may be in use.
    #[error("expected no {path} yet, found that it is there; name another directory, or remove it if nobody uses it",
        path = .0.display())]
    There(PathBuf),
    /// The CA could not be made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Makes a new directory `dir` (mode 0700) with [`KEY_FILES`] (mode 0600), and says the SHA-256 of the CA's certificate.
/// All of it or nothing: it is made beside `dir` under another name first.
///
/// # Errors
/// When `dir` is there, or when it cannot be made; then nothing is left of it.
pub fn make_keys(dir: &Path, now: Timestamp) -> Result<[u8; 32], MakeKeysError> {
    let io = |error| FileError::io(dir, error);
    if dir.symlink_metadata().is_ok() {
        return Err(MakeKeysError::There(dir.to_owned()));
    }
    let mut beside = dir.to_owned().into_os_string();
    beside.push(format!(".new-{}", std::process::id()));
    let beside = PathBuf::from(beside);
    create_private_dir(&beside).map_err(io)?;
    let made = fill(&beside, now).and_then(|fingerprint| {
        std::fs::rename(&beside, dir).map_err(io)?;
        Ok(fingerprint)
    });
    if made.is_err() {
        // What is in the way of removing it was in the way of making it too, and is said.
        let _ = std::fs::remove_dir_all(&beside);
    }
    made
}

fn fill(dir: &Path, now: Timestamp) -> Result<[u8; 32], MakeKeysError> {
    let [ca_pem, ca_key, job_key, token] = KEY_FILES.map(|name| dir.join(name));
    let ca = Authority::open(&ca_pem, &ca_key, now)?;
    Signer::open(&job_key)?;
    BearerToken::operator(&token)?;
    Ok(ca.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_nothing_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let now = nimbus_platform::now();
        let fingerprint = make_keys(&keys, now).unwrap();
        let ca = Authority::open(&keys.join("ca.pem"), &keys.join("ca.key"), now).unwrap();
        assert_eq!(ca.fingerprint(), fingerprint);
        let mut found: Vec<_> =
            std::fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        let mut expected = KEY_FILES;
        expected.sort_unstable();
        assert_eq!(found, expected);
        let again = make_keys(&keys, now).unwrap_err();
        assert!(matches!(&again, MakeKeysError::There(path) if *path == keys), "{again}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something is left beside them");
    }

    #[test]
    fn what_cannot_be_made_is_said_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = make_keys(&file.join("keys"), nimbus_platform::now()).unwrap_err();
        assert!(matches!(error, MakeKeysError::File(_)), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
