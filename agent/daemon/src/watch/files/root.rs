//! One watched root: its baseline, its present files, and the differences between them.
//!
//! Calls block on the disk and are made on a blocking thread. A file whose inode, size and times did not change is not
//! read again, and none longer than [`MAX_READ`] is read at all; so a pass reads at most [`MAX_PATHS`] times that, and
//! only of files that were written since the pass before. What cannot be read is unknown: entries below an unreadable
//! directory keep their last known state, and what could not be read when the baseline was taken becomes part of it with
//! its first reading, never "added".

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(doc)]
use nimbus_agent_core::observe::file::MAX_READ;
use nimbus_agent_core::observe::file::identity::{AtRoot, Pin};
use nimbus_agent_core::observe::file::{Entry, Kind, name};
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::v1;

use super::baseline::Baselines;
use super::known::Known;
use super::pace::Pace;
use super::place::{self, NoPlace, Place};
use super::scan::{Found, Scan};
#[cfg(doc)]
use super::tracked::MAX_PATHS;
use super::tracked::Tracked;
use super::tree::{self, Examined};

mod decisions;

/// A watched root.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    pub(super) text: String,
    /// Absolute paths left out with all below them: the agent's own data.
    exclude: Vec<String>,
    pub(super) baselines: Arc<Baselines>,
    pub(super) known: Known,
    loaded: bool,
    /// A baseline was taken, and what was reported beside an older one may stand yet.
    taken: bool,
    /// The last look found another directory than the baseline's, or a link on the way.
    astray: bool,
    digest: [u8; 32],
    said: Said,
    pub(super) problem: Option<String>,
    /// Says whose contents may be shown; none until [`Root::show_by`].
    pub(super) policy: Policy,
}

/// What status is told of beside one problem of the root.
#[derive(Debug, Default)]
struct Said {
    /// The last pass found something of which the attributes cannot be read.
    attributes_unread: bool,
    /// What was reported as drifted was damaged when it was read.
    reported_lost: bool,
}

impl Root {
    /// A root that was not looked at yet.
    pub fn new(path: PathBuf, exclude: &[PathBuf], baselines: Arc<Baselines>) -> Self {
        let text = path.to_string_lossy().into_owned();
        let exclude =
            exclude.iter().map(|path| name::escape(path.as_os_str().as_bytes()).into_owned()).collect();
        Self {
            path,
            text,
            exclude,
            baselines,
            known: Known::default(),
            loaded: false,
            taken: false,
            astray: false,
            digest: [0; 32],
            said: Said::default(),
            problem: None,
            policy: Policy::default(),
        }
    }

    /// From now on contents are shown as `policy` says.
    pub fn show_by(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The root's path as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The root's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content store.
    pub fn baselines(&self) -> &Baselines {
        &self.baselines
    }

    /// True while the root cannot be watched at all, or its index could not be written: it is looked at again soon.
    pub fn waits(&self) -> bool {
        !self.known.baselined || self.known.unsaved || self.astray
    }

    /// True once it is known what does not differ from its baseline: it was looked at, or there is no baseline yet, and so
    /// nothing to differ from.
    pub fn is_known(&self) -> bool {
        self.loaded && !self.astray && (!self.known.baselined || self.known.pass > 0)
    }

    /// How many paths it tracks.
    pub fn tracked_paths(&self) -> usize {
        self.known.tracked.len()
    }

    /// From now on it tracks at most so many paths.
    pub fn track_at_most(&mut self, most: usize) {
        self.known.most = most;
    }

    /// True once after a baseline was taken: what was reported before, beside one that somebody removed, says nothing now.
    pub fn was_taken(&mut self) -> bool {
        std::mem::take(&mut self.taken)
    }

    /// What the control plane is told of the root itself.
    pub fn status(&self) -> v1::WatchedRoot {
        v1::WatchedRoot {
            path: self.text.clone(),
            files: self.known.files,
            problem: self.problem.clone().unwrap_or_default(),
            baseline_digest: if self.known.baselined { self.digest.to_vec() } else { Vec::new() },
            baseline_taken_micros: self.known.taken_at.saturating_mul(1_000_000),
        }
    }

    /// The path below the root that an absolute path means; `None` when it is not this root's.
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        if path == self.text {
            return Some("");
        }
        path.strip_prefix(self.text.as_str())?.strip_prefix('/').filter(|rest| !rest.is_empty())
    }

    pub(super) fn absolute(&self, relative: &str) -> String {
        absolute(&self.text, relative)
    }

    /// What a path should be; absent when the baseline does not have it.
    pub fn baseline(&self, relative: &str) -> Entry {
        self.known.tracked.get(relative).and_then(|t| t.baseline.clone()).unwrap_or_else(Entry::absent)
    }

    /// True where the baseline does not know what was there: nothing may be taken for added.
    pub fn is_incomplete(&self, relative: &str) -> bool {
        self.known.incomplete.covers(relative)
    }

    /// True where what stands at a path may not be what the baseline is about: a directory above it could not be listed, or
    /// lacks the file system that was mounted on it.
    pub fn is_unseen(&self, relative: &str) -> bool {
        self.known.is_unseen(relative)
    }

    /// What stands at a path now, freshly read.
    pub fn look(&self, relative: &str) -> Examined {
        match self.open_parent(relative) {
            Ok((dir, name)) => tree::examine(dir.as_fd(), &name),
            Err(error) => {
                let gone =
                    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
                // ELOOP: a link stands where a directory should; what is asked for is not there.
                let link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
                if gone || link { Entry::absent().into() } else { tree::unreadable(Entry::absent(), &error) }
            }
        }
    }

    /// A full pass. The first one ever becomes the baseline. `emit` gets what changed since it was last reported.
    pub fn full_pass(&mut self, now_seconds: i64, emit: &mut dyn FnMut(v1::File)) {
        self.pass_by(now_seconds, emit, |place, scan| tree::walk(place, scan));
    }

    fn pass_by(
        &mut self,
        now_seconds: i64,
        emit: &mut dyn FnMut(v1::File),
        walk: impl FnOnce(&Place, &mut Scan<'_>) -> std::io::Result<()>,
    ) {
        match self.scan(now_seconds, walk) {
            Ok(mut changed) => {
                let known: BTreeSet<Box<str>> = changed.iter().cloned().collect();
                let others = self.with_another_outlook();
                changed.extend(others.into_iter().filter(|path| !known.contains(path)));
                self.report(&changed, emit);
            }
            Err(problem) => {
                self.problem = Some(problem);
                if self.astray {
                    // What drifted before cannot be put back now, and whoever is asked for it has to hear that.
                    let others = self.with_another_outlook();
                    self.report(&others, emit);
                }
            }
        }
    }

    fn scan(
        &mut self,
        now_seconds: i64,
        walk: impl FnOnce(&Place, &mut Scan<'_>) -> std::io::Result<()>,
    ) -> Result<Vec<Box<str>>, String> {
        self.load()?;
        let place = self.standing_place()?;
        self.known.begin_pass();
        let mut found = Found::default();
        if let Some(place) = &place {
            self.refresh_pin(place);
            let wants = |relative: &str| wants(&self.text, &self.exclude, relative);
            let mut scan = Scan {
                known: &mut self.known,
                baselines: &self.baselines,
                root: &self.text,
                wants: &wants,
                now_seconds,
                found,
                pace: Pace::start(),
            };
            walk(place, &mut scan).map_err(|error| unreadable(&self.text, &error))?;
            found = scan.found;
        }
        let Found { problems, mut changed, listed } = found;
        self.known.unseen.clone_from(&problems.not_listed);
        self.known.update(&problems, &listed);
        if self.known.baselined {
            self.known.absent_now(&problems, &mut changed);
        } else {
            self.known.pin = place.as_ref().map(|place| Pin::of(&place.found, place::boot()));
            self.take_baseline(now_seconds)?;
            changed.clear();
        }
        self.said.attributes_unread = problems.has_unread_attributes();
        self.problem = problems.text(&self.text);
        if place.is_none() {
            self.problem = Some(missing(&self.text));
        }
        if self.said.reported_lost {
            let lost = self.lost();
            self.problem = Some(self.problem.take().map_or(lost.clone(), |other| format!("{other}; {lost}")));
        }
        if self.known.unsaved
            && let Err(problem) = self.save()
        {
            // It stays unsaved, and is tried again; what changed is reported all the same.
            self.problem = Some(problem);
        }
        Ok(changed)
    }

    /// Reads the stored baseline, unless it was read before; why it cannot be is the root's problem.
    pub fn read_baseline(&mut self) {
        if let Err(problem) = self.load() {
            self.problem = Some(problem);
        }
    }

    fn load(&mut self) -> Result<(), String> {
        if self.loaded {
            return Ok(());
        }
        let (known, text, exclude) = (&mut self.known, &self.text, &self.exclude);
        let mut take = |part, path: Box<str>, entry| {
            if wants(text, exclude, &path) {
                known.take(part, path, entry);
            }
        };
        let loaded = match self.baselines.load(text, &mut take) {
            Ok(loaded) => loaded,
            Err(error) => {
                // What was read before the error is not to be used.
                self.known.tracked.clear();
                return Err(error.to_string());
            }
        };
        self.loaded = true;
        if let Some(mut loaded) = loaded {
            loaded.head.reported.retain(|relative| wants(text, exclude, relative));
            self.digest = loaded.digest;
            self.known.take_head(loaded.head);
            // Where it is not known what was reported, everything is reported again.
            self.taken |= !loaded.reported_is_known;
            self.said.reported_lost = !loaded.reported_is_known;
        }
        self.pin_if_missing();
        Ok(())
    }

    /// The root, opened for a pass. `None`: it has a baseline, and nothing is there any more. Without a baseline that is a
    /// problem.
    fn standing_place(&mut self) -> Result<Option<Place>, String> {
        self.pin_if_missing();
        if self.is_astray() {
            self.forget_removed_baseline();
        }
        self.astray = false;
        let place = match self.place() {
            Ok(place) if place.found.root == AtRoot::Nothing => None,
            Ok(place) => Some(place),
            Err(NoPlace::Gone) => None,
            Err(NoPlace::Changed(what)) => {
                self.astray = true;
                return Err(self.changed(what));
            }
            Err(NoPlace::Link) => {
                self.astray = self.known.baselined;
                return Err(self.by_link());
            }
            Err(NoPlace::Io(error)) => return Err(unreadable(&self.text, &error)),
        };
        let Some(place) = place else {
            return if self.known.baselined { Ok(None) } else { Err(missing(&self.text)) };
        };
        if place.dir.is_none() && !self.known.baselined && self.look("").entry.kind == Kind::Symlink {
            return Err(format!(
                "expected {} to be a file or a directory, found a symbolic link; watch what it points to",
                self.text
            ));
        }
        Ok(Some(place))
    }

    fn take_baseline(&mut self, now_seconds: i64) -> Result<(), String> {
        self.known.take_baseline(now_seconds);
        self.save()?;
        self.known.baselined = true;
        self.taken = true;
        tracing::info!(
            root = self.text,
            files = self.status().files,
            "first pass over a watched path: what is there now is its baseline"
        );
        Ok(())
    }

    pub(super) fn save(&mut self) -> Result<(), String> {
        let (head, items) = (self.known.head(), self.known.items());
        self.digest = self.baselines.save(&self.text, &head, items).map_err(|error| error.to_string())?;
        let reported = self.known.reported();
        self.baselines.save_reported(&self.text, reported).map_err(|error| error.to_string())?;
        self.known.count();
        self.known.unsaved = false;
        Ok(())
    }

    /// Looks at one path. False when the whole root should be looked at instead: a directory came, went or changed, or the
    /// baseline does not know what was there.
    pub fn check(&mut self, relative: &str, now_seconds: i64, emit: &mut dyn FnMut(v1::File)) -> bool {
        if !self.known.baselined || self.is_astray() {
            return false;
        }
        if !wants(&self.text, &self.exclude, relative) {
            return true;
        }
        if self.known.unseen.covers(relative) {
            // Only a pass asks whether its file system is mounted.
            return false;
        }
        let examined = self.look(relative);
        if self.baselines.restores().is_temporary(relative, examined.entry.kind) {
            return true;
        }
        if examined.entry.has_unread_attributes() && !self.said.attributes_unread {
            // A pass says so.
            return false;
        }
        let tracked = self.known.tracked.get(relative);
        let was_directory =
            tracked.and_then(|tracked| tracked.state()).is_some_and(|entry| entry.kind == Kind::Directory);
        if was_directory || examined.entry.kind == Kind::Directory {
            return false;
        }
        match tracked {
            None if examined.entry.kind == Kind::Absent => return true,
            None if self.is_incomplete(relative) || self.known.tracked.len() >= self.known.most => {
                return false;
            }
            // A pass takes it into the baseline, with its content.
            Some(tracked) if tracked.is_unknown() && examined.entry.kind == Kind::File => return false,
            Some(_) | None => {}
        }
        let key: Box<str> = relative.into();
        let tracked = self.known.tracked.entry(key.clone()).or_insert_with(|| Tracked::should_be(None));
        let stamp = examined.stamp.filter(|stamp| stamp.is_old_enough(now_seconds));
        let noted = tracked.set_current(examined.entry, stamp);
        self.known.unsaved |= noted.adopted;
        if noted.changed || self.has_another_outlook(&key) {
            self.report(&[key], emit);
        }
        true
    }
}

/// Whether a path below the root `text` is watched: not below what is left out.
fn wants(text: &str, exclude: &[String], relative: &str) -> bool {
    let path = absolute(text, relative);
    let inside =
        |out: &String| path.strip_prefix(out.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    !exclude.iter().any(inside)
}

fn absolute(root: &str, relative: &str) -> String {
    if relative.is_empty() { root.to_owned() } else { format!("{root}/{relative}") }
}

fn missing(root: &str) -> String {
    format!("expected something to watch at {root}, found nothing there; it is watched as soon as it appears")
}

fn unreadable(root: &str, found: &impl std::fmt::Display) -> String {
    format!("expected to read {root}, found: {found}; give this agent's user access, or leave the path out")
}

#[cfg(test)]
#[path = "root_tests/mod.rs"]
mod tests;
