//! One watched root: its baseline, what is there now, and what differs.
//!
//! Calls block on the disk and are made on a blocking thread. A file whose inode, size and times did not change is not
//! read again. What cannot be read is unknown: entries below an unreadable directory keep their last known state, and
//! what could not be read when the baseline was taken becomes part of it with its first reading, never "added".

pub(super) mod blind;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nimbus_agent_core::observe::file::{Entry, Kind, MAX_CONTENT};
use nimbus_protocol::v1;

use super::baseline::{BaselineError, Baselines, Index, digest};
use super::tracked::Tracked;
use super::tree::{self, Examined, MAX_HASHED, MAX_RESTORABLE, Stamp};
use blind::Dirs;
use scan::Scan;

/// Most paths that are tracked below one root; further ones are counted and said, not watched.
pub const MAX_FILES: usize = 20_000;
/// Most bytes that a pass hashes of files that it looks at anew and that are longer than [`ALWAYS`]; about as many between
/// two passes for files that were touched. Further ones are left to the next passes, which go on where this one ended, and
/// said as a problem: until then nothing is told of them. So a root is held for some seconds, whoever fills it with what.
pub const MAX_PASS: u64 = 1 << 30;
/// A file of at most so many bytes is always looked at: all of a root together are 1.25 GiB.
const ALWAYS: u64 = MAX_CONTENT as u64;
/// How the name of a restore's temporary file begins; such names are not watched.
pub const RESTORING: &str = ".nimbus-restore-";

/// A watched root.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    pub(super) text: String,
    /// Absolute paths left out with all below them: the agent's own data.
    exclude: Vec<String>,
    pub(super) baselines: Arc<Baselines>,
    pub(super) tracked: BTreeMap<Box<str>, Tracked>,
    baselined: bool,
    /// Directories that the baseline does not know wholly; durable with it.
    blind: Dirs,
    /// Directories on which a file system was mounted when last seen; durable with the baseline.
    mounts: BTreeSet<Box<str>>,
    most: usize,
    /// Most bytes hashed in a pass, and what is left of it until the next one.
    budget: u64,
    left: u64,
    /// The last path that was hashed from the budget.
    hashed: Box<str>,
    loaded: bool,
    pass: u32,
    digest: [u8; 32],
    pub(super) problem: Option<String>,
    /// The index on disk is not what it should be.
    pub(super) unsaved: bool,
}

impl Root {
    /// A root that was not looked at yet.
    pub fn new(path: PathBuf, exclude: &[PathBuf], baselines: Arc<Baselines>) -> Self {
        let text = path.to_string_lossy().into_owned();
        let exclude = exclude.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        Self {
            path,
            text,
            exclude,
            baselines,
            tracked: BTreeMap::new(),
            baselined: false,
            blind: Dirs::default(),
            mounts: BTreeSet::new(),
            most: MAX_FILES,
            budget: MAX_PASS,
            left: MAX_PASS,
            hashed: "".into(),
            loaded: false,
            pass: 0,
            digest: [0; 32],
            problem: None,
            unsaved: false,
        }
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
        !self.baselined || self.unsaved
    }

    /// What the control plane is told of the root itself.
    pub fn status(&self) -> v1::WatchedRoot {
        let files =
            self.tracked.values().filter(|t| t.baseline.as_ref().is_some_and(|b| b.kind == Kind::File));
        v1::WatchedRoot {
            path: self.text.clone(),
            files: files.count() as u64,
            problem: self.problem.clone().unwrap_or_default(),
            baseline_digest: if self.baselined { self.digest.to_vec() } else { Vec::new() },
        }
    }

    /// The path below the root that an absolute path means; `None` when it is not this root's.
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        if path == self.text {
            return Some("");
        }
        path.strip_prefix(self.text.as_str())?.strip_prefix('/').filter(|rest| !rest.is_empty())
    }

    fn wants(&self, relative: &str) -> bool {
        if relative.rsplit('/').next().is_some_and(|name| name.starts_with(RESTORING)) {
            return false;
        }
        let path = self.absolute(relative);
        let inside = |out: &String| {
            path.strip_prefix(out.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        !self.exclude.iter().any(inside)
    }

    pub(super) fn absolute(&self, relative: &str) -> String {
        if relative.is_empty() { self.text.clone() } else { format!("{}/{relative}", self.text) }
    }

    /// What a path should be; absent when the baseline does not have it.
    pub fn baseline(&self, relative: &str) -> Entry {
        self.tracked.get(relative).and_then(|t| t.baseline.clone()).unwrap_or_else(Entry::absent)
    }

    /// What stands at a path now, freshly read.
    pub fn look(&self, relative: &str, keep: usize) -> Examined {
        match tree::open_parent(&self.path, relative) {
            Ok((dir, name)) => tree::examine(dir.as_fd(), &name, keep),
            Err(error) => {
                let gone =
                    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
                // ELOOP: a link stands where a directory should; what is asked for is not there.
                let link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
                let entry = if gone || link {
                    Entry::absent()
                } else {
                    Entry { kind: Kind::Unreadable, problem: error.to_string(), ..Entry::absent() }
                };
                Examined { entry, stamp: None, content: None }
            }
        }
    }

    /// Bytes that a look at a path takes from the budget.
    fn weight(&self, relative: &str) -> u64 {
        let stamp = tree::open_parent(&self.path, relative)
            .ok()
            .and_then(|(dir, name)| tree::stamp(dir.as_fd(), &name));
        stamp.map_or(0, |(_, stamp)| weight(&stamp))
    }

    /// Takes a look's bytes from the budget. False when they are not left.
    fn afford(&mut self, relative: &str) -> bool {
        let weight = self.weight(relative);
        let enough = weight <= self.left;
        if enough {
            self.left -= weight;
        }
        enough
    }

    /// The first bytes of a file that is too long for a diff, without reading the rest.
    pub(super) fn beginning(&self, relative: &str, most: usize) -> Option<Vec<u8>> {
        if self.weight(relative) == 0 {
            return None;
        }
        let (dir, name) = tree::open_parent(&self.path, relative).ok()?;
        let mut content = Vec::new();
        tree::open_file(dir.as_fd(), &name).ok()?.take(most as u64).read_to_end(&mut content).ok()?;
        (content.len() == most).then_some(content)
    }

    /// A full pass. The first one ever becomes the baseline. `emit` gets what changed since it was last told.
    pub fn full_pass(&mut self, now_seconds: i64, emit: &mut dyn FnMut(v1::File)) {
        self.pass_by(now_seconds, emit, |path, scan| tree::walk(path, scan));
    }

    fn pass_by(
        &mut self,
        now_seconds: i64,
        emit: &mut dyn FnMut(v1::File),
        walk: impl FnOnce(&Path, &mut Scan<'_>) -> std::io::Result<()>,
    ) {
        match self.scan(now_seconds, walk) {
            Ok(changed) => self.tell(changed, emit),
            Err(problem) => self.problem = Some(problem),
        }
    }

    fn scan(
        &mut self,
        now_seconds: i64,
        walk: impl FnOnce(&Path, &mut Scan<'_>) -> std::io::Result<()>,
    ) -> Result<Vec<Box<str>>, String> {
        self.load()?;
        let there = self.root_is_there()?;
        if !self.baselined {
            // A pass before this one may have come half-way.
            self.tracked.clear();
            self.mounts.clear();
        }
        self.pass = self.pass.wrapping_add(1);
        self.left = self.budget;
        let (path, text) = (self.path.clone(), self.text.clone());
        let mut scan = Scan::new(self, now_seconds);
        if there {
            walk(&path, &mut scan).map_err(|error| unreadable(&text, &error))?;
            scan.read_later();
        }
        let Scan { troubles, mut changed, listed, .. } = scan;
        self.left = self.budget;
        self.settle_blind(&troubles, &listed);
        if self.baselined {
            self.absent_now(&troubles, &mut changed);
        } else {
            self.take_baseline()?;
            changed.clear();
        }
        self.problem = troubles.text(&self.text);
        if !there {
            self.problem = Some(missing(&self.text));
        }
        if self.unsaved
            && let Err(problem) = self.save()
        {
            // It stays unsaved, and is tried again; what changed is told all the same.
            self.problem = Some(problem);
        }
        Ok(changed)
    }

    fn load(&mut self) -> Result<(), String> {
        if self.loaded {
            return Ok(());
        }
        let index = self.baselines.load(&self.text).map_err(|error: BaselineError| error.to_string())?;
        self.loaded = true;
        let Some(index) = index else { return Ok(()) };
        self.digest = digest(&index.entries);
        self.baselined = true;
        self.blind = index.blind.into_iter().collect();
        self.take_mounts(index.mounts);
        for (path, entry) in index.entries {
            self.tracked.insert(path, Tracked::should_be(Some(entry)));
        }
        for path in index.reported {
            let tracked = self.tracked.entry(path.into()).or_insert_with(|| Tracked::should_be(None));
            tracked.reported = true;
            // Told once more, whatever it is now.
            tracked.current = Some(Box::new(Entry { kind: Kind::Unreadable, ..Entry::absent() }));
        }
        Ok(())
    }

    /// False: it has a baseline, and nothing is there any more. Without a baseline that is a problem.
    fn root_is_there(&self) -> Result<bool, String> {
        let now = self.look("", 0).entry;
        match now.kind {
            Kind::Absent if self.baselined => Ok(false),
            Kind::Absent => Err(missing(&self.text)),
            Kind::Symlink if !self.baselined => Err(format!(
                "expected {} to be a file or a directory, found a symbolic link; watch what it points to",
                self.text
            )),
            Kind::Unreadable => Err(format!(
                "expected to read {}, found: {}; give this agent's user access, or leave the path out",
                self.text, now.problem
            )),
            _ => Ok(true),
        }
    }

    fn take_baseline(&mut self) -> Result<(), String> {
        for tracked in self.tracked.values_mut() {
            if let Some(current) = tracked.current.take() {
                tracked.baseline = Some(*current);
            }
        }
        self.save()?;
        self.baselined = true;
        tracing::info!(
            root = self.text,
            files = self.status().files,
            "first pass over a watched path: what is there now is its baseline"
        );
        Ok(())
    }

    pub(super) fn save(&mut self) -> Result<(), String> {
        let mut entries = BTreeMap::new();
        for (path, tracked) in &self.tracked {
            if let Some(entry) = &tracked.baseline {
                entries.insert(path.clone(), entry.clone());
            }
        }
        let reported = self.tracked.iter().filter(|(_, t)| t.reported).map(|(path, _)| path.to_string());
        let index = Index {
            reported: reported.collect(),
            blind: self.blind.iter().map(str::to_owned).collect(),
            mounts: self.mounts.iter().map(ToString::to_string).collect(),
            entries,
        };
        self.baselines.save(&self.text, &index).map_err(|error| error.to_string())?;
        self.digest = digest(&index.entries);
        self.unsaved = false;
        Ok(())
    }

    /// Looks at one path. False when the whole root should be looked at instead: a directory came, went or changed, or too
    /// much was hashed since the last pass.
    pub fn check(&mut self, relative: &str, now_seconds: i64, emit: &mut dyn FnMut(v1::File)) -> bool {
        if !self.baselined {
            return false;
        }
        if !self.wants(relative) {
            return true;
        }
        if !self.afford(relative) {
            return false;
        }
        let examined = self.look(relative, 0);
        let was_directory = self.tracked.get(relative).is_some_and(|tracked| {
            let now = tracked.current.as_deref().or(tracked.baseline.as_ref());
            now.is_some_and(|entry| entry.kind == Kind::Directory)
        });
        if was_directory || examined.entry.kind == Kind::Directory {
            return false;
        }
        match self.tracked.get(relative) {
            None if examined.entry.kind == Kind::Absent => return true,
            None if self.is_blind(relative) || self.tracked.len() >= self.most => return false,
            // A pass takes it into the baseline, with its content.
            Some(tracked) if tracked.is_unknown() && examined.entry.kind == Kind::File => return false,
            _ => {}
        }
        let key: Box<str> = relative.into();
        let tracked = self.tracked.entry(key.clone()).or_insert_with(|| Tracked::should_be(None));
        let stamp = examined.stamp.filter(|stamp| stamp.settled(now_seconds));
        let noted = tracked.now_is(examined.entry, stamp);
        self.unsaved |= noted.adopted;
        if noted.changed {
            self.tell(vec![key], emit);
        }
        true
    }

    /// Takes what is there now as the new truth, durably, if it is still what was `expected`; its content is kept for
    /// later restores, where there is room.
    pub fn accept(&mut self, relative: &str, expected: impl Fn(&Entry) -> bool) -> Result<(), String> {
        let examined = self.look(relative, usize::try_from(MAX_RESTORABLE).unwrap_or(usize::MAX));
        if examined.entry.kind == Kind::Unreadable {
            return Err(format!("expected to read {relative:?}, found: {}", examined.entry.problem));
        }
        if !expected(&examined.entry) {
            return Err("expected what was decided on, found it changed this very moment".to_owned());
        }
        keep(&self.baselines, &examined).map_err(|error| format!("its content cannot be kept: {error}"))?;
        let entry = examined.entry;
        let absent = entry.kind == Kind::Absent;
        let tracked = self.tracked.entry(relative.into()).or_insert_with(|| Tracked::should_be(None));
        // The next look compares with the new baseline, touched or not.
        tracked.stamp = None;
        let old = tracked.baseline.take();
        tracked.baseline = (!absent).then_some(entry);
        if let Err(problem) = self.save() {
            if let Some(tracked) = self.tracked.get_mut(relative) {
                tracked.baseline = old;
            }
            return Err(problem);
        }
        Ok(())
    }
}

/// Bytes that are hashed of a file with this stamp and count: none of a short one, nor of one that is never read.
fn weight(stamp: &Stamp) -> u64 {
    if (ALWAYS + 1..=MAX_HASHED).contains(&stamp.size()) { stamp.size() } else { 0 }
}

/// Keeps content for a restore. False when there is no room, or it is too large.
fn keep(baselines: &Baselines, examined: &Examined) -> std::io::Result<bool> {
    match (&examined.entry.sha256, &examined.content) {
        (Some(hash), Some(content)) if nimbus_protocol::sha256(content) == *hash => {
            baselines.keep(hash, content)
        }
        (None, _) => Ok(true),
        _ => Ok(false),
    }
}

fn missing(root: &str) -> String {
    format!("expected something to watch at {root}, found nothing there; it is watched as soon as it appears")
}

fn unreadable(root: &str, error: &std::io::Error) -> String {
    format!("expected to read {root}, found: {error}; give this agent's user access, or leave the path out")
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
