//! One path below a root: its baseline, its present state, and whether the difference between them was reported.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::{Entry, Kind};

use nimbus_agent_core::observe::file::outlook::Outlook;

use super::tree::{self, Mark, Stamp};

/// Most paths that one agent tracks below all its roots; further ones are counted and said, not watched. Directories are
/// paths too, and a full server has five files or more in each: this is room for half a million files. An agent with
/// 300,000 of them took 178 MB at most: some 450 bytes for each, its name included.
pub const MAX_PATHS: usize = 600_000;

/// One path below the root.
#[derive(Debug)]
pub(super) struct Tracked {
    /// What it should be; `None`: it should not be there.
    pub(super) baseline: Option<Entry>,
    /// What it should have been before a person accepted its baseline; absent where nothing should have been there.
    pub(super) earlier: Option<Box<Entry>>,
    /// What it is; `None`: what it should be.
    pub(super) current: Option<Box<Entry>>,
    /// While the file has this stamp, its content need not be read again.
    pub(super) stamp: Option<Mark>,
    /// The pass that last saw it.
    pub(super) pass: u32,
    /// Reported as drifted, and not yet reported as right again.
    pub(super) reported: bool,
    /// What was last reported of whether it could be put back.
    pub(super) outlook: Option<Box<Outlook>>,
}

/// What noting a state came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    /// It differs from what was noted before.
    pub(super) changed: bool,
    /// It, or a part of it, became the baseline, which did not know that yet.
    pub(super) adopted: bool,
}

impl Tracked {
    pub(super) fn should_be(baseline: Option<Entry>) -> Box<Self> {
        Box::new(Self {
            baseline,
            earlier: None,
            current: None,
            stamp: None,
            pass: 0,
            reported: false,
            outlook: None,
        })
    }

    /// What may have been there when the baseline was taken, and could not be read: its first reading becomes its baseline.
    pub(super) fn unknown() -> Box<Self> {
        Self::should_be(Some(Entry { kind: Kind::Unreadable, ..Entry::absent() }))
    }

    /// Notes its present state.
    pub(super) fn set_current(&mut self, entry: Entry, stamp: Option<Stamp>) -> Noted {
        // What could not be read of it is tried again by each pass.
        let whole = stamp.filter(|_| !entry.has_unread_attributes());
        self.stamp = whole.map(|stamp| stamp.mark());
        let adopted = self.is_unknown() && entry.kind != Kind::Unreadable;
        if adopted {
            self.baseline = (entry.kind != Kind::Absent).then(|| entry.clone().into_baseline());
        }
        let right = match &self.baseline {
            Some(baseline) => baseline.same(&entry),
            None => entry.kind == Kind::Absent,
        };
        let changed = match &self.current {
            None => !right,
            Some(before) => right || !before.same(&entry),
        };
        let learned = right && self.learn(&entry);
        self.current = (!right).then(|| Box::new(entry));
        Noted { changed, adopted: adopted || learned }
    }

    /// A file that is as it should be says what an older agent did not note, and which file it is by now. True when that
    /// was news.
    fn learn(&mut self, entry: &Entry) -> bool {
        let Some(baseline) = &mut self.baseline else { return false };
        let before = (baseline.attributes.is_some(), baseline.held);
        if baseline.attributes.is_none() {
            baseline.attributes.clone_from(&entry.attributes);
        }
        if entry.held.is_some() {
            baseline.held = entry.held;
        }
        before != (baseline.attributes.is_some(), baseline.held)
    }

    /// True for [`Tracked::unknown`], and for what was seen and could not be read when the baseline was taken.
    pub(super) fn is_unknown(&self) -> bool {
        self.baseline.as_ref().is_some_and(|b| b.kind == Kind::Unreadable)
    }

    /// The present state; `None` where nothing is and nothing should be.
    pub(super) fn state(&self) -> Option<&Entry> {
        self.current.as_deref().or(self.baseline.as_ref())
    }

    /// True where nothing should be, nothing is, nothing has to be reported, and no decision can be withdrawn.
    pub(super) fn is_unneeded(&self) -> bool {
        self.baseline.is_none() && self.earlier.is_none() && self.current.is_none() && !self.reported
    }

    /// True for a file that has the stamp, mode and owner that it had when it was last read.
    pub(super) fn is_unchanged(&self, dir: BorrowedFd<'_>, name: &OsStr) -> bool {
        let Some(known) = &self.stamp else { return false };
        tree::stamp(dir, name).is_some_and(|(entry, stamp)| {
            let same = |b: &Entry| (b.mode, b.uid, b.gid) == (entry.mode, entry.uid, entry.gid);
            stamp.mark() == *known && self.state().is_some_and(same)
        })
    }
}
