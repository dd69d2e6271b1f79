//! The data directory: its layout, its lock and its version.
//!
//! One process at a time owns a directory (an advisory lock that the kernel drops with the process, so a crash leaves
//! nothing to clean up). A directory of another version is refused before anything in it is changed.

use std::io;
use std::path::{Path, PathBuf};

use nimbus_platform::{
    DirLock, LockError, create_private_dir, holds_only, own_private_dir, read_optional, write_atomic,
};

/// The layout that this build reads and writes.
pub const VERSION: u32 = 2;

/// May something of this name be in it? With anything else in it, the directory itself is left as open as it is.
fn is_own(name: &str) -> bool {
    matches!(
        name.strip_suffix(".new").unwrap_or(name),
        "baseline"
            | "identity"
            | "journal"
            | "lock"
            | "lost+found"
            | "paused"
            | "paused-by-control-plane"
            | "policy.managed.toml"
            | "policy.toml"
            | "spool"
            | "version"
    )
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "expected {path} for this process alone, found it in use by process {holder}; stop that process or choose \
         another --data-dir"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as far as it is written there.
        holder: String,
    },
    /// It was written by a newer build.
    #[error(
        "the data directory {path} was written by a newer Nimbus: expected layout {VERSION}, found {found}; upgrade this \
         agent; nothing was changed"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The layout found.
        found: u32,
    },
    /// It was written by a build before the layout was final.
    #[error(
        "the data directory {path} was written by an early Nimbus: expected layout {VERSION}, found {found}, which this \
         build does not read; choose another --data-dir and join with a new token; nothing was changed"
    )]
    Older {
        /// The directory.
        path: PathBuf,
        /// The layout found.
        found: u32,
    },
    /// The version file holds no number.
    #[error(
        "expected a number in {path}, found {found:?}; this is no agent's data directory, choose another --data-dir"
    )]
    Foreign {
        /// The version file.
        path: PathBuf,
        /// What it holds, cut to 40 characters.
        found: String,
    },
    /// The system refuses an operation.
    #[error(
        "expected to read and write {path}, found: {source}; check its owner, permissions and free space"
    )]
    Io {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<LockError> for DataDirError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { dir, holder } => Self::Locked { path: dir, holder },
            LockError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// A data directory that this process owns until this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: DirLock,
}

impl DataDir {
    /// Makes the directory if it is not there, takes its lock and checks its version. From then on it and what is in it
    /// are closed to everybody else, whatever the umask was and whoever made it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |at: &Path| {
            let path = at.to_owned();
            move |source| DataDirError::Io { path, source }
        };
        create_private_dir(path).map_err(io(path))?;
        let path = path.canonicalize().map_err(io(path))?;
        // The version comes first: a newer build may lock in another way.
        let version_path = path.join("version");
        let version = read_optional(&version_path).map_err(io(&version_path))?;
        if let Some(bytes) = &version {
            check_version(&path, &version_path, bytes)?;
        }
        if holds_only(&path, is_own).map_err(io(&path))? {
            own_private_dir(&path).map_err(io(&path))?;
        }
        let lock = DirLock::take(&path)?;
        if version.is_none() {
            let text = format!("{VERSION}\n");
            write_atomic(&version_path, text.as_bytes(), 0o600).map_err(io(&version_path))?;
        }
        let this = Self { path, _lock: lock };
        for sub in [this.identity(), this.spool(), this.journal(), this.baseline()] {
            own_private_dir(&sub).map_err(io(&sub))?;
        }
        Ok(this)
    }

    /// The directory itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Key, certificates and trusted job keys.
    pub fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    /// Observations that are not acknowledged yet.
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Jobs seen.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Baselines of watched files.
    pub fn baseline(&self) -> PathBuf {
        self.path.join("baseline")
    }
}

fn check_version(dir: &Path, file: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    let text = String::from_utf8_lossy(bytes);
    match text.trim().parse::<u32>() {
        Ok(VERSION) => Ok(()),
        Ok(found) if found > VERSION => Err(DataDirError::Newer { path: dir.to_owned(), found }),
        Ok(found) => Err(DataDirError::Older { path: dir.to_owned(), found }),
        Err(_) => {
            let found = text.chars().take(40).collect();
            Err(DataDirError::Foreign { path: file.to_owned(), found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_with_the_first_ones_pid_and_let_in_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn it_is_closed_to_others_also_when_somebody_made_it_before() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let open =
            |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        open(dir.path());
        let all = |data: &DataDir| {
            [data.path().to_owned(), data.identity(), data.spool(), data.journal(), data.baseline()]
        };
        for _ in 0..2 {
            let data = DataDir::open(dir.path()).unwrap();
            for path in all(&data) {
                assert_eq!(mode(&path), 0o700, "{}", path.display());
                open(&path);
            }
        }
    }

    #[test]
    fn a_directory_with_other_things_in_it_is_not_closed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("somebody's"), "").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        drop(DataDir::open(dir.path()).unwrap());
        drop(DataDir::open(dir.path()).unwrap());
        assert_eq!(std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn another_layout_is_refused_and_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        for (found, says) in [(VERSION + 1, "upgrade this agent"), (VERSION - 1, "join with a new token")] {
            std::fs::write(dir.path().join("version"), format!("{found}\n")).unwrap();
            let error = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("found {found}")) && error.contains(says), "{error}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        std::fs::write(dir.path().join("version"), "a diary").unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(DataDirError::Foreign { .. })));
    }
}
