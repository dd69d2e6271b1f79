//! What is told of a root: each change once, drift again when asked, and never a state beside another moment's diff.

use nimbus_agent_core::observe::file::{Contents, Kind, MAX_CONTENT, compare};
use nimbus_protocol::v1;

use super::root::Root;

/// Why a diff is withheld where the baseline's content is not kept: nothing can be put back then.
const NOT_KEPT: &str = "content not kept";

impl Root {
    /// Everything that is not as it should be, again.
    pub fn retell(&mut self, emit: &mut dyn FnMut(v1::File)) {
        let drifted = self.tracked.iter().filter(|(_, tracked)| tracked.current.is_some());
        let drifted: Vec<Box<str>> = drifted.map(|(path, _)| path.clone()).collect();
        self.tell(drifted, emit);
    }

    /// Tells what changed. That a path was told as drifted is durable before it is told, that it is right again after.
    pub(super) fn tell(&mut self, changed: Vec<Box<str>>, emit: &mut dyn FnMut(v1::File)) {
        let mut before = false;
        for path in &changed {
            if let Some(tracked) = self.tracked.get_mut(path)
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
            let file = self.describe(&path);
            emit(file);
            if let Some(tracked) = self.tracked.get_mut(&path)
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
        self.tracked.retain(|_, tracked| !tracked.is_nothing());
    }

    /// The observation of one path. A file that was being written when it was noted is noted anew, so that state and
    /// diff are of the same moment.
    fn describe(&mut self, relative: &str) -> v1::File {
        let baseline = self.baseline(relative);
        let noted = |root: &Self| {
            let current = root.tracked.get(relative).and_then(|t| t.current.as_deref().cloned());
            current.unwrap_or_else(|| baseline.clone())
        };
        let mut after = None;
        if matches!(noted(self).kind, Kind::File | Kind::Symlink) && !baseline.same(&noted(self)) {
            // One that is too long to be shown is not read a second time: there is no diff that could be of another moment.
            after = self.beginning(relative, MAX_CONTENT + 1);
            if after.is_none() {
                let now = self.look(relative, MAX_CONTENT + 1);
                after = now.content;
                if let Some(tracked) = self.tracked.get_mut(relative) {
                    // No stamp: whether it is settled is asked by the next pass.
                    tracked.now_is(now.entry, None);
                }
            }
        }
        let current = noted(self);
        let mut before = None;
        let drifted = !baseline.same(&current);
        if drifted {
            before = baseline.sha256.and_then(|hash| self.baselines.blob(&hash).ok().flatten());
        }
        let contents = Contents { before: before.as_deref(), after: after.as_deref() };
        let mut file = compare(&self.text, &self.absolute(relative), &baseline, &current, contents);
        // Said of every drift, also where mode or owner alone differ: a restore of such a file is always refused.
        if drifted && baseline.sha256.is_some() && before.is_none() {
            NOT_KEPT.clone_into(&mut file.diff_withheld);
        }
        file
    }

    /// Saves what only matters after a restart; what cannot be written now is a problem, and tried again.
    fn save_soon(&mut self) {
        if let Err(problem) = self.save() {
            self.problem = Some(problem);
            self.unsaved = true;
        }
    }
}
