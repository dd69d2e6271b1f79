//! The health of this process, part by part, as `/readyz` and `nimbus status` report it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

#[cfg(test)]
mod tests {
    use super::*;

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
