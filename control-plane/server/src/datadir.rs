//! The data directory: where each file of the control plane lives, and that only one process uses it.
//!
//! Keys and database belong together: agents trust the keys, and what they may do and did is in the database. Where there
//! are keys, a database that is gone or empty has lost its history; the control plane then does not start before it was
//! restored, or before somebody says that a new history is meant. A first start that ended before its database was in use, as on
//! a full disk, has lost nothing: the next one goes on. It is known by a file that it made before its keys, and not by what is
//! missing: what is missing may be lost.

use std::path::{Path, PathBuf};

use nimbus_platform::{
    DirLock, LockError, create_private_dir, holds_only, own_private_dir, read_optional, sync_parent,
    write_atomic,
};

use crate::files::FileError;

/// The file with the highest epoch.
const EPOCH: &str = "epoch";

/// The file that `nimbus backup restore` keeps in a directory until it is complete. Keys without their database, or with a
/// database that is still being filled, must not be started on.
const UNFINISHED: &str = "restore.unfinished";

/// The file that the first start makes before the keys, and removes once it has its epoch. Nobody was served before that.
const FIRST_START: &str = "first-start.unfinished";

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A directory of keys that was given lacks one.
    #[error(
        "expected ca.pem, ca.key, job.key and operator.token in the directory of --keys, found no {missing}; \
         make them with `nimbus keys create DIR`, or give those of the data directory of a control plane whose agents are \
         to stay, the same to every one that stands by",
        missing = .missing.display()
    )]
    KeyMissing {
        /// The file that is not there.
        missing: PathBuf,
    },
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
    /// A restore was begun in it and is not complete.
    #[error(
        "expected a complete data directory at {path}, found a restore that was begun and is not finished; run the same \
         nimbus backup restore again, which completes it",
        path = .0.display()
    )]
    Unfinished(PathBuf),
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
    /// Where the keys are when they were given from outside.
    given_keys: Option<PathBuf>,
    _lock: DirLock,
}

impl DataDir {
    /// Makes the directory if it is missing, closes it to everybody else whatever the umask was and whoever made it, and
    /// takes its lock. With other things in it, it is left as open as it is.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |error| DataDirError::File(FileError::io(path, error));
        create_private_dir(path).map_err(io)?;
        // Absolute, so that what is printed for the operator works from any directory.
        let path = path.canonicalize().map_err(io)?;
        if holds_only(&path, is_own).map_err(io)? {
            own_private_dir(&path).map_err(io)?;
        }
        let lock = DirLock::take(&path)?;
        if path.join(UNFINISHED).try_exists().map_err(io)? {
            return Err(DataDirError::Unfinished(path));
        }
        Ok(Self { path, given_keys: None, _lock: lock })
    }

    /// As [`Self::open`]; the keys are those in `keys` when it is given, where all of them have to be: nothing is made or
    /// changed there.
    pub fn open_with_keys(path: &Path, keys: Option<&Path>) -> Result<Self, DataDirError> {
        let mut opened = Self::open(path)?;
        opened.given_keys = keys.map(Path::to_owned);
        let needed = [opened.ca_pem(), opened.ca_key(), opened.job_key(), opened.operator_token()];
        match (keys, needed.into_iter().find(|file| !file.exists())) {
            (Some(_), Some(missing)) => Err(DataDirError::KeyMissing { missing }),
            (Some(_) | None, _) => Ok(opened),
        }
    }

    /// Were the keys made elsewhere?
    pub fn has_given_keys(&self) -> bool {
        self.given_keys.is_some()
    }

    /// Where the keys are: in it, or in the directory that was given for them.
    pub fn keys_dir(&self) -> &Path {
        self.given_keys.as_ref().unwrap_or(&self.path)
    }

    fn key(&self, name: &str) -> PathBuf {
        self.keys_dir().join(name)
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The own CA's certificate; public.
    pub fn ca_pem(&self) -> PathBuf {
        self.key("ca.pem")
    }

    /// The own CA's private key.
    pub fn ca_key(&self) -> PathBuf {
        self.key("ca.key")
    }

    /// The key that signs jobs.
    pub fn job_key(&self) -> PathBuf {
        self.key("job.key")
    }

    /// The operator's bearer token.
    pub fn operator_token(&self) -> PathBuf {
        self.key("operator.token")
    }

    /// Has a control plane been here before? It makes its keys only once its database is open.
    pub fn has_keys(&self) -> bool {
        [self.ca_key(), self.job_key(), self.operator_token()].iter().any(|path| path.exists())
    }

    /// Are all keys there that a control plane makes?
    pub fn has_all_keys(&self) -> bool {
        [self.ca_key(), self.job_key(), self.operator_token()].iter().all(|path| path.exists())
    }

    /// The highest epoch that a control plane with these keys took, as far as is known; 0 for none.
    pub fn epoch(&self) -> Result<u64, DataDirError> {
        let path = self.path.join(EPOCH);
        let text = read_optional(&path).map_err(|error| FileError::io(&path, error))?.unwrap_or_default();
        // Damaged, it says nothing; the database has its own.
        Ok(String::from_utf8_lossy(&text).trim().parse().unwrap_or(0))
    }

    /// Remembers that this epoch was taken: a database that is restored from a backup does not know it. A first start is
    /// finished with it: from here on, the keys have a history.
    pub fn note_epoch(&self, epoch: u64) -> Result<(), DataDirError> {
        let path = self.path.join(EPOCH);
        write_atomic(&path, format!("{epoch}\n").as_bytes(), 0o600)
            .map_err(|error| FileError::io(&path, error))?;
        remove(&self.path.join(FIRST_START))
    }

    /// To be called before keys are made where there are none: until [`Self::note_epoch`], they have no history.
    pub fn begin_first_start(&self) -> Result<(), DataDirError> {
        let path = self.path.join(FIRST_START);
        Ok(write_atomic(&path, b"", 0o600).map_err(|error| FileError::io(&path, error))?)
    }

    /// Were the keys made by a first start that ended before it had its epoch? Then no database belongs to them that could be
    /// lost. Where an epoch was noted, whatever it is, the first start was finished.
    pub fn is_first_start_unfinished(&self) -> Result<bool, DataDirError> {
        let is_there = |name| {
            let path = self.path.join(name);
            path.try_exists().map_err(|error| FileError::io(&path, error))
        };
        Ok(is_there(FIRST_START)? && !is_there(EPOCH)?)
    }

    /// Removes the CA's key if an unfinished first start came only as far as that: the key is written before the certificate,
    /// which was not shown to anybody.
    pub fn remove_half_made_ca(&self) -> Result<(), DataDirError> {
        // Keys that were given are read only.
        if self.has_given_keys() || !self.is_first_start_unfinished()? {
            return Ok(());
        }
        let pem = self.ca_pem();
        match pem.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => remove(&self.ca_key()),
            Err(error) => Err(FileError::io(&pem, error).into()),
        }
    }

    /// The embedded database, used unless another one is named.
    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.path.join("nimbus.db").display())
    }
}

/// Removes a file for good, if it is there.
fn remove(path: &Path) -> Result<(), DataDirError> {
    let removed = match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| sync_parent(path)),
    };
    Ok(removed.map_err(|error| FileError::io(path, error))?)
}

/// May something of this name be in it? `agent` is the one of `nimbus up`.
fn is_own(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    matches!(
        name,
        "agent"
            | "ca.key"
            | "ca.pem"
            | "epoch"
            | "job.key"
            | "lock"
            | "lost+found"
            | "operator.token"
            | FIRST_START
            | UNFINISHED
    ) || name.starts_with("nimbus.db")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_closed_to_others_unless_it_holds_what_is_not_ours() {
        for (inside, expected) in [(&["agent", "nimbus.db-wal", "ca.key.new"][..], 0o700), (&["mail"], 0o755)]
        {
            let dir = tempfile::tempdir().unwrap();
            for name in inside {
                std::fs::write(dir.path().join(name), "").unwrap();
            }
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            drop(DataDir::open(dir.path()).unwrap());
            let mode = std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{inside:?}");
        }
    }

    #[test]
    fn the_highest_epoch_is_remembered_and_a_damaged_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.epoch().unwrap(), 0);
        data.note_epoch(57).unwrap();
        assert_eq!(data.epoch().unwrap(), 57);
        std::fs::write(dir.path().join(EPOCH), "\u{1}7").unwrap();
        assert_eq!(data.epoch().unwrap(), 0);
    }

    #[test]
    fn only_a_first_start_that_says_so_is_unfinished_and_only_until_an_epoch_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        std::fs::write(data.ca_key(), "").unwrap();
        assert!(
            !data.is_first_start_unfinished().unwrap(),
            "an epoch that is lost is not one that was never taken"
        );
        data.remove_half_made_ca().unwrap();
        assert!(data.ca_key().exists(), "half a CA of a finished start is for a person to look at");
        data.begin_first_start().unwrap();
        assert!(data.is_first_start_unfinished().unwrap());
        data.remove_half_made_ca().unwrap();
        assert!(!data.ca_key().exists());
        for name in ["ca.key", "ca.pem"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        data.remove_half_made_ca().unwrap();
        assert!(data.ca_key().exists(), "a whole CA stays");
        data.note_epoch(1).unwrap();
        assert!(!data.is_first_start_unfinished().unwrap() && !dir.path().join(FIRST_START).exists());
        // As after a loss of power between the two: the epoch counts, even one that cannot be read.
        data.begin_first_start().unwrap();
        std::fs::write(dir.path().join(EPOCH), "\u{1}7").unwrap();
        assert!(!data.is_first_start_unfinished().unwrap());
    }

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
    fn nothing_starts_on_a_restore_that_is_not_finished() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(UNFINISHED), "id\n").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("nimbus backup restore"), "{error}");
        std::fs::remove_file(dir.path().join(UNFINISHED)).unwrap();
        assert!(DataDir::open(dir.path()).is_ok());
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
