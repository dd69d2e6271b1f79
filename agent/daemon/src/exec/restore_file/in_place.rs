//! Writes a file where it is, because others hold it by another name, by a mount or open: they see the change, and its
//! names stay together.
//!
//! A crash on the way leaves a file that is partly new. So a copy of what was there is durable in the agent's own data
//! before the first byte is written, and put back by the next start: only if what stands there is block by block one of
//! the two, since whatever else it is somebody wrote after the crash.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;

use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_protocol::ids::JobId;
use rustix::fs::{Mode, OFlags, fchmod, fsync, openat};

use super::super::remedy::{ActError, precondition};
use super::stop::{Stop, failed};
use crate::watch::files::extended::{self, Forbidding};
use crate::watch::files::root::Root;
use crate::watch::files::tree;

/// What is written at once as far as a crash is concerned: the least that file systems and pages have.
const BLOCK: usize = 4096;

/// Writes `content` with `should`'s mode and attributes into the very file that was examined.
pub(super) fn write(
    root: &Root,
    (dir, name): (BorrowedFd<'_>, &OsStr),
    before: &tree::Examined,
    (should, content): (&Entry, &[u8]),
    job_id: JobId,
    stop: &Stop,
) -> Result<(), ActError> {
    let Some(old) = &before.content else {
        return Err(ActError::Failed("expected to have read what is there, found nothing".to_owned()));
    };
    let to_open = |error: io::Error| failed("open it for writing", &error);
    let file = open(dir, name).map_err(to_open)?;
    let mut reader = file.try_clone().map_err(to_open)?;
    let again = tree::read_open(&mut reader).map_err(to_open)?;
    if again.stamp.is_none() || again.stamp != before.stamp {
        return Err(ActError::Refused(precondition(
            "expected the file as it was checked, found it changed meanwhile",
        )));
    }
    let copies = root.baselines();
    copies.keep_copy(job_id, old).map_err(|error| failed("keep a copy of what is there", &error))?;
    let done = stop.check().and_then(|()| {
        nimbus_platform::reached("agent::in_place");
        overwrite(&file, content, should).map_err(|error| {
            // What was written is taken back at once; nothing is known of it only where even that fails.
            match overwrite(&file, old, &before.entry) {
                Ok(()) => failed("write it in place; what was there is back", &error),
                Err(worse) => ActError::Uncertain(format!(
                    "expected to write it in place, found: {error}; what was there could not be put back: {worse}"
                )),
            }
        })
    });
    if !matches!(done, Err(ActError::Uncertain(_))) {
        // One that stays is removed with the job.
        let _ = copies.remove_copy(job_id);
    }
    done
}

/// The file for reading and writing, by no link.
fn open(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

fn overwrite(file: &File, content: &[u8], should: &Entry) -> io::Result<()> {
    file.write_all_at(content, 0)?;
    file.set_len(content.len() as u64)?;
    fchmod(file, Mode::from_raw_mode(should.mode))?;
    if let Some(attributes) = &should.attributes {
        extended::set(file.as_fd(), attributes, Forbidding::Set)?;
    }
    fsync(file)?;
    Ok(())
}

/// After a crash: puts back what was there, if what stands there now is what the crash left half written.
pub(super) fn recover(root: &Root, relative: &str, should: &Entry, job_id: JobId) -> Result<(), String> {
    let copies = root.baselines();
    let problem = |what: &str, error: &io::Error| format!("expected to {what}, found: {error}");
    let old = copies.copy(job_id).map_err(|error| problem("read the copy of what was there", &error))?;
    let Some(old) = old else { return Ok(()) };
    if let Some(why) = root.astray() {
        // Kept until what it belongs to is there again.
        return Err(why);
    }
    let new = should.sha256.and_then(|hash| copies.blob(&hash).ok().flatten());
    let now = root.look(relative);
    if let (Kind::File, Some(now), Some(new)) = (now.entry.kind, &now.content, &new)
        && now != new
        && is_between(now, &old, new)
    {
        let (dir, name) =
            root.open_parent(relative).map_err(|error| problem("open its directory", &error))?;
        let file = open(dir.as_fd(), &name).map_err(|error| problem("open it for writing", &error))?;
        file.write_all_at(&old, 0)
            .and_then(|()| file.set_len(old.len() as u64))
            .and_then(|()| file.sync_all())
            .map_err(|error| problem("put back what was there", &error))?;
    }
    copies.remove_copy(job_id).map_err(|error| problem("remove the copy of what was there", &error))
}

/// Is `now` what a write of `new` over `old` can leave when it ends half-way: each block from one of the two, in a length
/// that it had on the way?
fn is_between(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    let longest = old.len().max(new.len());
    if now.len() != longest && now.len() != new.len() && now.len() != old.len() {
        // While it grows it ends where the write came to.
        if now.len() < old.len() || !new.starts_with(now) {
            return false;
        }
    }
    now.chunks(BLOCK).enumerate().all(|(number, block)| {
        let at = number * BLOCK;
        let of = |all: &[u8]| all.get(at..).is_some_and(|rest| rest.starts_with(block));
        // Inside one block the write may have ended at any byte.
        let mixed = || {
            let split =
                block.iter().zip(new.get(at..).unwrap_or_default()).take_while(|(a, b)| a == b).count();
            old.get(at + split..).is_some_and(|rest| rest.starts_with(&block[split..]))
        };
        of(old) || of(new) || mixed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_leaves_is_told_from_what_somebody_wrote_since() {
        let (old, new) = (b"port = 8080\nhost = a\n".as_slice(), b"port = 80\n".as_slice());
        for left in [
            b"port = 8080\nhost = a\n".as_slice(),
            b"port = 80\n0\nhost = a\n".as_slice(),
            b"port = 80\nhost = a\n".get(..10).unwrap(),
        ] {
            assert!(is_between(left, old, new), "{:?}", String::from_utf8_lossy(left));
        }
        for others in [b"port = 9090\nhost = a\n".as_slice(), b"port = 80\nhost = b\n", b"", b"port"] {
            assert!(!is_between(others, old, new), "{:?}", String::from_utf8_lossy(others));
        }
        // Of a longer file, whole blocks of either, and the growth up to where it came.
        let (old, new) = (vec![b'o'; 3 * BLOCK], vec![b'n'; 5 * BLOCK]);
        let mixed = [&new[..BLOCK], &old[BLOCK..2 * BLOCK], &new[2 * BLOCK..3 * BLOCK]].concat();
        assert!(is_between(&mixed, &old, &new));
        assert!(is_between(&new[..4 * BLOCK + 7], &old, &new), "it was growing");
        let touched = [&mixed[..], b"n"].concat();
        assert!(!is_between(&touched[..touched.len() - 2], &old, &new), "cut by somebody");
    }
}
