//! The data directory: where each file of the control plane lives, and that only one process uses it.

use std::path::{Path, PathBuf};

use nimbus_platform::{DirLock, LockError, create_private_dir};

use crate::files::FileError;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error(
        "data directory {path} is in use by another control plane (process {holder}); stop that one, or choose \
         another directory with --data-dir",
        path = .path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Process id as the lock file says; `unknown` when it does not say.
        holder: String,
    },
    /// It cannot be made or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<LockError> for DataDirError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { dir, holder } => Self::InUse { path: dir, holder },
            LockError::Io { path, source } => Self::File(FileError::io(&path, source)),
        }
    }
}

/// A data directory that this process holds until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: DirLock,
}

impl DataDir {
    /// Makes the directory (mode 0700) if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |error| DataDirError::File(FileError::io(path, error));
        create_private_dir(path).map_err(io)?;
        // Absolute, so that what is printed for the operator works from any directory.
        let path = path.canonicalize().map_err(io)?;
        let lock = DirLock::take(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The own CA's certificate; public.
    pub fn ca_pem(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// The own CA's private key.
    pub fn ca_key(&self) -> PathBuf {
        self.path.join("ca.key")
    }

    /// The key that signs jobs.
    pub fn job_key(&self) -> PathBuf {
        self.path.join("job.key")
    }

    /// The operator's bearer token.
    pub fn operator_token(&self) -> PathBuf {
        self.path.join("operator.token")
    }

    /// The embedded database, used unless another one is named.
    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.path.join("nimbus.db").display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(&dir.path().join("a/b")).unwrap();
        let error = DataDir::open(held.path()).unwrap_err();
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        let path = held.path().to_owned();
        drop(held);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn a_path_that_is_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("data")).unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}
