//! Puts a watched file back to its baseline: content, mode and owner, or its absence.
//!
//! Content is replaced by way of a temporary file in the same directory, synced before it is renamed, so that a crash
//! leaves the old or the new file and never a half one; a parent that is gone is made the same way. No symbolic link is followed. Where only plain permission bits
//! differ, the file stays and only those are changed, on the very file that was checked. Once the time to act is over
//! nothing is changed any more.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_agent_core::preconditions;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase as Told;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid, chownat, fchmod, fchown, fsync, mkdirat, openat,
    renameat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Shared;
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use crate::watch::files::root::{RESTORING, Root};
use crate::watch::files::tree::{self, MAX_HASHED, MAX_RESTORABLE};

pub(super) struct RestoreFile {
    shared: Arc<Shared>,
    job_id: String,
    order: v1::RestoreFile,
    limits: Limits,
}

impl RestoreFile {
    pub(super) fn new(shared: Arc<Shared>, job: &Admitted<v1::Job>, order: v1::RestoreFile) -> Self {
        let limits = Limits::of(job.get());
        Self { shared, job_id: job.get().job_id.clone(), order, limits }
    }

    async fn at_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Root, &v1::RestoreFile) -> T + Send + 'static,
    ) -> Option<T> {
        let order = self.order.clone();
        self.shared.files.with(&self.order.root, move |root| work(root, &order)).await
    }

    /// Tells what stands there now, if the root is free before it is too late; the watcher tells it otherwise.
    async fn look_again(&self, until: tokio::time::Instant) {
        let looked = self.shared.files.look_again(&self.order.root, self.order.path.clone());
        let _ = tokio::time::timeout_at(until, looked).await;
    }

    /// Is the file what it should be? `None` when its root is not watched.
    async fn is_right(&self) -> Option<bool> {
        self.at_root(|root, order| {
            let relative = root.relative(&order.path)?.to_owned();
            let to = order.restore_to.clone().unwrap_or_default();
            Some(preconditions::file(&to, &root.look(&relative, 0).entry.to_state()).is_ok())
        })
        .await?
    }
}

/// Set when nobody waits for the change any more: the flow has given the job up, so it must not come later.
#[derive(Debug, Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn check(&self) -> Result<(), ActError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(ActError::Failed("expected to act in time, found the time over".to_owned()));
        }
        Ok(())
    }
}

/// Stops the work when the future that waits for it is dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

fn temporary(job_id: &str) -> OsString {
    OsString::from(format!("{RESTORING}{job_id}"))
}

/// The path below the root, or why there is none.
pub(super) fn relative(root: &Root, path: &str) -> Result<String, Refusal> {
    root.relative(path).map(str::to_owned).ok_or_else(|| {
        precondition(format!("expected a path below the watched root {}, found {path}", root.text()))
    })
}

/// A root that this agent does not watch.
pub(super) fn unwatched(root: &str) -> Refusal {
    precondition(format!("expected {root} to be a watched root of this agent, found that it is not"))
}

/// What is wanted, with its content, if all is as it was planned.
fn wanted(root: &Root, order: &v1::RestoreFile) -> Result<(String, Entry, Vec<u8>), Refusal> {
    let relative = relative(root, &order.path)?;
    let to = order.restore_to.clone().unwrap_or_default();
    let baseline = root.baseline(&relative);
    preconditions::file(&to, &baseline.to_state()).map_err(|refusal| {
        precondition(format!("the baseline changed since the plan: {}", refusal.reason))
    })?;
    let expected = order.expect_current.clone().unwrap_or_default();
    let now = root.look(&relative, 0).entry;
    preconditions::file(&expected, &now.to_state())?;
    if baseline.size.max(now.size) > MAX_HASHED {
        return Err(precondition(format!(
            "expected a file of at most {} MiB, found a larger one: such files are compared by size and time alone \
             and never restored",
            MAX_HASHED >> 20
        )));
    }
    if baseline.kind == Kind::Absent && root.is_blind(&relative) {
        return Err(precondition(
            "expected to know what was there when the baseline was taken, found that its directory could not be \
             read then: nothing is removed there",
        ));
    }
    let content = match baseline.kind {
        Kind::Absent => Vec::new(),
        Kind::File | Kind::Symlink => content(root, &baseline)?,
        kind => {
            return Err(precondition(format!("expected a file or a link in the baseline, found {kind:?}")));
        }
    };
    Ok((relative, baseline, content))
}

fn content(root: &Root, baseline: &Entry) -> Result<Vec<u8>, Refusal> {
    let why = if baseline.size > MAX_RESTORABLE {
        format!("it is {} bytes, and content over {} KiB is not kept", baseline.size, MAX_RESTORABLE >> 10)
    } else {
        "it was not kept when the baseline was taken, or is damaged".to_owned()
    };
    let blob = baseline.sha256.map(|hash| root.baselines().blob(&hash));
    match blob {
        Some(Ok(Some(content))) => Ok(content),
        Some(Err(error)) => Err(precondition(format!("expected the baseline's content, found: {error}"))),
        _ => Err(precondition(format!("expected the baseline's content, found that {why}"))),
    }
}

/// Puts one path back. Everything that fails does so before the rename: nothing is changed then.
fn put_back(root: &mut Root, order: &v1::RestoreFile, job_id: &str, stop: &Stop) -> Result<String, ActError> {
    // It may have waited long for the root.
    stop.check()?;
    let (relative, baseline, content) = wanted(root, order).map_err(ActError::Refused)?;
    let mut made = Vec::new();
    let done = parent(root, &relative, &temporary(job_id), &mut made)
        .map_err(|error| failed("open its directory", &error))
        .and_then(|place| replace(root, order, (&relative, &baseline, &content), place, job_id, stop));
    if matches!(done, Err(ActError::Refused(_) | ActError::Failed(_))) {
        // Nothing was changed: not the parents either. One that somebody uses by now is not empty and stays.
        for (dir, name) in made.iter().rev() {
            let _ = unlinkat(dir, name, AtFlags::REMOVEDIR);
        }
    }
    done
}

fn failed(what: &str, error: &io::Error) -> ActError {
    ActError::Failed(format!("expected to {what}, found: {error}"))
}

/// Replaces or removes what stands at its place, if it is still what was planned on.
fn replace(
    root: &Root,
    order: &v1::RestoreFile,
    (relative, baseline, content): (&str, &Entry, &[u8]),
    (dir, name): Place,
    job_id: &str,
    stop: &Stop,
) -> Result<String, ActError> {
    let before = root.look(relative, 0);
    let expected = order.expect_current.clone().unwrap_or_default();
    preconditions::file(&expected, &before.entry.to_state()).map_err(ActError::Refused)?;
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
            set_mode(dir.as_fd(), &name, &expected, baseline, stop)?;
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
    Ok(format!("{done}: {}", order.path))
}

/// A directory, and a name in it.
type Place = (OwnedFd, OsString);

/// The file's directory; parents that are gone are made again as the baseline has them, and noted in `made`.
fn parent(root: &Root, relative: &str, temporary: &OsStr, made: &mut Vec<Place>) -> io::Result<Place> {
    match tree::open_parent(root.path(), relative) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let ends = std::iter::once(0).chain(relative.match_indices('/').map(|(at, _)| at));
    for end in ends {
        let above = &relative[..end];
        let (dir, name) = tree::open_parent(root.path(), above)?;
        match rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => continue,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let should = root.baseline(above);
        if should.kind != Kind::Directory {
            return Err(io::Error::new(io::ErrorKind::NotFound, "a parent that the baseline does not have"));
        }
        if make_directory(dir.as_fd(), &name, temporary, |new| own(new, &should))? {
            made.push((dir, name));
        }
    }
    tree::open_parent(root.path(), relative)
}

/// Makes a directory that is there with its owner and mode or not at all: `dress` sets them while it has another name.
/// False when something else came to its place meanwhile.
fn make_directory(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    temporary: &OsStr,
    dress: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<bool> {
    // Left over from a try of this same job that a crash ended.
    remove_temporary(dir, temporary)?;
    mkdirat(dir, temporary, Mode::RWXU)?;
    let made = (|| -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = openat(dir, temporary, flags, Mode::empty())?;
        dress(new.as_fd())?;
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
fn remove_temporary(dir: BorrowedFd<'_>, temporary: &OsStr) -> io::Result<()> {
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
    expected: &v1::FileFacts,
    should: &Entry,
    stop: &Stop,
) -> Result<(), ActError> {
    let failed = |error: io::Error| ActError::Failed(format!("expected to set its mode, found: {error}"));
    let mut file = tree::open_file(dir, name).map_err(failed)?;
    let examined = tree::read_open(&mut file, 0).map_err(failed)?;
    preconditions::file(expected, &examined.entry.to_state()).map_err(ActError::Refused)?;
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

/// The owner first: changing it clears the set-user-id bits of the mode.
fn own(file: BorrowedFd<'_>, should: &Entry) -> io::Result<()> {
    let now = rustix::fs::fstat(file)?;
    if (now.st_uid, now.st_gid) != (should.uid, should.gid) {
        fchown(file, Some(Uid::from_raw(should.uid)), Some(Gid::from_raw(should.gid)))?;
    }
    fchmod(file, Mode::from_raw_mode(should.mode))?;
    Ok(())
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

/// The last look before the point of no return; for a large file its stamp vouches for the content.
fn unchanged(
    root: &Root,
    relative: &str,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    before: &tree::Examined,
) -> Result<(), ActError> {
    let unchanged = match (&before.stamp, tree::stamp(dir, name)) {
        (Some(then), Some((_, now))) if *then == now => true,
        _ => root.look(relative, 0).entry.same(&before.entry),
    };
    if unchanged {
        return Ok(());
    }
    Err(ActError::Refused(precondition("expected the file as it was checked, found it changed meanwhile")))
}

/// Removes what a try of this job that a crash ended left beside the file, or beside a parent that it made again.
fn remove_left_over(root: &Root, order: &v1::RestoreFile, job_id: &str) -> Result<(), String> {
    let Some(relative) = root.relative(&order.path) else { return Ok(()) };
    let above = std::iter::once(0).chain(relative.match_indices('/').map(|(at, _)| at));
    for end in above.chain([relative.len()]) {
        // Where a directory is gone or cannot be reached, nothing was begun below that could still be there.
        let Ok((dir, _)) = tree::open_parent(root.path(), &relative[..end]) else { return Ok(()) };
        remove_temporary(dir.as_fd(), &temporary(job_id)).map_err(|error| {
            format!("expected to remove {RESTORING}{job_id} at or above {}, found: {error}", order.path)
        })?;
    }
    Ok(())
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
    own(file.as_fd(), should)?;
    file.sync_all()
}

impl Remedy for RestoreFile {
    async fn check(&mut self) -> Result<(), Refusal> {
        let checked = self.at_root(|root, order| wanted(root, order).map(|_| ())).await;
        checked.unwrap_or_else(|| Err(unwatched(&self.order.root)))
    }

    fn memo(&self) -> Vec<u8> {
        Vec::new()
    }

    fn recall(&mut self, _memo: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let job_id = self.job_id.clone();
        let stop = Stop::default();
        let _dropped = StopOnDrop(stop.clone());
        let window = self.limits.window();
        let back = move |root: &mut _, order: &_| {
            // Asked once the root is held: the wait for it may have been longer than the job was valid.
            window.still_open()?;
            put_back(root, order, &job_id, &stop)
        };
        let done = self.at_root(back).await;
        let done = done.unwrap_or_else(|| Err(ActError::Refused(unwatched(&self.order.root))))?;
        Ok(vec![done])
    }

    async fn probe(&mut self) -> Probe {
        match self.is_right().await {
            Some(true) => Probe::There,
            Some(false) => Probe::NotThere,
            None => Probe::Unknown("its root is not watched any more".to_owned()),
        }
    }

    async fn verify(&mut self) -> Verdict {
        let started = Instant::now();
        // Room for the last look, where the state has to hold for as long as there is time.
        let patience = self.limits.reach.max(self.limits.hold + 2 * self.limits.pace());
        let until = tokio::time::Instant::from_std(started + patience);
        // What changed is told at once, so that the control plane's picture is right before the last report.
        self.look_again(until).await;
        let verdict = loop {
            let Ok(right) = tokio::time::timeout_at(until, self.is_right()).await else {
                let reason = format!(
                    "expected to read the file again within {} ms, found its root busy until then",
                    patience.as_millis()
                );
                break Verdict::new(Told::Unknown, reason);
            };
            match right {
                Some(true) if started.elapsed() >= self.limits.hold => {
                    let reason = format!("it was as in the baseline for {} ms", self.limits.hold.as_millis());
                    break Verdict::new(Told::Succeeded, reason);
                }
                Some(true) => {}
                Some(false) => {
                    break Verdict::new(
                        Told::Failed,
                        "expected the file to stay as in the baseline, found it changed again: something else writes it",
                    );
                }
                None => {
                    break Verdict::new(
                        Told::Unknown,
                        "expected to read the file again, found its root not watched",
                    );
                }
            }
            tokio::time::sleep(self.limits.pace()).await;
        };
        self.look_again(until).await;
        verdict
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        let job_id = self.job_id.clone();
        self.at_root(move |root, order| remove_left_over(root, order, &job_id)).await.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
#[path = "restore_file_tests.rs"]
mod tests;
