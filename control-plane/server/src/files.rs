//! Small private files, readable by their owner alone, and what to say when one cannot be used.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nimbus_platform::{open_regular, read_regular_text};
use zeroize::Zeroizing;

/// Longest private file that is read: keys, certificates and tokens are far shorter.
pub const MAX_FILE: u64 = 64 * 1024;

/// Why a file of the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk is full.
    #[error("{path}: no space left on its disk; free some and start again, nothing was lost", path = .0.display())]
    Full(PathBuf),
    /// Others may read a secret.
    #[error(
        "{path}: expected mode 0600 (it holds a secret), found {mode:04o}; look who may have read it, then run \
         chmod 600 {path}",
        path = .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Longer than any file of this kind.
    #[error("{path}: expected at most {MAX_FILE} bytes, found {found}", path = .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
    },
    /// It does not hold what it should.
    #[error("{path}: {what}", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected, and what to do.
        what: &'static str,
    },
    /// Anything else that the operating system says.
    #[error("{path} cannot be read or written: {error}; check the path and its permissions", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
}

impl FileError {
    /// The error for what the operating system said about `path`.
    pub fn io(path: &Path, error: std::io::Error) -> Self {
        if nimbus_platform::is_full(&error) {
            Self::Full(path.to_owned())
        } else {
            Self::Io { path: path.to_owned(), error }
        }
    }
}

/// What is in the secret file `path`; `None` when there is none. Refuses a file that others may read.
pub fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let (mode, of_root) = match std::fs::metadata(path) {
        // Its mode says nothing: reading it says what it is.
        Ok(meta) if !meta.is_file() => {
            let error = open_regular(path).err().unwrap_or_else(|| ErrorKind::InvalidInput.into());
            return Err(FileError::io(path, error));
        }
        Ok(meta) if meta.len() > MAX_FILE => {
            return Err(FileError::TooLong { path: path.to_owned(), found: meta.len() });
        }
        Ok(meta) => (meta.permissions().mode() & 0o7777, meta.uid() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io(path, error)),
    };
    // Kubernetes mounts a Secret as root's file, which the pod's group may read and nobody may write. A program that runs as
    // root has no need of the group.
    let is_mounted_secret = of_root && !rustix::process::geteuid().is_root() && mode & 0o077 == 0o040;
    if mode & 0o077 != 0 && !is_mounted_secret {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    let text = read_regular_text(path, MAX_FILE).map_err(|error| FileError::io(path, error))?;
    Ok(Some(Zeroizing::new(text)))
}

#[cfg(test)]
mod tests {
    use nimbus_platform::write_atomic;

    use super::*;

    #[test]
    fn a_secret_is_read_back_and_none_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert!(read_secret(&path).unwrap().is_none());
        write_atomic(&path, b"hush", 0o600).unwrap();
        assert_eq!(read_secret(&path).unwrap().unwrap().as_str(), "hush");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_atomic(&path, b"hush", 0o644).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(matches!(error, FileError::Exposed { mode: 0o644, .. }), "{error}");
        assert!(!error.to_string().contains("hush"));
    }
}
