//! Writes small files atomically: the contexts file and the agent's managed policy.

use std::io::Write as _;
use std::path::Path;

use crate::error::Failure;

/// A file that comes to be whole, readable by its owner alone: a reader sees the old file or the new one, never half of
/// one.
///
/// What is written first has a name of its own, because no lock keeps two commands from writing one file at once, and
/// goes away when the value is dropped before its end.
pub struct NewFile<'a> {
    path: &'a Path,
    file: tempfile::NamedTempFile,
}

impl<'a> NewFile<'a> {
    /// Begins one that is to be `path`; its directory has to exist. What is there and is no file (a device as well: for root
    /// the rename would take its place) is refused.
    pub fn begin(path: &'a Path) -> Result<Self, Failure> {
        if let Ok(there) = path.symlink_metadata()
            && !there.is_file()
            && !there.is_symlink()
        {
            return Err(is_no_file(path, there.file_type()));
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match tempfile::NamedTempFile::new_in(dir) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// Adds to it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| unwritable(self.path, &error))
    }

    /// Puts it in its place, once it is on the disk.
    pub fn finish(self) -> Result<(), Failure> {
        let synced = self.file.as_file().sync_all();
        synced
            .and_then(|()| self.file.persist(self.path).map(drop).map_err(|error| error.error))
            .map_err(|error| unwritable(self.path, &error))
    }

    /// As [`Self::finish`], and an error where something is in its place already.
    pub fn finish_new(self) -> Result<(), Failure> {
        let path = self.path;
        let synced = self.file.as_file().sync_all();
        synced
            .and_then(|()| self.file.persist_noclobber(path).map(drop).map_err(|error| error.error))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => taken(path),
                _ => unwritable(path, &error),
            })
    }
}

/// Removes what is at `path` by `remove`, if anything is there.
pub fn gone(path: &Path, remove: fn(&Path) -> std::io::Result<()>) -> Result<(), Failure> {
    match remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What to say when something is at `path` that is not to be replaced.
pub fn taken(path: &Path) -> Failure {
    Failure::new(format!("{} is there already", path.display()))
        .exit(crate::exit::Exit::Refused)
        .expected("the path of a new file")
        .found("something that is not replaced unasked")
        .next("name another file, or give --force to replace it")
}

/// What to say when something is at `path` that no file takes the place of: a directory, a device, a pipe, a link.
pub fn is_no_file(path: &Path, kind: std::fs::FileType) -> Failure {
    let (what, next) = if kind.is_dir() {
        ("a directory", "name a file in it")
    } else if kind.is_symlink() {
        ("a symbolic link", "name the file that it leads to, or another one")
    } else {
        ("a device, a pipe or a socket", "name another file")
    };
    Failure::new(format!("{} is {what}", path.display()))
        .exit(crate::exit::Exit::Refused)
        .expected("the path of a new file, or with --force of a regular one")
        .found(format!("{what}, which is never replaced"))
        .next(next)
}

/// What to say when `what` at `path` cannot be read.
pub fn unreadable(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{what} cannot be read"))
        .expected(format!("a readable file at {}", path.display()))
        .found(reason(error))
        .next(remedy(error))
}

/// What to say when `path` cannot be written.
pub fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written", path.display()))
        .expected("a directory of one's own with room in it")
        .found(reason(error))
        .next(remedy(error))
}

/// The system's reason in lower case, without its number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        _ if nimbus_platform::is_full(error) => {
            "make room on that file system, then run the same command again"
        }
        std::io::ErrorKind::PermissionDenied => "run it as the file's owner, or change the permissions",
        std::io::ErrorKind::ReadOnlyFilesystem => "name a place on a writable file system",
        std::io::ErrorKind::FileTooLarge | std::io::ErrorKind::InvalidData => "is it the file that is meant?",
        std::io::ErrorKind::InvalidInput => {
            "name a regular file; what a pipe gives is to be written into one first"
        }
        _ => "check the path, then run the same command again",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pipe into which nobody writes.
    pub fn pipe(path: &Path) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    #[test]
    fn a_file_is_replaced_once_it_is_whole_and_nothing_is_left_beside_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "old").unwrap();
        let mut abandoned = NewFile::begin(&path).unwrap();
        abandoned.write(b"half").unwrap();
        let (mut first, mut second) = (NewFile::begin(&path).unwrap(), NewFile::begin(&path).unwrap());
        first.write(b"one").unwrap();
        second.write(b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        first.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one", "the second writer is not in its way");
        second.finish().unwrap();
        drop(abandoned);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_reason_reads_as_part_of_a_sentence() {
        let error = std::fs::read("/nowhere/at/all").unwrap_err();
        assert_eq!(reason(&error), "no such file or directory");
    }
}
