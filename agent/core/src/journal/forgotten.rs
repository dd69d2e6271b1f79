//! The expiries of jobs that the journal has forgotten: a job with such an expiry may have run before, and is refused.
//!
//! A job is refused as a replay while the journal knows it, and by its expiry afterwards. But a clock can be set back, and
//! then an expiry that has passed lies ahead again. So the journal keeps from which to which expiry it has forgotten
//! jobs. Those are spans, not one latest time: jobs that ran while a clock was two years ahead must not keep later ones
//! out for two years. A control plane that was started anew signs with a higher epoch, and jobs of an older one are
//! refused for that: then nothing needs to be kept.

use jiff::{SignedDuration, Timestamp};

/// Expiries that are no further apart are of one span.
const GAP: SignedDuration = SignedDuration::from_hours(24);
/// Most spans. Each one more takes a clock that jumped by more than [`GAP`] and jobs that were taken then; at the bound the
/// two that are closest become one.
const MAX_SPANS: usize = 16;

/// Expiries of forgotten jobs, from the earliest on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Forgotten(Vec<(Timestamp, Timestamp)>);

impl Forgotten {
    /// A job with this expiry is forgotten.
    pub(super) fn add(&mut self, expires: Timestamp) {
        self.add_span(expires, expires);
    }

    /// So are jobs with expiries from here to there.
    pub(super) fn add_span(&mut self, from: Timestamp, until: Timestamp) {
        self.0.push((from, until));
        self.0.sort_unstable();
        let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, until) in self.0.drain(..) {
            match merged.last_mut() {
                Some(last) if from.duration_since(last.1) <= GAP => last.1 = last.1.max(until),
                _ => merged.push((from, until)),
            }
        }
        while merged.len() > MAX_SPANS {
            let gap = |at: &usize| merged[at + 1].0.duration_since(merged[*at].1);
            let Some(at) = (0..merged.len() - 1).min_by_key(gap) else { break };
            let (_, until) = merged.remove(at + 1);
            merged[at].1 = until;
        }
        self.0 = merged;
    }

    /// May a job with this expiry have been forgotten?
    pub(super) fn covers(&self, expires: Timestamp) -> bool {
        self.0.iter().any(|(from, until)| (*from..=*until).contains(&expires))
    }

    /// A newer control plane has taken over: jobs of an older one are refused by their epoch.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn spans(&self) -> &[(Timestamp, Timestamp)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    const YEAR: i64 = 365 * 86_400;

    #[test]
    fn what_lies_between_two_forgotten_expiries_may_be_forgotten_too() {
        let mut forgotten = Forgotten::default();
        assert!(!forgotten.covers(at(0)));
        for seconds in [500, 0, 90] {
            forgotten.add(at(seconds));
        }
        assert!(forgotten.covers(at(0)) && forgotten.covers(at(300)) && forgotten.covers(at(500)));
        assert!(!forgotten.covers(at(-1)) && !forgotten.covers(at(501)));
        assert_eq!(forgotten.spans().len(), 1);
    }

    #[test]
    fn jobs_of_a_clock_that_was_years_ahead_keep_nothing_out_that_lies_between() {
        let mut forgotten = Forgotten::default();
        forgotten.add(at(0));
        forgotten.add(at(2 * YEAR));
        assert!(forgotten.covers(at(0)) && forgotten.covers(at(2 * YEAR)));
        assert!(!forgotten.covers(at(60)) && !forgotten.covers(at(YEAR)));
        forgotten.clear();
        assert!(!forgotten.covers(at(0)));
    }

    #[test]
    fn the_spans_are_bounded_and_nothing_forgotten_is_lost() {
        let mut forgotten = Forgotten::default();
        for year in 0..100 {
            forgotten.add(at(year * YEAR));
        }
        assert_eq!(forgotten.spans().len(), MAX_SPANS);
        assert!((0..100).all(|year| forgotten.covers(at(year * YEAR))));
    }
}
