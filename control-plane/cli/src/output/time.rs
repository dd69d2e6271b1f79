//! Times as people read them: ages in tables, the local time zone elsewhere. The caller reads the clock.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The time of the command and the reader's zone.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Now.
    pub now: Timestamp,
    /// The reader's zone.
    pub zone: TimeZone,
}

impl Clock {
    /// The system's clock and zone.
    pub fn system() -> Self {
        Self { now: nimbus_platform::now(), zone: TimeZone::system() }
    }

    /// How long ago: `12s`, `3m`, `5h`, `2d`. A time ahead (clocks differ) counts as now.
    pub fn age(&self, at: Timestamp) -> String {
        span(self.now.duration_since(at))
    }

    /// How long until then, or `now`.
    pub fn until(&self, at: Timestamp) -> String {
        let left = at.duration_since(self.now);
        if left.is_positive() { span(left) } else { "now".to_owned() }
    }

    /// The clock time today, with the date on any other day, in the reader's zone.
    pub fn moment(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        let today = self.now.to_zoned(self.zone.clone()).date();
        if at.date() == today {
            at.strftime("%H:%M:%S").to_string()
        } else {
            at.strftime("%Y-%m-%d %H:%M").to_string()
        }
    }

    /// Date and time with the zone's name, for what is read long afterwards.
    pub fn full(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// A duration in its largest unit.
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Reads `90s`, `15m`, `2h`, `7d` or a bare number of seconds; at least one second, at most ten years.
pub fn parse_span(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("expected a duration such as 60s, 15m, 2h or 7d, found {text:?}");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(unit).filter(|s| (1..=315_360_000).contains(s)).ok_or_else(wrong)?;
    Ok(std::time::Duration::from_secs(seconds))
}

/// Reads a time: RFC 3339, a date (midnight in `clock`'s zone), or an age such as `24h` before now.
pub fn parse_moment(text: &str, clock: &Clock) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && let Ok(at) = date.to_zoned(clock.zone.clone())
    {
        return Ok(at.timestamp());
    }
    let wrong =
        || format!("expected a time such as 2026-11-01, 2026-11-01T08:30:00Z or 24h (ago), found {text:?}");
    let back = parse_span(text).map_err(|_| wrong())?;
    clock.now.checked_sub(back).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        Clock { now: "2026-11-22T08:00:00Z".parse().unwrap(), zone }
    }

    #[test]
    fn ages_are_one_number_and_moments_are_local() {
        let clock = clock();
        let ages = [
            "2026-11-22T08:00:09Z",
            "2026-11-22T07:59:00Z",
            "2026-11-22T07:57:00Z",
            "2026-11-21T08:00:00Z",
            "2026-11-19T08:00:00Z",
        ]
        .map(|at| clock.age(at.parse().unwrap()));
        assert_eq!(ages, ["0s", "60s", "3m", "24h", "3d"]);
        assert_eq!(clock.moment("2026-11-22T07:03:12Z".parse().unwrap()), "08:03:12");
        assert_eq!(clock.moment("2026-11-20T23:30:00Z".parse().unwrap()), "2026-11-21 00:30");
        assert_eq!(clock.until("2026-11-22T08:15:00Z".parse().unwrap()), "15m");
        assert_eq!(clock.until("2026-11-22T07:00:00Z".parse().unwrap()), "now");
    }

    #[test]
    fn durations_and_moments_are_read_and_nonsense_is_named() {
        assert_eq!(parse_span("15m").unwrap().as_secs(), 900);
        assert_eq!(parse_span("7d").unwrap().as_secs(), 604_800);
        for bad in ["", "m", "0s", "5w", "-3s", "99999999999999999999d", "4000d"] {
            assert!(parse_span(bad).unwrap_err().contains("15m"), "{bad}");
        }
        let clock = clock();
        assert_eq!(parse_moment("24h", &clock).unwrap().to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(parse_moment("2026-11-01", &clock).unwrap().to_string(), "2026-10-31T23:00:00Z");
        assert_eq!(parse_moment("2026-11-01T08:30:00Z", &clock).unwrap().to_string(), "2026-11-01T08:30:00Z");
        assert!(parse_moment("yesterday", &clock).unwrap_err().contains("yesterday"));
    }
}
