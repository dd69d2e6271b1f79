//! One path below a root: what it should be, what it is, and whether that was told. And what a pass stumbled over.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::{Entry, Kind};

use super::baseline::MAX_BLOBS;
use super::root::blind::Dirs;
use super::root::{MAX_FILES, MAX_PASS};
use super::tree::{self, MAX_HASHED, Stamp};

/// One path below the root.
#[derive(Debug)]
pub(super) struct Tracked {
    /// What it should be; `None`: it should not be there.
    pub(super) baseline: Option<Entry>,
    /// What it is; `None`: what it should be.
    pub(super) current: Option<Box<Entry>>,
    /// While it holds, the content need not be read again.
    pub(super) stamp: Option<Stamp>,
    /// The pass that last saw it.
    pub(super) pass: u32,
    /// Told as drifted, and not yet told as right again.
    pub(super) reported: bool,
}

/// What stands in the way of watching, counted over one pass.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Paths beyond the bound, and the directories that hold them where the baseline needs to know.
    pub(super) beyond: usize,
    pub(super) crowded: Dirs,
    /// What may not be read.
    pub(super) unread: Such,
    /// Directories that were not listed to the end: what is below them is unknown.
    pub(super) unlisted: Dirs,
    /// Directories with a name that cannot be shown.
    pub(super) unnamed: Such,
    /// Files too large to be hashed.
    pub(super) unhashed: Such,
    /// Long files that were changed and not read yet.
    pub(super) postponed: Such,
    pub(super) not_kept: usize,
}

/// How many, such as the first.
#[derive(Debug, Default)]
pub(super) struct Such {
    count: usize,
    first: String,
}

impl Such {
    pub(super) fn note(&mut self, relative: &str) {
        if self.count == 0 {
            relative.clone_into(&mut self.first);
        }
        self.count += 1;
    }
}

/// What noting a state came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    /// It differs from what was noted before.
    pub(super) changed: bool,
    /// It became the baseline, because it could not be read when the baseline was taken.
    pub(super) adopted: bool,
}

impl Tracked {
    pub(super) fn should_be(baseline: Option<Entry>) -> Self {
        Self { baseline, current: None, stamp: None, pass: 0, reported: false }
    }

    /// Notes what it is now.
    pub(super) fn now_is(&mut self, entry: Entry, stamp: Option<Stamp>) -> Noted {
        self.stamp = stamp;
        // What could not be read when the baseline was taken has none yet: the first reading is its baseline.
        let adopted = self.is_unknown() && entry.kind != Kind::Unreadable;
        if adopted {
            self.baseline = (entry.kind != Kind::Absent).then(|| entry.clone());
        }
        let right = match &self.baseline {
            Some(baseline) => baseline.same(&entry),
            None => entry.kind == Kind::Absent,
        };
        let changed = match &self.current {
            None => !right,
            Some(before) => right || !before.same(&entry),
        };
        self.current = (!right).then(|| Box::new(entry));
        Noted { changed, adopted }
    }

    /// It was there when the baseline was taken, or may have been, and could not be read.
    pub(super) fn is_unknown(&self) -> bool {
        self.baseline.as_ref().is_some_and(|b| b.kind == Kind::Unreadable)
    }

    /// Its size as last noted.
    pub(super) fn size(&self) -> u64 {
        self.current.as_deref().or(self.baseline.as_ref()).map_or(0, |entry| entry.size)
    }

    /// Neither should it be there, nor is it, nor does anybody wait to be told so.
    pub(super) fn is_nothing(&self) -> bool {
        self.baseline.is_none() && self.current.is_none() && !self.reported
    }

    /// A file with the stamp it had when it was last hashed, and the same mode and owner.
    pub(super) fn untouched(&self, dir: BorrowedFd<'_>, name: &OsStr) -> bool {
        let Some(known) = &self.stamp else { return false };
        let before = self.current.as_deref().or(self.baseline.as_ref());
        tree::stamp(dir, name).is_some_and(|(entry, stamp)| {
            stamp == *known
                && before.is_some_and(|b| (b.mode, b.uid, b.gid) == (entry.mode, entry.uid, entry.gid))
        })
    }
}

impl Troubles {
    pub(super) fn text(&self, root: &str) -> Option<String> {
        let mut all = Vec::new();
        if self.beyond > 0 {
            all.push(format!(
                "more than {MAX_FILES} paths: {} are not watched; watch smaller roots",
                self.beyond
            ));
        }
        if self.unread.count > 0 {
            let Such { count, first } = &self.unread;
            all.push(format!(
                "{count} paths may not be read, such as {first:?}; give this agent's user access"
            ));
        }
        if self.unnamed.count > 0 {
            let Such { count, first } = &self.unnamed;
            all.push(format!(
                "{count} names that are not UTF-8 and are not watched, such as one in {first:?}; rename them"
            ));
        }
        if self.unhashed.count > 0 {
            let Such { count, first } = &self.unhashed;
            all.push(format!(
                "{count} files over {} MiB, such as {first:?}: compared by size and time alone, and never restored",
                MAX_HASHED >> 20
            ));
        }
        if self.postponed.count > 0 {
            let Such { count, first } = &self.postponed;
            all.push(format!(
                "{count} files, such as {first:?}, to be read anew and not read yet: one pass reads {} MiB, the next ones \
                 go on; leave out large files that change",
                MAX_PASS >> 20
            ));
        }
        if self.not_kept > 0 {
            all.push(format!(
                "the content of {} files is not kept (over {} MiB together) and cannot be restored",
                self.not_kept,
                MAX_BLOBS >> 20
            ));
        }
        (!all.is_empty()).then(|| format!("expected to watch all of {root}, found {}", all.join("; ")))
    }
}
