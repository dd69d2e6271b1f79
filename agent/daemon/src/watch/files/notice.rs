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

/// Asks the system to notify.
pub struct Notices {
    watcher: Option<RecommendedWatcher>,
    /// What stood at each root when it was taken up: is it a directory, and its inode.
    watched: BTreeMap<PathBuf, (bool, u64)>,
    /// Roots that the system would not take, as they stood then, and why.
    failed: BTreeMap<PathBuf, ((bool, u64), String)>,
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
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => sink.add(event.paths.clone(), event.need_rescan()),
            Err(_) => sink.add(Vec::new(), true),
        };
        let config = Config::default().with_follow_symlinks(false);
        let (watcher, broken) = match RecommendedWatcher::new(handler, config) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(text(Path::new("watched files"), &error))),
        };
        Self { watcher, watched: BTreeMap::new(), failed: BTreeMap::new(), broken, touched }
    }

    /// What stands in the way of being notified, if anything.
    pub fn problem(&self) -> Option<String> {
        let failed = self.failed.values().map(|(_, why)| why.clone()).next();
        self.broken.clone().or(failed)
    }

    /// Roots that the system would not take are tried again.
    pub fn try_again(&mut self) {
        self.failed.clear();
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
        notify::ErrorKind::MaxFilesWatch => "raise fs.inotify.max_user_watches",
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(24) => {
            "raise fs.inotify.max_user_instances"
        }
        _ => "check that it may be read",
    };
    format!(
        "expected the system to notify changes of {}, found: {error}; {remedy}; until then changes are seen by the \
         periodic pass",
        path.display()
    )
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
}
