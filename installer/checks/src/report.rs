//! Runs a list of checks over a snapshot, and says what came of them.

use jiff::Timestamp;
use serde::Serialize;

use crate::check::{Check, Open, Outcome, Verdict};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub name: &'static str,
    /// What has to be true.
    pub what: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A check that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAsked {
    /// The check's name.
    pub name: &'static str,
    /// What it would say.
    pub what: &'static str,
    /// How to ask for it.
    pub how: &'static str,
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As they have to be.
    pub pass: usize,
    /// Worth a look.
    pub warning: usize,
    /// Not working.
    pub failure: usize,
    /// Not found out.
    pub unknown: usize,
}

/// What all checks of one run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// When it was gathered.
    pub at: Timestamp,
    /// True when no check failed and at least one passed; where all is unknown nothing is as it has to be. That of a cluster takes
    /// one that answered.
    pub passed: bool,
    /// How many ended how.
    pub counts: Counts,
    /// Each check, in the order of its list.
    #[serde(rename = "items")]
    pub checks: Vec<Finding>,
    /// The checks that nobody asked for.
    pub not_asked: Vec<NotAsked>,
}

impl Report {
    /// Judges every check of `list`.
    pub fn of<S>(list: &[Check<S>], snapshot: &S, at: Timestamp) -> Self {
        let mut report = Self {
            at,
            passed: true,
            counts: Counts::default(),
            checks: Vec::with_capacity(list.len()),
            not_asked: Vec::new(),
        };
        for check in list {
            let (name, what) = (check.name, check.what);
            match (check.judge)(snapshot) {
                Ok(outcome) => report.add(name, what, outcome),
                Err(Open::Unread(unread)) => {
                    report.add(name, what, Outcome::unknown(unread.why, unread.remedy));
                }
                Err(Open::NotAsked(how)) => report.not_asked.push(NotAsked { name, what, how }),
            }
        }
        report.passed &= report.counts.pass > 0;
        report
    }

    fn add(&mut self, name: &'static str, what: &'static str, outcome: Outcome) {
        let counts = &mut self.counts;
        let count = match outcome.verdict {
            Verdict::Pass => &mut counts.pass,
            Verdict::Warning => &mut counts.warning,
            Verdict::Failure => &mut counts.failure,
            Verdict::Unknown => &mut counts.unknown,
        };
        *count += 1;
        self.passed &= outcome.verdict != Verdict::Failure;
        self.checks.push(Finding { name, what, outcome });
    }

    /// Did anything end in a warning, or stay unknown?
    pub fn is_doubtful(&self) -> bool {
        self.counts.warning + self.counts.unknown > 0
    }

    /// Was this check judged, and did it pass?
    pub fn is_pass(&self, name: &str) -> bool {
        self.finding(name).is_some_and(|finding| finding.outcome.verdict == Verdict::Pass)
    }

    /// The finding of one check, if it was judged.
    pub fn finding(&self, name: &str) -> Option<&Finding> {
        self.checks.iter().find(|finding| finding.name == name)
    }
}
