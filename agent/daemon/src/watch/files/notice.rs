//! File-change notifications from the operating system (inotify). They are hints about which paths to read again; the
//! periodic pass finds what they miss.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Most changed paths that are remembered one by one; with more, everything is looked at.
const MAX_TOUCHED: usize = 256;

/// Changed paths, until they are taken.
#[derive(Debug, Default)]
pub struct Touched {
    paths: Mutex<(BTreeSet<PathBuf>, bool)>,
    wake: Notify,
}

impl Touched {
    /// Waits for the next notification.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Paths changed since the last call, or `None` when there were too many to remember.
    pub fn take(&self) -> Option<BTreeSet<PathBuf>> {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let (touched, beyond) = std::mem::take(&mut *paths);
        (!beyond).then_some(touched)
    }

    fn add(&self, touched: Vec<PathBuf>, everything: bool) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.0.extend(touched);
        if everything || paths.0.len() > MAX_TOUCHED {
            paths.0.clear();
            paths.1 = true;
        }
        self.wake.notify_one();
    }
}

/// The last directory below a root that the system would not take, as the thread says that hears of it.
type Refused = Arc<Mutex<Option<String>>>;

/// Asks the system to notify.
pub struct Notices {
    watcher: Option<RecommendedWatcher>,
    /// What stood at each root when it was taken up: is it a directory, and its inode.
    watched: BTreeMap<PathBuf, (bool, u64)>,
    /// Roots that the system would not take, as they stood then, and why.
    failed: BTreeMap<PathBuf, ((bool, u64), String)>,
    /// A directory that was made later and that the system would not take: its changes are not notified.
    refused: Refused,
    /// Why nothing is notified at all.
    broken: Option<String>,
    /// What was changed.
    pub touched: Arc<Touched>,
}

impl Notices {
    /// Starts listening; where the system refuses, the periodic pass goes on without it.
    pub fn start() -> Self {
        let touched = Arc::<Touched>::default();
        let sink = touched.clone();
        let refused = Refused::default();
        let noted = refused.clone();
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => sink.add(event.paths.clone(), event.need_rescan()),
            Err(error) => {
                if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    // It says nothing of a directory: one of those that were just made.
                    let path = error.paths.first().map_or(Path::new("a new directory"), PathBuf::as_path);
                    let said = text(path, &error);
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                }
                sink.add(Vec::new(), true);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let (watcher, broken) = match RecommendedWatcher::new(handler, config) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(text(Path::new("watched files"), &error))),
        };
        Self { watcher, watched: BTreeMap::new(), failed: BTreeMap::new(), refused, broken, touched }
    }

    /// What stands in the way of being notified, if anything.
    pub fn problem(&self) -> Option<String> {
        let failed = self.failed.values().map(|(_, why)| why.clone()).next();
        self.broken.clone().or(failed).or_else(|| self.refused().clone())
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the system would not take is tried again: a limit may have been raised. True when all of it is taken now that
    /// was refused before, so that everything has to be looked at once more.
    pub fn try_again(&mut self) -> bool {
        if self.failed.is_empty() && self.refused().is_none() {
            return false;
        }
        let Some(watcher) = &mut self.watcher else { return false };
        // What is below a root that was taken is taken again: the system knows most of it already.
        let directories = self.watched.iter().filter(|(_, (is_dir, _))| *is_dir).map(|(root, _)| root);
        for root in directories {
            if let Err(error) = watcher.watch(root, RecursiveMode::Recursive) {
                let said = text(root, &error);
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                return false;
            }
        }
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let failed = std::mem::take(&mut self.failed);
        for root in failed.keys() {
            self.watch(root);
        }
        self.failed.is_empty() && self.refused().is_none()
    }

    /// Watches a root: a directory with all below it, or a file through its directory, so that a replaced file is
    /// noticed too; a root that was replaced is watched anew. True when it was not taken up before as it stands now.
    pub fn watch(&mut self, root: &Path) -> bool {
        let Ok(now) = std::fs::symlink_metadata(root) else { return false };
        let now = (now.is_dir(), now.ino());
        let refused = self.failed.get(root).is_some_and(|(then, _)| *then == now);
        if self.watched.get(root) == Some(&now) || refused {
            return false;
        }
        self.forget(root);
        let Some(watcher) = &mut self.watcher else { return false };
        let (path, mode) = if now.0 {
            (root, RecursiveMode::Recursive)
        } else {
            (root.parent().unwrap_or(root), RecursiveMode::NonRecursive)
        };
        match watcher.watch(path, mode) {
            Ok(()) => {
                self.watched.insert(root.to_owned(), now);
            }
            Err(error) => {
                self.failed.insert(root.to_owned(), (now, text(root, &error)));
            }
        }
        true
    }

    /// A root is gone: the system's watch went with it. True when it was watched until now.
    pub fn forget(&mut self, root: &Path) -> bool {
        self.failed.remove(root);
        let was = self.watched.remove(root);
        if was.is_some_and(|(is_dir, _)| is_dir)
            && let Some(watcher) = &mut self.watcher
        {
            // It may have ended by itself.
            let _ = watcher.unwatch(root);
        }
        was.is_some()
    }
}

fn text(path: &Path, error: &notify::Error) -> String {
    let remedy = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "raise fs.inotify.max_user_watches (of a container: on its host), which is noticed within half a minute"
        }
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(24) => {
            "raise fs.inotify.max_user_instances"
        }
        _ => "check that it may be read",
    };
    format!(
        "expected the system to notify changes of {} and of all below it, found: {}; {remedy}; until then changes there \
         are seen by the periodic pass alone",
        path.display(),
        plain(error)
    )
}

/// The error without the paths that it repeats.
fn plain(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the limit of watches is reached".to_owned(),
        notify::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_touches_become_everything() {
        let touched = Touched::default();
        touched.add(vec!["/a".into(), "/a".into()], false);
        assert_eq!(touched.take().unwrap().len(), 1);
        touched.add((0..=MAX_TOUCHED).map(|n| format!("/{n}").into()).collect(), false);
        assert!(touched.take().is_none());
        assert!(touched.take().unwrap().is_empty());
    }

    /// The limit of watches is one of a user namespace too, so that a test can lower it for itself alone: the test runs
    /// itself again in one.
    #[cfg(target_os = "linux")]
    #[test]
    fn directories_beyond_the_limit_are_a_problem_until_it_is_raised() {
        const INSIDE: &str = "NIMBUS_TEST_INSIDE_A_USER_NAMESPACE";
        const LIMIT: &str = "/proc/sys/user/max_inotify_watches";
        const NAME: &str =
            "watch::files::notice::tests::directories_beyond_the_limit_are_a_problem_until_it_is_raised";
        if std::env::var_os(INSIDE).is_none() {
            let may = std::process::Command::new("unshare").args(["-Ur", "true"]).status();
            if !may.is_ok_and(|status| status.success()) {
                eprintln!("the limit of watches: left out, this user may not make a user namespace");
                return;
            }
            let mut inside = std::process::Command::new("unshare");
            let me = std::env::current_exe().unwrap();
            let done =
                inside.arg("-Ur").arg(me).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1").output();
            let done = done.unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{said}{:?}", done.stderr);
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(LIMIT, "10").unwrap();
        let mut notices = Notices::start();
        assert!(notices.watch(&root) && notices.problem().is_none());
        for n in 0..40 {
            std::fs::create_dir(root.join(format!("d{n}"))).unwrap();
        }
        let wait = |what: &str, holds: &mut dyn FnMut() -> bool| {
            let started = std::time::Instant::now();
            while !holds() {
                assert!(started.elapsed().as_secs() < 20, "{what}");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        wait("a directory that was made later is refused", &mut || notices.problem().is_some());
        let problem = notices.problem().unwrap();
        assert!(problem.contains("max_user_watches") && problem.contains("periodic pass alone"), "{problem}");
        assert!(!notices.try_again(), "the limit still holds");
        // At the start it is the same.
        let mut another = Notices::start();
        another.watch(&root);
        assert!(another.problem().is_some());
        drop(another);
        std::fs::write(LIMIT, "1000").unwrap();
        assert!(notices.try_again());
        assert_eq!(notices.problem(), None);
        assert!(!notices.try_again(), "nothing is refused any more");
        notices.touched.take();
        std::fs::write(root.join("d39/file"), "x").unwrap();
        wait("a change below one that was refused", &mut || {
            notices.touched.take().is_some_and(|paths| paths.iter().any(|path| path.ends_with("d39/file")))
        });
    }
}
