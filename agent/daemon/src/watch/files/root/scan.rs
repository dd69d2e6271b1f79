//! One walk over a root: what it notes of each path, and what stood in its way.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::{Entry, Kind};

use super::super::tracked::{Tracked, Troubles};
use super::super::tree::{self, Examined, MAX_HASHED, MAX_RESTORABLE, Stamp, Visit};
use super::blind::Dirs;
use super::{Root, keep, weight};

/// Most mount points that are remembered; what is below a further one stays unknown.
const MAX_MOUNTS: usize = 1_000;

/// One walk.
pub(super) struct Scan<'a> {
    pub(super) root: &'a mut Root,
    pub(super) now_seconds: i64,
    pub(super) troubles: Troubles,
    pub(super) changed: Vec<Box<str>>,
    /// Blind directories that were listed wholly.
    pub(super) listed: Dirs,
    /// Long files to be hashed once everything else was looked at, as far as the budget goes.
    later: Vec<Box<str>>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(root: &'a mut Root, now_seconds: i64) -> Self {
        Self {
            root,
            now_seconds,
            troubles: Troubles::default(),
            changed: Vec::new(),
            listed: Dirs::default(),
            later: Vec::new(),
        }
    }
}

/// What may be there but was not seen when the baseline was taken: the first reading becomes its baseline.
fn unknown() -> Entry {
    Entry { kind: Kind::Unreadable, ..Entry::absent() }
}

impl Visit for Scan<'_> {
    fn wants(&self, relative: &str) -> bool {
        self.root.wants(relative)
    }

    fn entry(&mut self, relative: &str, dir: BorrowedFd<'_>, name: &OsStr, kind: Kind) {
        let pass = self.root.pass;
        let baselined = self.root.baselined;
        let blind = self.root.blind.covers(relative);
        let first = if let Some(tracked) = self.root.tracked.get_mut(relative) {
            tracked.pass = pass;
            if kind == Kind::File && tracked.untouched(dir, name) {
                if tracked.size() > MAX_HASHED {
                    self.troubles.unhashed.note(relative);
                }
                return;
            }
            !baselined || tracked.is_unknown()
        } else if self.root.tracked.len() >= self.root.most {
            self.troubles.beyond += 1;
            if !baselined || blind {
                self.troubles.crowded.add(relative.rsplit_once('/').map_or("", |(above, _)| above));
            }
            return;
        } else {
            !baselined || blind
        };
        if kind == Kind::File && tree::stamp(dir, name).is_some_and(|(_, stamp)| weight(&stamp) > 0) {
            // What the baseline does not know and this pass does not come to is not "added" by the next one.
            let adopt = (!baselined || blind).then(unknown);
            let tracked =
                self.root.tracked.entry(relative.into()).or_insert_with(|| Tracked::should_be(adopt));
            tracked.pass = pass;
            self.later.push(relative.into());
            return;
        }
        let examined = tree::examine(dir, name, most_kept(first));
        self.note(relative, examined, first);
    }

    /// A file system that came after the baseline is new ground, and the directory below one that went is not what
    /// the baseline saw. (Told by the device: a bind mount of the same file system looks like a directory.)
    fn enter(&mut self, relative: &str, mounted: bool) -> Result<(), String> {
        let known = self.root.mounts.contains(relative);
        if known && !mounted {
            return Err("expected a file system mounted here, as in the baseline; found none".to_owned());
        }
        if mounted && !known {
            if self.root.baselined {
                self.root.blind.add(relative);
            }
            if self.root.mounts.len() < MAX_MOUNTS {
                self.root.mounts.insert(relative.into());
            }
            self.root.unsaved |= self.root.baselined;
        }
        Ok(())
    }

    fn listed(&mut self, relative: &str) {
        if self.root.blind.has(relative) {
            self.listed.add(relative);
        }
    }

    fn unnamed(&mut self, relative: &str) {
        self.troubles.unnamed.note(relative);
    }

    fn problem(&mut self, relative: &str, problem: String) {
        tracing::debug!(root = self.root.text, relative, problem, "not walked");
        self.troubles.unread.note(relative);
        self.troubles.unlisted.add(relative);
    }
}

/// Bytes of content that are kept of what is looked at.
fn most_kept(first: bool) -> usize {
    if first { usize::try_from(MAX_RESTORABLE).unwrap_or(usize::MAX) } else { 0 }
}

impl Scan<'_> {
    /// Hashes long files in the order of their paths, from where the last pass ended: each has its turn, whoever else
    /// keeps changing. The first one is always within the budget.
    pub(super) fn read_later(&mut self) {
        let mut later = std::mem::take(&mut self.later);
        later.sort_unstable();
        let from = later.partition_point(|path| *path <= self.root.hashed);
        later.rotate_left(from);
        let mut spent = false;
        for path in later {
            spent = spent || !self.root.afford(&path);
            if spent {
                self.troubles.postponed.note(&path);
                continue;
            }
            let first = !self.root.baselined || self.root.tracked.get(&path).is_some_and(Tracked::is_unknown);
            let examined = self.root.look(&path, most_kept(first));
            self.note(&path, examined, first);
            self.root.hashed = path;
        }
    }

    /// Notes what was found at a path.
    fn note(&mut self, relative: &str, examined: Examined, first: bool) {
        let (pass, baselined) = (self.root.pass, self.root.baselined);
        let blind = self.root.blind.covers(relative);
        if examined.entry.kind == Kind::Unreadable {
            self.troubles.unread.note(relative);
        }
        if examined.entry.size > MAX_HASHED {
            self.troubles.unhashed.note(relative);
        }
        if first
            && examined.entry.size <= MAX_RESTORABLE
            && !keep(&self.root.baselines, &examined).unwrap_or(false)
        {
            self.troubles.not_kept += 1;
        }
        let adopt = (baselined && blind).then(unknown);
        let tracked = self.root.tracked.entry(relative.into()).or_insert_with(|| Tracked::should_be(adopt));
        tracked.pass = pass;
        // A file changed this very moment may change again under the same time stamp.
        let stamp = examined.stamp.filter(|stamp: &Stamp| stamp.settled(self.now_seconds));
        let noted = tracked.now_is(examined.entry, stamp);
        self.root.unsaved |= noted.adopted;
        if noted.changed {
            self.changed.push(relative.into());
        }
    }
}

impl Root {
    /// Every path that a pass did not see and that nothing stood before is absent.
    pub(super) fn absent_now(&mut self, troubles: &Troubles, changed: &mut Vec<Box<str>>) {
        for (path, tracked) in &mut self.tracked {
            if tracked.pass != self.pass && !troubles.unlisted.covers(path) {
                tracked.pass = self.pass;
                if tracked.now_is(Entry::absent(), None).changed {
                    changed.push(path.clone());
                }
            }
        }
        self.tracked.retain(|_, tracked| !tracked.is_nothing());
    }

    /// What the baseline does not know of after a pass.
    pub(super) fn settle_blind(&mut self, troubles: &Troubles, listed: &Dirs) {
        let mut unsure = troubles.unlisted.clone();
        for dir in troubles.crowded.iter() {
            unsure.add(dir);
        }
        if self.baselined {
            let before = self.blind.clone();
            self.blind.settle(listed, &unsure);
            self.unsaved |= self.blind != before;
        } else {
            self.blind = unsure;
        }
    }

    /// True where the baseline does not know what was there: nothing may be taken for added.
    pub fn is_blind(&self, relative: &str) -> bool {
        self.blind.covers(relative)
    }

    pub(super) fn take_mounts(&mut self, mounts: Vec<String>) {
        self.mounts = mounts.into_iter().map(String::into_boxed_str).collect::<BTreeSet<_>>();
    }
}
