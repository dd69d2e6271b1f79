//! The process's clock. Everything that decides takes `now` as an argument instead.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The time of day, UTC. It can jump in either direction; a duration is measured with [`monotonic`] or an [`Instant`].
#[allow(clippy::disallowed_methods, reason = "the shells' one clock: decisions take `now` as an argument")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time since this process first asked for it: it only goes forward, and it means nothing to another process.
pub fn monotonic() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// `base` plus up to half of it again, so that many peers that were told to wait together do not come back together.
pub fn jittered(base: Duration) -> Duration {
    base.saturating_add(base.mul_f64(rand::random_range(0.0..0.5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_this_century() {
        assert!(now() > "2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    }

    #[test]
    fn the_monotonic_clock_begins_at_nothing_and_goes_forward() {
        let first = monotonic();
        assert!(first < Duration::from_mins(1), "{first:?}");
        std::thread::sleep(Duration::from_millis(2));
        assert!(monotonic() >= first + Duration::from_millis(2));
    }

    #[test]
    fn jitter_only_lengthens_and_by_half_at_most() {
        let base = Duration::from_secs(10);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(base)).collect();
        assert!(waits.iter().all(|wait| (base..base.mul_f64(1.5)).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "every wait was the same");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
        assert_eq!(jittered(Duration::MAX), Duration::MAX);
    }
}
