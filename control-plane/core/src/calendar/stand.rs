//! Where one period stands at a moment, and when that changes.

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan as _};

use crate::settings::calendar::{Day, Period, When, Zone};

/// So many days ahead a weekly period is looked for: two weeks, as one may fall into the hour that a change of the clocks leaves out, and
/// what the clocks of a zone can be ahead of those of another.
const AHEAD: i32 = 16;

/// How the times of a period are read that do not exist, or exist twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Of a blackout: as long as can be.
    Longest,
    /// Of a window: as short as can be.
    Shortest,
}

/// Where a period stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It is now, until then; `None`: for longer than a week, or for good.
    Now(Option<Timestamp>),
    /// It is not, and begins then; `None`: it is over.
    Later(Option<Timestamp>),
}

/// Where this period stands.
pub fn stand(period: &Period, reading: Reading, now: Timestamp) -> Stand {
    // The settings have no other.
    let Some(when) = period.when() else { return Stand::Later(None) };
    let (days, from, to) = match when {
        When::Once { starts, ends } => {
            return match moments(&period.zone, starts, ends, reading) {
                Some((starts, ends)) if starts <= now && now < ends => Stand::Now(Some(ends)),
                Some((starts, _)) if now < starts => Stand::Later(Some(starts)),
                _ => Stand::Later(None),
            };
        }
        When::Weekly { days, from, to } => (days, from, to),
    };
    let today = period.zone.rules().to_datetime(now).date();
    let mut until: Option<Timestamp> = None;
    // Two days back: it may have begun the day before, by clocks that went back since.
    for day in (-2..=AHEAD).filter_map(|away| today.checked_add(away.days()).ok()) {
        if !days.contains(&day_of(day)) {
            continue;
        }
        let Some(ends) = (if to > from { Some(day) } else { day.tomorrow().ok() }) else { continue };
        let both = moments(&period.zone, day.to_datetime(from), ends.to_datetime(to), reading);
        let Some((starts, ends)) = both else { continue };
        match until {
            // One follows the other without a pause.
            Some(end) if starts <= end => until = Some(end.max(ends)),
            Some(end) => return Stand::Now(Some(end)),
            None if starts <= now && now < ends => until = Some(ends),
            None if now < starts => return Stand::Later(Some(starts)),
            None => {}
        }
    }
    match until {
        Some(end) if end.duration_since(now).as_hours() < 7 * 24 => Stand::Now(Some(end)),
        Some(_) => Stand::Now(None),
        None => Stand::Later(None),
    }
}

/// Its beginning and its end; `None`: as it is read, there is nothing between them.
fn moments(
    zone: &Zone,
    starts: DateTime,
    ends: DateTime,
    reading: Reading,
) -> Option<(Timestamp, Timestamp)> {
    let (starts, ends) =
        (zone.rules().to_ambiguous_timestamp(starts), zone.rules().to_ambiguous_timestamp(ends));
    let (starts, ends) = match reading {
        Reading::Longest => (starts.earlier().ok()?, ends.later().ok()?),
        Reading::Shortest => (starts.later().ok()?, ends.earlier().ok()?),
    };
    (starts < ends).then_some((starts, ends))
}

fn day_of(date: Date) -> Day {
    Day::ALL[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(json: &str) -> Period {
        serde_json::from_str(&format!(r#"{{"name":"n",{json}}}"#)).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now_until(text: &str) -> Stand {
        Stand::Now(Some(at(text)))
    }

    fn later(text: &str) -> Stand {
        Stand::Later(Some(at(text)))
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let nights = period(r#""zone":"Europe/Berlin","days":["fri"],"from":"22:00","to":"06:00""#);
        for (now, stands) in [
            ("2026-12-04T20:59:59Z", later("2026-12-04T21:00:00Z")),
            ("2026-12-04T21:00:00Z", now_until("2026-12-05T05:00:00Z")),
            ("2026-12-05T04:59:59Z", now_until("2026-12-05T05:00:00Z")),
            ("2026-12-05T05:00:00Z", later("2026-12-11T21:00:00Z")),
        ] {
            assert_eq!(stand(&nights, Reading::Longest, at(now)), stands, "{now}");
            assert_eq!(stand(&nights, Reading::Shortest, at(now)), stands, "{now}");
        }
    }

    #[test]
    fn days_that_follow_each_other_are_one_period() {
        let weekend = period(r#""zone":"UTC","days":["sat","sun"]"#);
        assert_eq!(
            stand(&weekend, Reading::Longest, at("2026-12-05T00:00:00Z")),
            now_until("2026-12-07T00:00:00Z")
        );
        let always = period(r#""zone":"UTC","from":"00:00""#);
        assert_eq!(stand(&always, Reading::Longest, at("2026-12-05T10:00:00Z")), Stand::Now(None));
    }

    #[test]
    fn once_is_over_when_it_was() {
        let once =
            period(r#""zone":"America/New_York","starts":"2026-12-24T12:00","ends":"2027-01-02T08:00""#);
        for (now, stands) in [
            ("2026-12-24T16:59:59Z", later("2026-12-24T17:00:00Z")),
            ("2026-12-24T17:00:00Z", now_until("2027-01-02T13:00:00Z")),
            ("2027-01-02T13:00:00Z", Stand::Later(None)),
        ] {
            assert_eq!(stand(&once, Reading::Longest, at(now)), stands, "{now}");
        }
    }

    /// In Berlin the clocks go from 02:00 to 03:00 on 2027-03-28, and from 03:00 back to 02:00 on 2026-10-25.
    #[test]
    fn where_the_clocks_change_a_blackout_is_as_long_and_a_window_as_short_as_can_be() {
        let to_half_past = period(r#""zone":"Europe/Berlin","from":"01:00","to":"02:30""#);
        let from_half_past = period(r#""zone":"Europe/Berlin","from":"02:30","to":"05:00""#);
        let ends = |reading, now: &str| match stand(&to_half_past, reading, at(now)) {
            Stand::Now(Some(until)) => until.to_string(),
            other @ (Stand::Now(_) | Stand::Later(_)) => panic!("{other:?}"),
        };
        let begins = |reading, now: &str| match stand(&from_half_past, reading, at(now)) {
            Stand::Later(Some(begins)) => begins.to_string(),
            other @ (Stand::Now(_) | Stand::Later(_)) => panic!("{other:?}"),
        };
        // Twice half past two: at 00:30 and at 01:30 UTC.
        assert_eq!(ends(Reading::Longest, "2026-10-24T23:30:00Z"), "2026-10-25T01:30:00Z");
        assert_eq!(ends(Reading::Shortest, "2026-10-24T23:30:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(begins(Reading::Longest, "2026-10-24T23:30:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(begins(Reading::Shortest, "2026-10-24T23:30:00Z"), "2026-10-25T01:30:00Z");
        // No half past two: half past one and half past three.
        assert_eq!(ends(Reading::Longest, "2027-03-28T00:10:00Z"), "2027-03-28T01:30:00Z");
        assert_eq!(ends(Reading::Shortest, "2027-03-28T00:10:00Z"), "2027-03-28T00:30:00Z");
        assert_eq!(begins(Reading::Longest, "2027-03-28T00:10:00Z"), "2027-03-28T00:30:00Z");
        assert_eq!(begins(Reading::Shortest, "2027-03-28T00:10:00Z"), "2027-03-28T01:30:00Z");
    }

    /// The Sunday hour from two to three is left out once a year in Berlin, on 2027-03-28: a window is read as short as can be.
    #[test]
    fn a_weekly_window_that_falls_out_once_is_not_over() {
        let sundays = period(r#""zone":"Europe/Berlin","days":["sun"],"from":"02:00","to":"03:00""#);
        assert_eq!(
            stand(&sundays, Reading::Shortest, at("2027-03-22T10:00:00Z")),
            later("2027-04-04T00:00:00Z")
        );
    }
}
