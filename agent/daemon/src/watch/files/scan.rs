//! One walk over a root, which records the state of each path and the problems on the way.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::Kind;

use super::baseline::Baselines;
use super::dirs::Dirs;
use super::known::Known;
use super::pace::Pace;
use super::problems::Problems;
use super::tracked::Tracked;
use super::tree::{self, Examined, Visit};

/// Most mount points that are remembered; what is below further ones stays unknown.
const MAX_MOUNTS: usize = 1_000;

/// One walk.
pub(super) struct Scan<'a> {
    pub(super) known: &'a mut Known,
    pub(super) baselines: &'a Baselines,
    /// The root, for the log.
    pub(super) root: &'a str,
    /// Whether a path below the root is watched.
    pub(super) wants: &'a dyn Fn(&str) -> bool,
    pub(super) now_seconds: i64,
    pub(super) found: Found,
    pub(super) pace: Pace,
}

/// What a walk came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) problems: Problems,
    /// Paths whose state changed.
    pub(super) changed: Vec<Box<str>>,
    /// Directories that the baseline does not know wholly and that were listed to the end.
    pub(super) listed: Dirs,
}

impl Visit for Scan<'_> {
    fn wants(&self, relative: &str) -> bool {
        (self.wants)(relative)
    }

    fn entry(&mut self, relative: &str, dir: BorrowedFd<'_>, name: &OsStr, kind: Kind) {
        self.pace.step();
        if self.baselines.restores().is_temporary(relative, kind) {
            return;
        }
        let pass = self.known.pass;
        let first = !self.known.baselined || self.known.incomplete.covers(relative);
        if let Some(tracked) = self.known.tracked.get_mut(relative) {
            tracked.pass = pass;
            if kind == Kind::File && tracked.is_unchanged(dir, name) {
                return;
            }
            let first = !self.known.baselined || tracked.is_unknown();
            self.note(relative, tree::examine(dir, name), first);
        } else if self.known.tracked.len() >= self.known.most {
            self.found.problems.beyond.note(relative);
            if first {
                self.found.problems.crowded.add(relative.rsplit_once('/').map_or("", |(above, _)| above));
            }
        } else {
            self.note(relative, tree::examine(dir, name), first);
        }
    }

    /// A file system that was mounted after the baseline was taken is unknown to it, and what is seen below a mount point
    /// without its mount is not what the baseline saw. (Told by the device: a bind mount of the same file system looks
    /// like a directory.)
    fn enter(&mut self, relative: &str, mounted: bool) -> Result<(), String> {
        let known = self.known.mounts.contains(relative);
        if known && !mounted {
            return Err("expected a file system mounted here, as in the baseline; found none".to_owned());
        }
        if mounted && !known {
            if self.known.baselined {
                self.known.incomplete.add(relative);
            }
            if self.known.mounts.len() < MAX_MOUNTS {
                self.known.mounts.insert(relative.into());
            }
            self.known.unsaved |= self.known.baselined;
        }
        Ok(())
    }

    fn listed(&mut self, relative: &str) {
        if self.known.incomplete.has(relative) {
            self.found.listed.add(relative);
        }
    }

    fn problem(&mut self, relative: &str, problem: String) {
        tracing::debug!(root = self.root, relative, problem, "not walked");
        self.found.problems.unread.note(relative);
        self.found.problems.not_listed.add(relative);
    }
}

impl Scan<'_> {
    /// Notes what was found at a path; the content of its `first` reading is kept for a restore.
    pub(super) fn note(&mut self, relative: &str, examined: Examined, first: bool) {
        if examined.entry.kind == Kind::Unreadable {
            self.found.problems.unread.note(relative);
        }
        // That a directory may not be opened is one problem: the walk notes it as not listed.
        if examined.entry.has_unread_attributes() && !examined.closed {
            self.found.problems.attributes_unread.note(relative);
        }
        if first && !examined.entry.is_unread() && !self.baselines.keep(&examined).unwrap_or(false) {
            self.found.problems.not_kept += 1;
        }
        // What the baseline may have held, unseen, is not "added".
        let unseen = self.known.baselined && self.known.incomplete.covers(relative);
        let new = || if unseen { Tracked::unknown() } else { Tracked::should_be(None) };
        let tracked = self.known.tracked.entry(relative.into()).or_insert_with(new);
        tracked.pass = self.known.pass;
        let stamp = examined.stamp.filter(|stamp| stamp.is_old_enough(self.now_seconds));
        let noted = tracked.set_current(examined.entry, stamp);
        self.known.unsaved |= noted.adopted;
        if noted.changed {
            self.found.changed.push(relative.into());
        }
    }
}
