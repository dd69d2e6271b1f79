//! How long to wait before the next attempt: exponential with full jitter, so that a thousand agents that lost the
//! same control plane do not come back at the same moment.

use std::time::Duration;

/// Counts attempts that did not last.
#[derive(Debug)]
pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, attempt: 0 }
    }

    /// A wait between nothing and `base * 2^attempts`, at most `max`, at the place that `random` picks.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let ceiling =
            self.base.saturating_mul(1u32.checked_shl(self.attempt).unwrap_or(u32::MAX)).min(self.max);
        self.attempt = self.attempt.saturating_add(1).min(31);
        // The product of 64 bits and at most 2^63 nanoseconds fits 128 bits; its upper half is below the ceiling.
        let nanos = u64::try_from((ceiling.as_nanos() * u128::from(random)) >> 64).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos)
    }

    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_its_maximum_and_the_wait_is_anywhere_below() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        let mut ceilings: Vec<u64> =
            (0..40).map(|_| (backoff.next(u64::MAX) + Duration::from_millis(1)).as_secs()).collect();
        ceilings.dedup();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60]);
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(1 << 63).as_secs(), 30);
        backoff.reset();
        assert!(backoff.next(u64::MAX) <= Duration::from_secs(1));
    }
}
