//! What a service manager is told, and when: decided from signs of life and one sentence, without clock or socket.
//!
//! A watchdog that is fed by a timer only proves that the timer runs. Here each loop that matters has a [`Pulse`], which
//! it alone moves when it came round, and nothing is said on behalf of one that has not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Notice, monotonic};

/// A new sentence is told no sooner than this after the last one.
const STATUS: Duration = Duration::from_secs(5);
/// Shortest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(10);

/// When a loop came round last, in milliseconds of [`monotonic`].
#[derive(Debug)]
pub struct Pulse(AtomicU64);

impl Default for Pulse {
    /// A loop that is about to run for the first time.
    fn default() -> Self {
        let pulse = Self(AtomicU64::new(0));
        pulse.beat();
        pulse
    }
}

impl Pulse {
    /// The loop came round.
    pub fn beat(&self) {
        let millis = u64::try_from(monotonic().as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    /// When it did so last, by [`monotonic`].
    pub fn last(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// What that says of the loop `of`, which has to come round within `within`.
    pub fn sign(&self, of: &'static str, within: Duration) -> Sign {
        Sign { of, last: self.last(), within }
    }
}

/// The sign of life of one loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// The loop, as a person calls it.
    pub of: &'static str,
    /// When it came round last.
    pub last: Duration,
    /// How long ago that may be.
    pub within: Duration,
}

/// May it be said at `now` that the program makes progress? Only if every loop does; without any sign, not.
fn should_beat(now: Duration, signs: &[Sign]) -> bool {
    !signs.is_empty() && stuck(now, signs).is_none()
}

/// The first loop that stands still at `now`.
fn stuck(now: Duration, signs: &[Sign]) -> Option<&'static str> {
    signs.iter().find(|sign| now.saturating_sub(sign.last) > sign.within).map(|sign| sign.of)
}

/// Decides what is to be told.
#[derive(Debug)]
pub struct Herald {
    watchdog: Option<Duration>,
    beaten: Option<Duration>,
    told: Option<(Duration, String)>,
    stuck: Option<&'static str>,
}

impl Herald {
    /// For a service manager that expects a sign of life within each `watchdog`, if it does.
    pub fn new(watchdog: Option<Duration>) -> Self {
        Self { watchdog, beaten: None, told: None, stuck: None }
    }

    /// The pause until the next look. Short against the watchdog's time, so that a loop which comes round late is still
    /// told of in time.
    pub fn pause(&self) -> Duration {
        self.watchdog.map_or(STATUS, |watchdog| (watchdog / 8).clamp(SHORTEST, STATUS))
    }

    /// What is to be written into the log at `now`: that a loop stands still, once for each time.
    pub fn complaint(&mut self, now: Duration, signs: &[Sign]) -> Option<String> {
        let stuck = stuck(now, signs);
        let news = stuck.filter(|_| stuck != self.stuck);
        self.stuck = stuck;
        news.map(|what| {
            format!("{what} stands still: the watchdog hears nothing, and ends this process if it stays so")
        })
    }

    /// What is to be told at `now`: the sentence `status` where it is new, and, each half of the watchdog's time, that the
    /// program makes progress where `signs` say so.
    pub fn due(&mut self, now: Duration, status: &str, signs: &[Sign]) -> Vec<Notice> {
        let mut notices = Vec::new();
        let is_news = match &self.told {
            None => true,
            Some((at, told)) => told != status && now.saturating_sub(*at) >= STATUS,
        };
        if is_news {
            self.told = Some((now, status.to_owned()));
            notices.push(Notice::Status(status.to_owned()));
        }
        let is_due = self.watchdog.is_some_and(|watchdog| {
            self.beaten.is_none_or(|beaten| now.saturating_sub(beaten) >= watchdog / 2)
        });
        if is_due && should_beat(now, signs) {
            self.beaten = Some(now);
            notices.push(Notice::Alive);
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn sign(of: &'static str, last: u64) -> Sign {
        Sign { of, last: at(last), within: MINUTE }
    }

    #[test]
    fn it_is_alive_only_while_every_loop_came_round_lately() {
        let both = |one, other| [sign("the session", one), sign("the jobs", other)];
        assert!(should_beat(at(100), &both(100, 40)));
        assert!(!should_beat(at(101), &both(101, 40)), "one of two is not enough");
        assert_eq!(stuck(at(101), &both(101, 40)), Some("the jobs"));
        assert_eq!(stuck(at(500), &both(400, 400)), Some("the session"));
        assert_eq!(stuck(at(100), &both(100, 100)), None);
        assert!(should_beat(at(100), &both(200, 200)), "a pulse may be later than the look");
        assert!(!should_beat(at(100), &[]), "nothing was heard of anything");
    }

    #[test]
    fn a_loop_that_stands_still_is_complained_of_once_for_each_time() {
        let mut herald = Herald::new(Some(MINUTE));
        let mut says = |now, last| herald.complaint(at(now), &[sign("the jobs", last)]);
        assert_eq!(says(60, 0), None);
        assert!(says(61, 0).unwrap().starts_with("the jobs stands still"));
        assert_eq!([says(62, 0), says(63, 63)], [None, None]);
        assert!(says(124, 63).is_some(), "again");
    }

    #[test]
    fn each_loop_has_its_own_patience() {
        let signs = [sign("short", 0), Sign { of: "long", last: at(0), within: 2 * MINUTE }];
        assert_eq!(stuck(at(90), &signs), Some("short"));
        assert_eq!(stuck(at(90), &signs[1..]), None);
        assert_eq!(stuck(at(121), &signs[1..]), Some("long"));
    }

    #[test]
    fn it_is_told_at_half_of_the_watchdogs_time_and_as_soon_as_a_late_loop_comes_round() {
        let mut herald = Herald::new(Some(MINUTE));
        assert_eq!(herald.pause(), at(5));
        let mut alive = |now, last| herald.due(at(now), "", &[sign("x", last)]).contains(&Notice::Alive);
        assert!(alive(0, 0));
        assert!(!alive(29, 29));
        assert!(alive(30, 30));
        assert!(alive(60, 30));
        assert!(alive(90, 30));
        assert!(!alive(120, 30), "it stands still");
        assert!(!alive(125, 30));
        assert!(alive(130, 128), "it goes on");
        assert!(!alive(131, 131));
    }

    #[test]
    fn a_status_is_told_when_it_is_new_and_at_most_every_five_seconds() {
        let mut herald = Herald::new(None);
        let mut told = |now, text: &str| {
            let notices = herald.due(at(now), text, &[]);
            assert!(!notices.contains(&Notice::Alive), "nobody watches");
            notices.contains(&Notice::Status(text.to_owned()))
        };
        assert!(told(10, "trying"));
        assert!(!told(20, "trying"));
        assert!(told(20, "connected"));
        assert!(!told(24, "trying"));
        assert!(told(25, "trying"));
        assert!(!told(29, "connected"));
        assert!(!told(30, "trying"), "it is what was told");
    }

    #[test]
    fn a_short_watchdog_is_looked_at_often_and_not_without_a_pause() {
        assert_eq!(Herald::new(Some(Duration::from_millis(800))).pause(), Duration::from_millis(100));
        assert_eq!(Herald::new(Some(Duration::from_micros(1))).pause(), SHORTEST);
        assert_eq!(Herald::new(Some(Duration::from_hours(1))).pause(), STATUS);
        assert_eq!(Herald::new(None).pause(), STATUS);
    }

    #[test]
    fn a_pulse_tells_when_its_loop_came_round() {
        let pulse = Pulse::default();
        let first = pulse.last();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(pulse.last(), first);
        pulse.beat();
        assert!(pulse.last() > first && pulse.last() <= monotonic());
        assert_eq!(pulse.sign("x", MINUTE), Sign { of: "x", last: pulse.last(), within: MINUTE });
    }
}
