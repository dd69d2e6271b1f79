//! Writes or removes the file or link of a restore, if what is at its path is still what the plan expects.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nimbus_agent_core::action::file::as_expected;
use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fsync, openat, renameat, symlinkat, unlinkat,
};

use super::super::remedy::{ActError, precondition};
use super::directories::{Place, remove_temporary, set_owner_and_mode, temporary};
use crate::watch::files::root::Root;
use crate::watch::files::tree;

/// Set when nobody waits for the change any more: the flow has given the job up, so it must not come later.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn check(&self) -> Result<(), ActError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(ActError::Failed("expected to act in time, found the time over".to_owned()));
        }
        Ok(())
    }
}

/// Stops the work when the future that waits for it is dropped.
pub(super) struct StopOnDrop(pub(super) Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

pub(super) fn failed(what: &str, error: &io::Error) -> ActError {
    ActError::Failed(format!("expected to {what}, found: {error}"))
}

/// Replaces or removes what stands at its place, if it is still what was planned on.
pub(super) fn replace(
    root: &Root,
    action: &v1::RestoreFile,
    (relative, baseline, content): (&str, &Entry, &[u8]),
    (dir, name): Place,
    job_id: JobId,
    stop: &Stop,
) -> Result<String, ActError> {
    let before = root.look(relative);
    let expected = action.expect_current.as_ref();
    as_expected(expected, &before.entry.to_state()).map_err(ActError::Refused)?;
    if before.entry.kind == Kind::Directory {
        return Err(ActError::Refused(precondition("expected no directory in its place, found one")));
    }
    let done = match baseline.kind {
        Kind::Absent => {
            unchanged(root, relative, dir.as_fd(), &name, &before)?;
            stop.check()?;
            unlinkat(&dir, &name, AtFlags::empty()).map_err(|error| failed("remove it", &error.into()))?;
            "removed what should not be there"
        }
        Kind::File if only_mode(&before.entry, baseline) => {
            set_mode(dir.as_fd(), &name, expected, baseline, stop)?;
            "set the mode"
        }
        _ => {
            let temporary = temporary(job_id);
            let new = New { temporary: &temporary, should: baseline, content };
            let placed = place(root, relative, dir.as_fd(), &name, &new, &before, stop);
            if placed.is_err() {
                let _ = unlinkat(&dir, &temporary, AtFlags::empty());
            }
            placed?;
            "put back content, mode and owner"
        }
    };
    fsync(&dir).map_err(|error| {
        ActError::Uncertain(format!("it is done, but the disk did not confirm it: {error}"))
    })?;
    Ok(format!("{done}: {}", action.path))
}

/// True where the file itself may stay. A new owner, or bits that lend the owner's rights, are only ever given to a new
/// file: nobody can have it open for writing.
fn only_mode(now: &Entry, should: &Entry) -> bool {
    now.kind == Kind::File
        && now.sha256 == should.sha256
        && (now.uid, now.gid) == (should.uid, should.gid)
        && should.mode & 0o6000 == 0
}

/// Sets the mode of the file that stands there, if that very file, read again once it is open, is what was planned on.
fn set_mode(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    expected: Option<&v1::FileFacts>,
    should: &Entry,
    stop: &Stop,
) -> Result<(), ActError> {
    let failed = |error: io::Error| ActError::Failed(format!("expected to set its mode, found: {error}"));
    let mut file = tree::open_file(dir, name).map_err(failed)?;
    let examined = tree::read_open(&mut file).map_err(failed)?;
    as_expected(expected, &examined.entry.to_state()).map_err(ActError::Refused)?;
    let links = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?.st_nlink;
    if links > 1 {
        return Err(ActError::Refused(precondition(format!(
            "expected a file of one name, found {links}: changing it would change it under its other names too"
        ))));
    }
    let stands = tree::stamp(dir, name).map(|(_, stamp)| stamp);
    if examined.stamp.is_none() || stands != examined.stamp {
        return Err(ActError::Refused(precondition(
            "expected the file as it was checked, found it changed meanwhile",
        )));
    }
    stop.check()?;
    fchmod(&file, Mode::from_raw_mode(should.mode)).map_err(|error| failed(error.into()))?;
    fsync(&file)
        .map_err(|error| ActError::Uncertain(format!("it is done, but the disk did not confirm it: {error}")))
}

/// What is to stand there, and its name until it does.
struct New<'a> {
    temporary: &'a OsStr,
    should: &'a Entry,
    content: &'a [u8],
}

fn place(
    root: &Root,
    relative: &str,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    new: &New<'_>,
    before: &tree::Examined,
    stop: &Stop,
) -> Result<(), ActError> {
    let New { temporary, should, content } = *new;
    let failed = |error: io::Error| failed("write a new file beside it", &error);
    // Left over from a try of this same job that a crash ended.
    remove_temporary(dir, temporary).map_err(failed)?;
    write_new(dir, temporary, should, content).map_err(failed)?;
    unchanged(root, relative, dir, name, before)?;
    stop.check()?;
    renameat(dir, temporary, dir, name).map_err(|error| failed(error.into()))
}

/// The last look before the point of no return; an unchanged stamp vouches for the content.
pub(super) fn unchanged(
    root: &Root,
    relative: &str,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    before: &tree::Examined,
) -> Result<(), ActError> {
    let unchanged = match (&before.stamp, tree::stamp(dir, name)) {
        (Some(then), Some((_, now))) if *then == now => true,
        _ => root.look(relative).entry.same(&before.entry),
    };
    if unchanged {
        return Ok(());
    }
    Err(ActError::Refused(precondition("expected the file as it was checked, found it changed meanwhile")))
}

fn write_new(dir: BorrowedFd<'_>, temporary: &OsStr, should: &Entry, content: &[u8]) -> io::Result<()> {
    if should.kind == Kind::Symlink {
        symlinkat(OsStr::from_bytes(content), dir, temporary)?;
        let (uid, gid) = (Uid::from_raw(should.uid), Gid::from_raw(should.gid));
        let stat = rustix::fs::statat(dir, temporary, AtFlags::SYMLINK_NOFOLLOW)?;
        if (stat.st_uid, stat.st_gid) != (should.uid, should.gid) {
            chownat(dir, temporary, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(dir, temporary, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(content)?;
    set_owner_and_mode(file.as_fd(), should)?;
    file.sync_all()
}
