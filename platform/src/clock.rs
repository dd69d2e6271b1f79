//! The process's clock. Everything that decides takes `now` as an argument instead.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

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

/// The time since this machine was started, with the time that it was suspended: what one believed before, it does not believe
/// for longer because its machine slept. It only goes forward, and means nothing to another machine.
pub fn since_boot() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(at.tv_nsec).unwrap_or_default())
}

/// How far the time of day may be from what has passed before it counts as a jump: it is corrected by small steps all the
/// time.
const JUMP: SignedDuration = SignedDuration::from_secs(10);

/// Notices when the time of day jumps: when it moves by other than what has passed.
#[derive(Debug, Clone, Copy)]
pub struct ClockWatch {
    wall: Timestamp,
    monotonic: Duration,
}

impl ClockWatch {
    /// Watches from this moment on.
    pub fn new(wall: Timestamp, monotonic: Duration) -> Self {
        Self { wall, monotonic }
    }

    /// By how much the time of day jumped since the last look, if it did. Look every few seconds: what was not noticed in
    /// between adds up only until the next look.
    pub fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Option<SignedDuration> {
        let passed = SignedDuration::try_from(monotonic.saturating_sub(self.monotonic));
        let passed = passed.unwrap_or(SignedDuration::MAX);
        let by = wall.duration_since(self.wall).checked_sub(passed).unwrap_or(SignedDuration::MAX);
        *self = Self { wall, monotonic };
        (by.abs() >= JUMP).then_some(by)
    }
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
    fn the_time_since_boot_goes_on_as_the_monotonic_clock_does() {
        let (boot, mono) = (since_boot(), monotonic());
        std::thread::sleep(Duration::from_millis(5));
        let (boot, mono) = (since_boot().saturating_sub(boot), monotonic().saturating_sub(mono));
        assert!(
            boot >= Duration::from_millis(5) && boot.abs_diff(mono) < Duration::from_secs(1),
            "{boot:?} {mono:?}"
        );
    }

    #[test]
    fn a_jump_is_noticed_once_in_either_direction_and_small_corrections_are_none() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let two_years = 2 * 365 * 86_400;
        let mut watch = ClockWatch::new(at(0), Duration::from_secs(100));
        assert_eq!(watch.look(at(5), Duration::from_secs(105)), None);
        assert_eq!(watch.look(at(12), Duration::from_secs(110)), None, "two seconds were put right");
        let ahead = at(two_years + 17);
        assert_eq!(watch.look(ahead, Duration::from_secs(115)), Some(SignedDuration::from_secs(two_years)));
        assert_eq!(watch.look(at(two_years + 22), Duration::from_mins(2)), None, "once");
        let back = watch.look(at(27), Duration::from_secs(125));
        assert_eq!(back, Some(SignedDuration::from_secs(-two_years)));
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
