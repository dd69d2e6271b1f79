//! The lock on a data directory, which allows one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Longest text that is read from a lock file: a process id is far shorter.
const MAX_HOLDER: u64 = 20;

/// A directory that this process holds until the value is dropped. The lock is the kernel's (flock) and ends with the
/// process, so a crash leaves nothing to clean up.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    /// Gives the lock back by name. Closing the file alone would not do: a program that this process is just starting has
    /// a copy of every descriptor until it runs, and the lock would last as long as the copy.
    fn drop(&mut self) {
        // Nobody is left to tell: where the system refuses, the lock ends with the last descriptor.
        let _ = self.file.unlock();
    }
}

/// Why a directory is not locked. The caller says which option names another directory.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, holds it.
    #[error("{} is in use by another process ({holder})", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process id as the lock file has it, or `unknown`.
        holder: String,
    },
    /// The system refuses.
    #[error("{} cannot be locked: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the lock of `dir`, which has to exist: the file `lock` in it, with mode 0600.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = match options.open(&path) {
            Ok(file) => file,
            Err(source) => return Err(LockError::Io { path, source }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: dir.to_owned(), holder: holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
        }
        // The text only tells people who holds the lock, so a full disk must not stop the process here.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }

    /// The lock in the form of an open file, for the standard input of a program that this process starts: the directory stays
    /// taken until that program ends, too, also where this process is killed before. Who reads it finds nothing.
    pub fn share(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(file)
    }
}

/// A copy of an open file that every program which is started while the copy is there gets, too, under the same number; one that
/// does not know of it never touches it.
pub fn inherited(file: &impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::dup(file)?)
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(MAX_HOLDER).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_the_first_ones_pid_and_let_in_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path()).unwrap();
        let error = DirLock::take(dir.path()).unwrap_err();
        let LockError::Held { holder, .. } = &error else { panic!("{error}") };
        assert_eq!(*holder, std::process::id().to_string());
        assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
        drop(first);
        DirLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_that_is_given_back_is_free_while_a_copy_of_its_descriptor_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        // What a program that is being started holds between fork and exec.
        let _copy = held.file.try_clone().unwrap();
        drop(held);
        DirLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_says_nothing_or_nonsense_is_told_as_unknown() {
        for text in [b"".as_slice(), b"\xff\xfe"] {
            let dir = tempfile::tempdir().unwrap();
            let _held = DirLock::take(dir.path()).unwrap();
            std::fs::write(dir.path().join("lock"), text).unwrap();
            let error = DirLock::take(dir.path()).unwrap_err().to_string();
            assert!(error.ends_with("(unknown)"), "{error}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = DirLock::take(Path::new("/no/such/directory")).unwrap_err();
        assert!(error.to_string().starts_with("/no/such/directory/lock cannot be locked"), "{error}");
    }
}
