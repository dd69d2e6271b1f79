//! Decides which observations a root emits: each change once, every drifted file again on a resync, with state and diff
//! of the same moment.

use nimbus_agent_core::observe::file::{Contents, Kind, Visibility, compare, lines, name};
use nimbus_protocol::v1;

use super::root::Root;

/// Why a diff is withheld where the baseline's content is not kept: it cannot be restored then.
const NOT_KEPT: &str = "content not kept";

impl Root {
    /// Reports everything that differs from its baseline, again.
    pub fn report_all(&mut self, emit: &mut dyn FnMut(v1::File)) {
        let drifted = self.known.tracked.iter().filter(|(_, tracked)| tracked.current.is_some());
        let drifted: Vec<Box<str>> = drifted.map(|(path, _)| path.clone()).collect();
        self.report(&drifted, emit);
    }

    /// Reports what changed. That a path is reported as drifted is durable before the report, that it is right again is
    /// durable after it.
    pub(super) fn report(&mut self, changed: &[Box<str>], emit: &mut dyn FnMut(v1::File)) {
        let mut before = false;
        for path in changed {
            if let Some(tracked) = self.known.tracked.get_mut(path)
                && tracked.current.is_some()
                && !tracked.reported
            {
                tracked.reported = true;
                before = true;
            }
        }
        if before {
            self.save_soon();
        }
        let mut after = false;
        for path in changed {
            let file = self.describe(path);
            emit(file);
            if let Some(tracked) = self.known.tracked.get_mut(path)
                && tracked.current.is_none()
                && tracked.reported
            {
                tracked.reported = false;
                after = true;
            }
        }
        if after {
            self.save_soon();
        }
        for path in changed {
            self.known.forget_unneeded(path);
        }
    }

    /// The observation of one path. A file that differs is read and noted anew, so that state and diff are of the same
    /// moment even while it is being written.
    fn describe(&mut self, relative: &str) -> v1::File {
        let baseline = self.baseline(relative);
        let noted = |root: &Self| {
            let current = root.known.tracked.get(relative).and_then(|t| t.current.as_deref().cloned());
            current.unwrap_or_else(|| baseline.clone())
        };
        let mut after = None;
        // What the last pass could not see stays as it was. What could not be read when the baseline was taken is read by a
        // pass, which keeps its content.
        let unknown = self.known.tracked.get(relative).is_some_and(|tracked| tracked.is_unknown());
        if matches!(noted(self).kind, Kind::File | Kind::Symlink | Kind::Unreadable)
            && !baseline.same(&noted(self))
            && !self.known.is_unseen(relative)
            && !unknown
        {
            let now = self.look(relative);
            after = now.content;
            if let Some(tracked) = self.known.tracked.get_mut(relative) {
                // No stamp: whether it is settled is asked by the next pass.
                tracked.set_current(now.entry, None);
            }
        }
        let current = noted(self);
        let mut before = None;
        let drifted = !baseline.same(&current);
        if drifted {
            // Read before it is said whether it could be put back: a damaged copy is known for one from here on.
            before = baseline.sha256.and_then(|hash| self.baselines.blob(&hash).ok().flatten());
        }
        if !drifted && baseline.sha256.is_some_and(|hash| self.baselines.is_damaged(&hash)) {
            self.baselines.may_heal();
        }
        let contents = Contents { before: before.as_deref(), after: after.as_deref() };
        let outlook = drifted.then(|| self.outlook(relative, &current));
        let path = self.absolute(relative);
        let visibility = if self.policy.shows(&path) { Visibility::Shown } else { Visibility::Hidden };
        let mut file =
            compare(&self.text, &path, &baseline, &current, contents, visibility, outlook.as_ref());
        let bytes = name::unescape(&path);
        if bytes != path.as_bytes() {
            file.path_bytes = bytes.into_owned();
        }
        if let (Some(before), Some(after)) = (contents.before, contents.after) {
            file.lines_lost = lines::lost(before, after);
        }
        if let Some(tracked) = self.known.tracked.get_mut(relative) {
            tracked.outlook = outlook.map(Box::new);
        }
        // Also where only mode or owner differ: a restore of such a file is always refused.
        if drifted && baseline.sha256.is_some() && before.is_none() {
            NOT_KEPT.clone_into(&mut file.diff_withheld);
        }
        file
    }

    /// Paths that differ as they did, but of which it is another question by now whether they could be put back: a flag, a
    /// mount or the room on a disk are no part of their state.
    pub(super) fn with_another_outlook(&self) -> Vec<Box<str>> {
        let drifted = self.known.tracked.iter().filter(|(_, tracked)| tracked.current.is_some());
        drifted.filter(|(path, _)| self.has_another_outlook(path)).map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn has_another_outlook(&self, relative: &str) -> bool {
        let Some(tracked) = self.known.tracked.get(relative) else { return false };
        let (Some(current), Some(told)) = (&tracked.current, &tracked.outlook) else { return false };
        !told.says_the_same(&self.outlook(relative, current))
    }

    /// Saves what is reported, which only matters after a restart; a failure is a problem, and is tried again with the rest.
    fn save_soon(&mut self) {
        if !self.known.baselined {
            return;
        }
        if let Err(error) = self.baselines.save_reported(&self.text, self.known.reported()) {
            self.problem = Some(error.to_string());
            self.known.unsaved = true;
        }
    }
}
