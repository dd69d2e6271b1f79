//! Puts a watched file back to its baseline: content, mode and owner, or its absence.
//!
//! Content is replaced by way of a temporary file in the same directory, synced before it is renamed, so that a crash
//! leaves the old or the new file and never a half one. No symbolic link is followed. Where only mode or owner differ,
//! the file stays and only those are changed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Instant;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_agent_core::preconditions;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase as Told;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fsync, mkdirat, openat, renameat, symlinkat,
    unlinkat,
};

use super::Shared;
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use crate::watch::files::root::Root;
use crate::watch::files::tree::{self, MAX_RESTORABLE};

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
    preconditions::file(&expected, &root.look(&relative, 0).entry.to_state())?;
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
fn put_back(root: &mut Root, order: &v1::RestoreFile, job_id: &str) -> Result<String, ActError> {
    let (relative, baseline, content) = wanted(root, order).map_err(ActError::Refused)?;
    let failed =
        |what: &str, error: io::Error| ActError::Failed(format!("expected to {what}, found: {error}"));
    let (dir, name) = parent(root, &relative).map_err(|error| failed("open its directory", error))?;
    let before = root.look(&relative, 0);
    let expected = order.expect_current.clone().unwrap_or_default();
    preconditions::file(&expected, &before.entry.to_state()).map_err(ActError::Refused)?;
    if before.entry.kind == Kind::Directory {
        return Err(ActError::Refused(precondition("expected no directory in its place, found one")));
    }
    let done = match baseline.kind {
        Kind::Absent => {
            unlinkat(&dir, &name, AtFlags::empty()).map_err(|error| failed("remove it", error.into()))?;
            "removed what should not be there"
        }
        Kind::File if before.entry.kind == Kind::File && before.entry.sha256 == baseline.sha256 => {
            attributes(dir.as_fd(), &name, &baseline).map_err(|error| failed("set mode and owner", error))?;
            "set mode and owner"
        }
        _ => {
            let temporary = OsString::from(format!(".nimbus-restore-{job_id}"));
            let placed = place(root, &relative, dir.as_fd(), &name, &temporary, &baseline, &content, &before);
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

/// The file's directory; parents that are gone are made again as the baseline has them.
fn parent(root: &Root, relative: &str) -> io::Result<(OwnedFd, OsString)> {
    match tree::open_parent(root.path(), relative) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let ends = std::iter::once(0).chain(relative.match_indices('/').map(|(at, _)| at));
    for end in ends {
        let above = &relative[..end];
        let (dir, name) = tree::open_parent(root.path(), above)?;
        let should = root.baseline(above);
        match mkdirat(&dir, &name, Mode::RWXU) {
            Ok(()) => {
                if should.kind != Kind::Directory {
                    unlinkat(&dir, &name, AtFlags::REMOVEDIR)?;
                    return Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        "a parent that the baseline does not have",
                    ));
                }
                attributes(dir.as_fd(), &name, &should)?;
                fsync(&dir)?;
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    tree::open_parent(root.path(), relative)
}

/// Sets owner and mode of what stands there, without following a link.
fn attributes(dir: BorrowedFd<'_>, name: &OsStr, should: &Entry) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::empty())?;
    own(file.as_fd(), should)?;
    fsync(&file)?;
    Ok(())
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

#[allow(clippy::too_many_arguments, reason = "one step of put_back, cut out to be read by itself")]
fn place(
    root: &Root,
    relative: &str,
    dir: BorrowedFd<'_>,
    name: &OsStr,
    temporary: &OsStr,
    should: &Entry,
    content: &[u8],
    before: &tree::Examined,
) -> Result<(), ActError> {
    let failed = |error: io::Error| {
        ActError::Failed(format!("expected to write a new file beside it, found: {error}"))
    };
    // Left over from a try of this same job that a crash ended.
    match unlinkat(dir, temporary, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(failed(error.into())),
    }
    write_new(dir, temporary, should, content).map_err(failed)?;
    // The last look before the point of no return; for a large file its stamp vouches for the content.
    let unchanged = match (&before.stamp, tree::stamp(dir, name)) {
        (Some(then), Some((_, now))) if *then == now => true,
        _ => root.look(relative, 0).entry.same(&before.entry),
    };
    if !unchanged {
        return Err(ActError::Refused(precondition(
            "expected the file as it was checked, found it changed meanwhile",
        )));
    }
    renameat(dir, temporary, dir, name).map_err(|error| failed(error.into()))
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
        let done = self.at_root(move |root, order| put_back(root, order, &job_id)).await;
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
        // What changed is told at once, so that the control plane's picture is right before the last report.
        self.shared.files.look_again(&self.order.root, self.order.path.clone()).await;
        let verdict = loop {
            match self.is_right().await {
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
        self.shared.files.look_again(&self.order.root, self.order.path.clone()).await;
        verdict
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "restore_file_tests.rs"]
mod tests;
