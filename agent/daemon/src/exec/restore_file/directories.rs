//! The parent directories of a restored file: missing ones are created again, and temporary names that a crash left
//! behind are removed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_protocol::ids::JobId;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, fsync, mkdirat, openat, renameat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::watch::files::extended::{self, Forbidding};
use crate::watch::files::place;
use crate::watch::files::restores::RESTORING;
use crate::watch::files::root::Root;

/// The name that a job's new file or directory has until it is whole.
pub(super) fn temporary(job_id: JobId) -> OsString {
    OsString::from(format!("{RESTORING}{job_id}"))
}

/// The owner first: changing it clears the set-user-id bits of the mode.
pub(super) fn set_owner_and_mode(file: BorrowedFd<'_>, should: &Entry) -> io::Result<()> {
    let now = rustix::fs::fstat(file)?;
    if (now.st_uid, now.st_gid) != (should.uid, should.gid) {
        fchown(file, Some(Uid::from_raw(should.uid)), Some(Gid::from_raw(should.gid)))?;
    }
    fchmod(file, Mode::from_raw_mode(should.mode))?;
    Ok(())
}

/// A directory, and a name in it.
pub(super) type Place = (OwnedFd, OsString);

/// The file's directory; parents that are gone are made again as the baseline has them, and noted in `made`.
pub(super) fn parent(
    root: &mut Root,
    relative: &str,
    temporary: &OsStr,
    made: &mut Vec<Place>,
) -> io::Result<Place> {
    match root.open_parent(relative) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let ends = std::iter::once(0).chain(relative.match_indices('/').map(|(at, _)| at));
    for end in ends {
        let above = &relative[..end];
        let (dir, name) = root.open_parent(above)?;
        match rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => continue,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let should = root.baseline(above);
        if should.kind != Kind::Directory {
            return Err(io::Error::new(io::ErrorKind::NotFound, "a parent that the baseline does not have"));
        }
        let mut new = None;
        let prepare = |made: BorrowedFd<'_>| {
            new = Some(place::identity(made)?);
            set_owner_and_mode(made, &should)?;
            let attributes = should.attributes.as_deref();
            attributes.map_or(Ok(()), |attributes| extended::set(made, attributes, Forbidding::Later))
        };
        if make_directory(dir.as_fd(), &name, temporary, prepare)? {
            if let (true, Some(new)) = (above.is_empty(), new) {
                // The root that the baseline saw is gone, and this very directory takes its place.
                root.pin_made(new);
            }
            made.push((dir, name));
        }
    }
    root.open_parent(relative)
}

/// Makes a directory that is there with its owner and mode or not at all: `prepare` sets them while it has another name.
/// False when something else came to its place meanwhile.
pub(super) fn make_directory(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    temporary: &OsStr,
    prepare: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<bool> {
    // Left over from a try of this same job that a crash ended.
    remove_temporary(dir, temporary)?;
    mkdirat(dir, temporary, Mode::RWXU)?;
    let made = (|| -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = openat(dir, temporary, flags, Mode::empty())?;
        prepare(new.as_fd())?;
        fsync(&new)?;
        match renameat_with(dir, temporary, dir, name, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => return Ok(false),
            // A file system that cannot: there an empty directory that came this very moment is replaced, nothing else.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => renameat(dir, temporary, dir, name)?,
            renamed => renamed?,
        }
        fsync(dir)?;
        Ok(true)
    })();
    if !matches!(made, Ok(true)) {
        let _ = unlinkat(dir, temporary, AtFlags::REMOVEDIR);
    }
    made
}

/// Removes what has a job's temporary name: a file, a link or an empty directory. Nothing there is fine.
pub(super) fn remove_temporary(dir: BorrowedFd<'_>, temporary: &OsStr) -> io::Result<()> {
    let is_directory = match rustix::fs::statat(dir, temporary, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let flags = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match unlinkat(dir, temporary, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes what a try of this job that a crash ended left beside the file, or beside a parent that it made again.
pub(super) fn remove_left_over(root: &Root, path: &str, job_id: JobId) -> Result<(), String> {
    let Some(relative) = root.relative(path) else { return Ok(()) };
    let above = std::iter::once(0).chain(relative.match_indices('/').map(|(at, _)| at));
    for end in above.chain([relative.len()]) {
        // Where a directory is gone or cannot be reached, nothing was begun below that could still be there.
        let Ok((dir, _)) = root.open_parent(&relative[..end]) else { return Ok(()) };
        remove_temporary(dir.as_fd(), &temporary(job_id)).map_err(|error| {
            format!("expected to remove {RESTORING}{job_id} at or above {path}, found: {error}")
        })?;
    }
    Ok(())
}
