//! What a person decided about the baseline of one path, made durable.

use nimbus_agent_core::observe::file::{Entry, Kind};

use super::{Root, Tracked};

impl Root {
    /// Takes the present state of a path as its baseline, durably, if it is still what was `expected`; its content is kept
    /// for later restores, where there is room. `expected` is asked of what would be the baseline.
    pub fn accept(&mut self, relative: &str, expected: impl Fn(&Entry) -> bool) -> Result<(), String> {
        let mut examined = self.look(relative);
        let before = self.baseline(relative);
        // Asked while it is known what could not be read: a baseline without it is another one.
        let again = before.same(&examined.entry);
        examined.entry = examined.entry.accepted()?;
        if !expected(&examined.entry) {
            return Err("expected what was decided on, found that it changed since".to_owned());
        }
        self.baselines.keep(&examined).map_err(|error| format!("its content cannot be kept: {error}"))?;
        // Accepted once more, the decision before it is still the one that can be withdrawn.
        let earlier = if again { self.earlier(relative).cloned() } else { Some(before) };
        self.decide(relative, examined.entry, earlier)
    }

    /// What was the baseline of a path before a person accepted the present one; `None` where nobody did.
    pub fn earlier(&self, relative: &str) -> Option<&Entry> {
        self.known.tracked.get(relative)?.earlier.as_deref()
    }

    /// Takes back the last acceptance of a path, durably: what was its baseline before is its baseline again.
    pub fn withdraw(&mut self, relative: &str) -> Result<(), String> {
        let earlier = self.earlier(relative).cloned();
        let earlier = earlier.ok_or("expected the baseline before the accepted one, found none kept")?;
        self.decide(relative, earlier, None)
    }

    /// Makes a person's decision on a baseline durable; what cannot be stored is not in force either.
    fn decide(&mut self, relative: &str, baseline: Entry, earlier: Option<Entry>) -> Result<(), String> {
        if !self.known.baselined {
            // What is stored may be damaged, and must not be replaced by this one path.
            let problem = self.problem.as_deref().unwrap_or("none was taken yet");
            return Err(format!("expected the baseline of {} to be known, found: {problem}", self.text));
        }
        let tracked = self.known.tracked.entry(relative.into()).or_insert_with(|| Tracked::should_be(None));
        // The next look compares with the new baseline, also where the file is not written until then.
        tracked.stamp = None;
        let baseline = (baseline.kind != Kind::Absent).then_some(baseline);
        let before = (
            std::mem::replace(&mut tracked.baseline, baseline),
            std::mem::replace(&mut tracked.earlier, earlier.map(Box::new)),
            // Whatever it is now, it is reported once more: beside another baseline it is another difference.
            tracked.current.replace(Box::new(Entry { kind: Kind::Unreadable, ..Entry::absent() })),
        );
        let saved = self.save();
        if saved.is_err()
            && let Some(tracked) = self.known.tracked.get_mut(relative)
        {
            (tracked.baseline, tracked.earlier, tracked.current) = before;
            // What was written may be there all the same: it is replaced by what holds.
            self.known.unsaved = true;
        }
        saved
    }
}
