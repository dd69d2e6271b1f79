//! The health of this process, part by part, as `/readyz` and `nimbus status` report it, and what else an operator should
//! know.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A part that can be unwell by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Not all is up yet, or all is going down.
    Start,
    /// The database, as seen by whoever writes observations.
    Log,
    /// The database, as seen by the tasks.
    Tasks,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Log => "observation log",
            Self::Tasks => "tasks",
        }
    }
}

/// The parts that are unwell now, and why.
#[derive(Debug)]
pub struct Health {
    problems: Mutex<BTreeMap<Part, String>>,
}

impl Default for Health {
    /// Not ready until [`Part::Start`] is cleared.
    fn default() -> Self {
        Self { problems: Mutex::new(BTreeMap::from([(Part::Start, "starting".to_owned())])) }
    }
}

impl Health {
    /// `part` cannot work, because of `why` (one sentence). Returns whether that is news.
    pub fn failed(&self, part: Part, why: impl Into<String>) -> bool {
        self.lock().insert(part, why.into()).is_none()
    }

    /// `part` works. Returns whether that is news.
    pub fn works(&self, part: Part) -> bool {
        self.lock().remove(&part).is_some()
    }

    /// Can everything work?
    pub fn ready(&self) -> bool {
        self.lock().is_empty()
    }

    /// What is wrong, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        self.lock().iter().map(|(part, why)| format!("{}: {why}", part.name())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long it is told that something happened that is over.
const TOLD: Duration = Duration::from_hours(24);

/// What an operator should know although everything works.
#[derive(Debug, Default)]
pub struct Notices {
    /// What happened last of each kind, and when.
    happened: Mutex<BTreeMap<&'static str, (Instant, String)>>,
    /// What is so now.
    standing: Mutex<BTreeMap<&'static str, String>>,
}

impl Notices {
    /// Something happened; it is told for a day.
    pub fn happened(&self, what: &'static str, text: String, now: Instant) {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).insert(what, (now, text));
    }

    /// Did this happen within the last day?
    pub fn is_recent(&self, what: &str, now: Instant) -> bool {
        let happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        happened.get(what).is_some_and(|(at, _)| now.saturating_duration_since(*at) < TOLD)
    }

    /// It is so, until `None` says that it is not any more.
    pub fn standing(&self, what: &'static str, text: Option<String>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => drop(standing.insert(what, text)),
            None => drop(standing.remove(what)),
        }
    }

    /// One sentence each.
    pub fn texts(&self, now: Instant) -> Vec<String> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = happened.values().filter(|(at, _)| now.saturating_duration_since(*at) < TOLD);
        standing.values().cloned().chain(recent.map(|(_, text)| text.clone())).collect()
    }
}

/// What the last check of the database found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// When; `None` before the first check has ended.
    pub at: Option<Timestamp>,
    /// What is damaged, one sentence each.
    pub damage: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_for_a_day_and_what_is_so_until_it_is_not() {
        let (notices, start) = (Notices::default(), Instant::now());
        notices.happened("clock", "it jumped".into(), start);
        notices.standing("database", Some("no checksums".into()));
        assert_eq!(notices.texts(start), ["no checksums", "it jumped"]);
        assert!(notices.is_recent("clock", start + TOLD / 2));
        assert_eq!(notices.texts(start + TOLD), ["no checksums"]);
        assert!(!notices.is_recent("clock", start + TOLD) && !notices.is_recent("other", start));
        notices.standing("database", None);
        assert_eq!(notices.texts(start + TOLD), Vec::<String>::new());
    }

    #[test]
    fn ready_only_when_no_part_has_a_problem() {
        let health = Health::default();
        assert!(!health.ready());
        assert!(health.works(Part::Start) && health.ready());
        assert!(health.failed(Part::Log, "disk full") && !health.failed(Part::Log, "disk full"));
        assert_eq!(health.problems(), ["observation log: disk full"]);
        assert!(health.works(Part::Log) && !health.works(Part::Log));
        assert!(health.ready());
    }
}
