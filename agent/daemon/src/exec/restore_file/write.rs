//! Writes or removes the file or link of a restore, if what is at its path is still what the plan expects.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::file::as_expected;
use nimbus_agent_core::observe::file::outlook::{Around, Way, outlook};
use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fsync, openat, renameat, symlinkat, unlinkat,
};

use super::super::remedy::{ActError, precondition};
use super::directories::{Place, remove_temporary, set_owner_and_mode, temporary};
use super::in_place;
use super::stop::{Stop, failed};
use crate::watch::files::around::holders;
use crate::watch::files::extended::{self, Forbidding};
use crate::watch::files::place::identity;
use crate::watch::files::root::Root;
use crate::watch::files::tree;

/// Replaces, writes or removes what stands at its place, if it is still what was planned on and nothing is in the way.
pub(super) fn put_back(
    root: &Root,
    action: &v1::RestoreFile,
    (relative, baseline, content): (&str, &Entry, &[u8]),
    (dir, name): Place,
    job_id: JobId,
    stop: &Stop,
) -> Result<String, ActError> {
    let before = tree::examine(dir.as_fd(), &name);
    let expected = action.expect_current.as_ref();
    as_expected(expected, &before.entry.to_state()).map_err(ActError::Refused)?;
    let mut around = root.around(relative, (dir.as_fd(), &name), baseline, &before.entry);
    around.holders = before.entry.held.map_or(0, |held| holders(&held.identity));
    let outlook = outlook(baseline, &before.entry, &around);
    let way = outlook.way.map_err(|(_, reason)| ActError::Refused(in_the_way(action, &reason)))?;
    // What the baseline does not know of the file is kept as it is now.
    let mut should = baseline.clone();
    if should.attributes.is_none() {
        should.attributes.clone_from(&before.entry.attributes);
    }
    let done = match way {
        Way::Remove => {
            unchanged(root, relative, dir.as_fd(), &name, &before)?;
            stop.check()?;
            unlinkat(&dir, &name, AtFlags::empty()).map_err(|error| failed("remove it", &error.into()))?;
            "removed what should not be there".to_owned()
        }
        Way::Attributes => {
            same_directory(root, relative, dir.as_fd())?;
            set_attributes(dir.as_fd(), &name, expected, &should, stop)?;
            "set mode and attributes of the file that is there".to_owned()
        }
        Way::InPlace => {
            same_directory(root, relative, dir.as_fd())?;
            in_place::write(root, (dir.as_fd(), &name), &before, (&should, content), job_id, stop)?;
            format!("wrote it in place, as {}", held_by(&before.entry, &around))
        }
        Way::Replace => {
            let temporary = temporary(job_id);
            let new = New { temporary: &temporary, should: &should, content };
            let placed = place(root, relative, dir.as_fd(), &name, &new, &before, stop);
            if placed.is_err() {
                let _ = unlinkat(&dir, &temporary, AtFlags::empty());
            }
            placed?;
            "put a new file in its place, with content, mode, owner and attributes".to_owned()
        }
    };
    fsync(&dir).map_err(|error| {
        ActError::Uncertain(format!("it is done, but the disk did not confirm it: {error}"))
    })?;
    let said = format!("{done}: {}", action.path);
    if outlook.loses.is_empty() {
        return Ok(said);
    }
    Ok(format!("{said} ({})", outlook.loses.join("; ")))
}

/// The refusal where something is in the way of a restore.
pub(super) fn in_the_way(action: &v1::RestoreFile, reason: &str) -> Refusal {
    precondition(format!("expected to be able to put {} back, found: {reason}", action.path))
}

/// Why a file is written in place.
fn held_by(now: &Entry, around: &Around) -> String {
    let names = now.held.map_or(1, |held| held.names);
    let mut all = Vec::new();
    if names > 1 {
        all.push(format!("it has {names} names"));
    }
    if around.is_mount {
        all.push("it is mounted there".to_owned());
    }
    if around.holders > 0 {
        let processes = if around.holders == 1 { "process has" } else { "processes have" };
        all.push(format!("{} {processes} it open", around.holders));
    }
    all.join(" and ")
}

/// Sets mode and attributes of the file that stands there, if that very file, read again once it is open, is what was
/// planned on.
fn set_attributes(
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
    let stands = tree::stamp(dir, name).map(|(_, stamp)| stamp);
    if examined.stamp.is_none() || stands != examined.stamp {
        return Err(ActError::Refused(precondition(
            "expected the file as it was checked, found it changed meanwhile",
        )));
    }
    stop.check()?;
    fchmod(&file, Mode::from_raw_mode(should.mode)).map_err(|error| failed(error.into()))?;
    // From here on something is changed.
    let uncertain =
        |what: &str, error: &io::Error| ActError::Uncertain(format!("its mode is set, {what}: {error}"));
    if let Some(attributes) = &should.attributes {
        extended::set(file.as_fd(), attributes, Forbidding::Set)
            .map_err(|error| uncertain("its attributes could not be", &error))?;
    }
    fsync(&file).map_err(|error| uncertain("but the disk did not confirm it", &error.into()))
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
    renameat(dir, temporary, dir, name).map_err(|error| failed(error.into()))?;
    match &should.attributes {
        Some(attributes) if extended::forbids_changes(attributes.flags) => {
            let set = tree::open_file(dir, name)
                .and_then(|file| extended::set(file.as_fd(), attributes, Forbidding::Set));
            set.map_err(|error| {
                ActError::Uncertain(format!("it is in its place, but its flags could not be set: {error}"))
            })
        }
        Some(_) | None => Ok(()),
    }
}

/// The last look before the point of no return; an unchanged stamp vouches for the content.
pub(super) fn unchanged(
    root: &Root,
    relative: &str,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    before: &tree::Examined,
) -> Result<(), ActError> {
    same_directory(root, relative, dir)?;
    let unchanged = match (&before.stamp, tree::stamp(dir, name)) {
        (Some(then), Some((_, now))) if *then == now => true,
        _ => tree::examine(dir, name).entry.same(&before.entry),
    };
    if unchanged {
        return Ok(());
    }
    Err(ActError::Refused(precondition("expected the file as it was checked, found it changed meanwhile")))
}

/// Is the directory that was opened still the one that the path leads to? What was moved away is nobody's root any more.
fn same_directory(root: &Root, relative: &str, dir: BorrowedFd<'_>) -> Result<(), ActError> {
    let failed = |error: io::Error| failed("open its directory again", &error);
    let (now, _) = root.open_parent(relative).map_err(failed)?;
    let opened = identity(dir).map_err(failed)?;
    if opened.is(&identity(now.as_fd()).map_err(failed)?, true) {
        return Ok(());
    }
    Err(ActError::Refused(precondition("expected the directory that was opened, found another in its place")))
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
    if let Some(attributes) = &should.attributes {
        extended::set(file.as_fd(), attributes, Forbidding::Later)?;
    }
    file.sync_all()
}
