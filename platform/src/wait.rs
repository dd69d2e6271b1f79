//! Exponential waits between attempts: each is twice as long as the one before, up to a ceiling.

use std::time::Duration;

use crate::jittered;

/// The waits of one attempt after the other. [`DoublingWait::reset`] after a success starts over.
#[derive(Debug, Clone)]
pub struct DoublingWait {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl DoublingWait {
    /// Waits that begin with `first` and do not grow beyond `longest`, jitter apart.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to wait now: the step that is due and up to half of it again.
    #[allow(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> Duration {
        jittered(self.step())
    }

    /// Starts over with the first wait.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    fn step(&mut self) -> Duration {
        let due = self.next.min(self.longest);
        self.next = due.saturating_mul(2).min(self.longest);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_longest_and_start_over() {
        let mut wait = DoublingWait::new(Duration::from_secs(1), Duration::from_secs(10));
        let steps: Vec<u64> = (0..6).map(|_| wait.step().as_secs()).collect();
        assert_eq!(steps, [1, 2, 4, 8, 10, 10]);
        wait.reset();
        assert_eq!(wait.step().as_secs(), 1);
        let next = wait.next();
        assert!((Duration::from_secs(2)..Duration::from_secs(3)).contains(&next), "{next:?}");
    }

    #[test]
    fn a_first_wait_beyond_the_longest_is_cut() {
        let mut wait = DoublingWait::new(Duration::from_secs(30), Duration::from_secs(10));
        assert_eq!((wait.step().as_secs(), wait.step().as_secs()), (10, 10));
    }
}
