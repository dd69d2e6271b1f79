//! What the agent knows of each path below a root: its baseline, its present state, and where the baseline is
//! incomplete.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_agent_core::observe::file::identity::Pin;
use nimbus_agent_core::observe::file::{Entry, Kind};

use super::baseline::{Head, Item, Part};
use super::dirs::Dirs;
use super::place;
use super::problems::Problems;
use super::tracked::{MAX_PATHS, Tracked};

/// The paths below one root.
#[derive(Debug)]
pub(super) struct Known {
    /// By the path below the root; `""` is the root itself.
    pub(super) tracked: BTreeMap<Box<str>, Box<Tracked>>,
    /// A baseline was taken.
    pub(super) baselined: bool,
    /// When it was first taken, seconds since the Unix epoch; 0 before.
    pub(super) taken_at: i64,
    /// Directories that the baseline does not know wholly; durable with it.
    pub(super) incomplete: Dirs,
    /// Directories on which a file system was mounted when last seen; durable with the baseline.
    pub(super) mounts: BTreeSet<Box<str>>,
    /// Directories of which the last pass could not see what is below them: it stays as it was last known.
    pub(super) unseen: Dirs,
    /// The directories that the baseline was taken in; durable with it.
    pub(super) pin: Option<Pin>,
    /// Most paths that are tracked.
    pub(super) most: usize,
    /// Files that the baseline has, as last counted.
    pub(super) files: u64,
    /// The number of the pass that is under way, or was last.
    pub(super) pass: u32,
    /// The durable index is not what it should be.
    pub(super) unsaved: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            tracked: BTreeMap::new(),
            baselined: false,
            taken_at: 0,
            incomplete: Dirs::default(),
            mounts: BTreeSet::new(),
            unseen: Dirs::default(),
            pin: None,
            most: MAX_PATHS,
            files: 0,
            pass: 0,
            unsaved: false,
        }
    }
}

impl Known {
    /// Takes one path of a stored baseline.
    pub(super) fn take(&mut self, part: Part, path: Box<str>, entry: Entry) {
        match part {
            Part::Baseline => {
                self.tracked.insert(path, Tracked::should_be(Some(entry)));
            }
            Part::Earlier => {
                let tracked = self.tracked.entry(path).or_insert_with(|| Tracked::should_be(None));
                tracked.earlier = Some(Box::new(entry));
            }
        }
    }

    /// Takes the rest of it, after all paths.
    pub(super) fn take_head(&mut self, head: Head) {
        self.baselined = true;
        self.taken_at = head.taken_at;
        self.pin = head.pin;
        self.incomplete = head.incomplete.into_iter().collect();
        self.mounts = head.mounts.into_iter().map(String::into_boxed_str).collect();
        let same_boot = self.pin.as_ref().is_some_and(|pin| pin.boot == place::boot());
        let baselines = self.tracked.values_mut().filter_map(|tracked| tracked.baseline.as_mut());
        for held in baselines.filter_map(|entry| entry.held.as_mut()).filter(|_| !same_boot) {
            // Devices may be numbered anew; zero is none.
            held.identity.device = 0;
        }
        for path in head.reported {
            let tracked = self.tracked.entry(path.into()).or_insert_with(|| Tracked::should_be(None));
            tracked.reported = true;
            // Its state is unknown until it is read, so that whatever it is now is reported once more.
            tracked.current = Some(Box::new(Entry { kind: Kind::Unreadable, ..Entry::absent() }));
        }
        self.count();
    }

    /// What is to be stored beside the paths.
    pub(super) fn head(&self) -> Head {
        Head {
            reported: Vec::new(),
            incomplete: self.incomplete.iter().map(str::to_owned).collect(),
            mounts: self.mounts.iter().map(ToString::to_string).collect(),
            taken_at: self.taken_at,
            pin: self.pin.clone(),
        }
    }

    /// The paths to be stored.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.tracked.iter().flat_map(|(path, tracked)| {
            let baseline = tracked.baseline.as_ref().map(|entry| (Part::Baseline, &**path, entry));
            let earlier = tracked.earlier.as_deref().map(|entry| (Part::Earlier, &**path, entry));
            baseline.into_iter().chain(earlier)
        })
    }

    /// Paths last reported as drifted.
    pub(super) fn reported(&self) -> Vec<String> {
        self.tracked.iter().filter(|(_, t)| t.reported).map(|(path, _)| path.to_string()).collect()
    }

    /// Counts the files of the baseline anew.
    pub(super) fn count(&mut self) {
        let is_file = |tracked: &Tracked| tracked.baseline.as_ref().is_some_and(|b| b.kind == Kind::File);
        self.files = self.tracked.values().filter(|tracked| is_file(tracked)).count() as u64;
    }

    /// True for what the last pass could not see, and for everything before the first one: a look now might see the
    /// directory below a mount point without its mount.
    pub(super) fn is_unseen(&self, path: &str) -> bool {
        self.pass == 0 || self.unseen.covers(path)
    }

    /// Begins a pass.
    pub(super) fn begin_pass(&mut self) {
        if !self.baselined {
            // The pass before this one may have ended early.
            self.tracked.clear();
            self.mounts.clear();
        }
        self.pass = self.pass.wrapping_add(1);
    }

    /// Takes the present state of everything as its baseline.
    pub(super) fn take_baseline(&mut self, now_seconds: i64) {
        self.taken_at = now_seconds;
        for tracked in self.tracked.values_mut() {
            if let Some(current) = tracked.current.take() {
                tracked.baseline = Some(current.into_baseline());
            }
        }
    }

    /// Notes as absent every path that the pass did not see, unless it may not have been able to; adds it to `changed`.
    pub(super) fn absent_now(&mut self, problems: &Problems, changed: &mut Vec<Box<str>>) {
        for (path, tracked) in &mut self.tracked {
            if tracked.pass != self.pass && !problems.not_listed.covers(path) {
                tracked.pass = self.pass;
                if tracked.set_current(Entry::absent(), None).changed {
                    changed.push(path.clone());
                }
            }
        }
        self.forget_nothing();
    }

    /// Notes after a pass where the baseline is incomplete; `listed` are incomplete directories that were listed to the end.
    pub(super) fn update(&mut self, problems: &Problems, listed: &Dirs) {
        if self.baselined {
            let before = self.incomplete.clone();
            self.incomplete.update(listed, &problems.incomplete());
            self.unsaved |= self.incomplete != before;
        } else {
            self.incomplete = problems.incomplete();
        }
    }

    /// Forgets paths of which nothing is left to say.
    pub(super) fn forget_nothing(&mut self) {
        self.tracked.retain(|_, tracked| !tracked.is_unneeded());
    }

    /// Forgets a path of which nothing is left to say.
    pub(super) fn forget_unneeded(&mut self, path: &str) {
        if self.tracked.get(path).is_some_and(|tracked| tracked.is_unneeded()) {
            self.tracked.remove(path);
        }
    }
}
