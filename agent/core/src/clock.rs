//! The control plane's clock, as far as this agent knows it.
//!
//! A job's time is the control plane's: it says from when and until when the job may be taken. The agent's own clock may be
//! set wrong, and may jump by years while it runs; a duration is measured by the monotonic clock, which cannot. So jobs
//! are judged by the time that the control plane last told, and by what has passed since then. Before it has told any,
//! the own clock has to do.
//!
//! A control plane that lies about the time gains nothing: it signs the jobs, and a job that was seen is refused by the
//! journal whatever the time is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The control plane's time, and when it was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ControlPlaneClock {
    told: Option<(Timestamp, Duration)>,
}

impl ControlPlaneClock {
    /// The control plane says that it is `time`; `monotonic` is when that was heard.
    pub fn told(&mut self, time: Timestamp, monotonic: Duration) {
        self.told = Some((time, monotonic));
    }

    /// The control plane's time now; the own one, `wall`, while none was told.
    pub fn now(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let Some((time, heard)) = self.told else { return wall };
        let since = SignedDuration::try_from(monotonic.saturating_sub(heard)).unwrap_or(SignedDuration::MAX);
        time.saturating_add(since).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    const TWO_YEARS: i64 = 2 * 365 * 86_400;

    #[test]
    fn the_own_clock_may_jump_by_years_and_the_control_planes_time_goes_on() {
        let mut clock = ControlPlaneClock::default();
        assert_eq!(clock.now(at(3), Duration::from_secs(1)), at(3), "nothing was told yet");
        clock.told(at(0), Duration::from_secs(10));
        for wall in [at(5), at(5 + TWO_YEARS), at(5 - TWO_YEARS), Timestamp::UNIX_EPOCH] {
            assert_eq!(clock.now(wall, Duration::from_secs(15)), at(5));
        }
    }

    #[test]
    fn the_control_planes_clock_may_jump_too_and_is_followed() {
        let mut clock = ControlPlaneClock::default();
        clock.told(at(0), Duration::from_secs(10));
        clock.told(at(TWO_YEARS), Duration::from_secs(20));
        assert_eq!(clock.now(at(20), Duration::from_secs(21)), at(TWO_YEARS + 1));
        clock.told(at(30), Duration::from_secs(40));
        assert_eq!(clock.now(at(20), Duration::from_secs(41)), at(31));
    }
}
