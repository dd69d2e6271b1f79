//! The process's clock. Everything that decides takes `now` as an argument instead.

use std::time::Duration;

use jiff::Timestamp;

/// The time of day, UTC. It can jump in either direction; a duration is measured with [`std::time::Instant`].
#[allow(clippy::disallowed_methods, reason = "the shells' one clock: decisions take `now` as an argument")]
pub fn now() -> Timestamp {
    Timestamp::now()
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
    fn jitter_only_lengthens_and_by_half_at_most() {
        let base = Duration::from_secs(10);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(base)).collect();
        assert!(waits.iter().all(|wait| (base..base.mul_f64(1.5)).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "every wait was the same");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
        assert_eq!(jittered(Duration::MAX), Duration::MAX);
    }
}
