//! The pace of a pass: however many files there are, it takes a stated share of one core and of the disk's time.
//!
//! A pass works for a slice and rests as long as that took, waiting for the disk counted as work: so neither a core nor the
//! disk is kept busy for more than half the time. A short pass is not slowed down.

use std::time::{Duration, Instant};

/// Work between two rests.
const SLICE: Duration = Duration::from_millis(20);
/// Work before the first rest.
const FREE: Duration = Duration::from_millis(250);
/// Longest rest, also after a disk that hung.
const LONGEST: Duration = Duration::from_millis(200);

/// How long to rest after a slice of work, of a pass that worked `before` it; zero while the slice goes on.
fn rest(slice: Duration, before: Duration) -> Duration {
    if slice < SLICE || before + slice < FREE { Duration::ZERO } else { slice.min(LONGEST) }
}

/// The pace of one pass.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    worked: Duration,
}

impl Pace {
    pub(super) fn start() -> Self {
        Self { since: Instant::now(), worked: Duration::ZERO }
    }

    /// One more piece of work was done; rests where a slice is over.
    pub(super) fn step(&mut self) {
        let slice = self.since.elapsed();
        if slice < SLICE {
            return;
        }
        let rest = rest(slice, self.worked);
        self.worked += slice;
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_as_long_as_it_works_but_for_a_short_pass() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(19), ms(1_000)), ms(0));
        assert_eq!(rest(ms(20), ms(100)), ms(0), "a short pass is not slowed down");
        assert_eq!(rest(ms(20), ms(230)), ms(20));
        assert_eq!(rest(ms(90), ms(1_000)), ms(90));
        assert_eq!(rest(ms(9_000), ms(1_000)), ms(200), "a hanging disk is not waited for twice");
    }
}
