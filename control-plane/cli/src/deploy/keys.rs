//! The directory with the control plane's keys: made whole, under a name of its own first, with the mark of the run beside
//! the keys, and taken away without anything else that a person keeps there.

use std::io::ErrorKind;

use nimbus_deploy::command::{Command, Program};
use nimbus_deploy::operation::{KEY_FILES, KEYS_MARK};
use nimbus_deploy::step::Seen;
use nimbus_platform::{read_regular_text, sync_parent, write_atomic};

use super::program::Programs;
use crate::error::Failure;
use crate::files;

/// The most bytes of the mark: a name in one line.
const MOST_MARK_BYTES: u64 = 4096;

/// Whether they are there, and whether the run with this mark made them.
pub(super) fn look(programs: &Programs<'_>, directory: &str, mark: Option<&str>) -> Result<Seen, Failure> {
    let keys = programs.directory.path().join(directory);
    if !keys.join(KEY_FILES[0]).is_file() {
        return Ok(Seen::Nothing);
    }
    let path = keys.join(KEYS_MARK);
    match read_regular_text(&path, MOST_MARK_BYTES) {
        Ok(found) if Some(found.as_str()) == mark => Ok(Seen::Ours),
        Ok(_) => Ok(Seen::Theirs),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::Theirs),
        Err(error) => Err(files::unreadable("the mark of the keys", &path, &error)),
    }
}

/// Makes them. The directory is not there, or nothing is in it.
pub(super) fn make(programs: &Programs<'_>, directory: &str, mark: &str) -> Result<(), Failure> {
    // Of a run with this mark that was killed.
    clear(programs, directory, mark)?;
    let made = fill(programs, directory, mark);
    if made.is_err() {
        // What is in the way of removing it is said at the next run; the first error is the one to tell.
        let _ = clear(programs, directory, mark);
    }
    made
}

fn fill(programs: &Programs<'_>, directory: &str, mark: &str) -> Result<(), Failure> {
    let beside = beside(directory, mark);
    programs.printed(&Command::new(Program::Nimbus, &["keys", "create", &beside]))?;
    let from = programs.directory.path().join(&beside);
    let path = from.join(KEYS_MARK);
    write_atomic(&path, mark.as_bytes(), 0o600).map_err(|error| files::unwritable(&path, &error))?;
    let keys = programs.directory.path().join(directory);
    // It takes the place of an empty directory too, and of nothing else.
    std::fs::rename(&from, &keys).and_then(|()| sync_parent(&keys)).map_err(|error| {
        if error.kind() == ErrorKind::DirectoryNotEmpty || error.kind() == ErrorKind::NotADirectory {
            Failure::new(format!("no keys can be made in {}", keys.display()))
                .expected(format!("no such directory, an empty one, or one with {}", KEY_FILES.join(", ")))
                .found("other files, and no ca.pem")
                .next("move them away, or put your own keys there")
        } else {
            files::unwritable(&keys, &error)
        }
    })
}

/// Takes the keys away, and the directory if nothing else is in it.
pub(super) fn remove(programs: &Programs<'_>, directory: &str, mark: &str) -> Result<(), Failure> {
    let keys = programs.directory.path().join(directory);
    for file in KEY_FILES.iter().chain([&KEYS_MARK]) {
        files::gone(&keys.join(file), |path| std::fs::remove_file(path))?;
    }
    match std::fs::remove_dir(&keys) {
        // A file of a person's own stays, with the directory.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(files::unwritable(&keys, &error)),
        Ok(()) | Err(_) => {}
    }
    clear(programs, directory, mark)
}

/// The name under which they are made first.
fn beside(directory: &str, mark: &str) -> String {
    format!(".{directory}-{mark}")
}

/// Removes what a run with this mark left that was killed while it made keys: they may be whole, and belong to nobody.
fn clear(programs: &Programs<'_>, directory: &str, mark: &str) -> Result<(), Failure> {
    if mark.is_empty() {
        return Ok(());
    }
    let (at, name) = (programs.directory.path(), beside(directory, mark));
    let unreadable = |error| files::unreadable("the installation's directory", at, &error);
    for entry in std::fs::read_dir(at).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().to_string_lossy().starts_with(&name) {
            files::gone(&entry.path(), |path| std::fs::remove_dir_all(path))?;
        }
    }
    Ok(())
}
