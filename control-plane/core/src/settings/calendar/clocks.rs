//! How times and days of a period are read: in one form each. A time with an offset, a zone or a date in it would be read as another
//! one than was meant, as the period's own zone counts.

use jiff::civil::{DateTime, Time};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize as _, Serializer};

use super::Day;

/// The form of a time.
pub(super) const TIME: &str = "%H:%M";
/// The form of a moment.
const MOMENT: &str = "%Y-%m-%dT%H:%M";

/// Text of exactly this form.
struct Text<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::custom(format!("expected {}, found {text:?}", self.expected)))
    }
}

/// A time of day.
pub(super) mod time {
    use super::{Deserializer, Serializer, TIME, Text, Time};

    fn read(text: &str) -> Option<Time> {
        let time = Time::strptime(TIME, text).ok()?;
        // Forms that are read loosely are not written so.
        (time.strftime(TIME).to_string() == text).then_some(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
        from.deserialize_str(Text { expected: "a time in quotes, as \"22:00\"", read }).map(Some)
    }

    #[allow(clippy::ref_option, reason = "serde hands it over so")]
    pub fn serialize<S: Serializer>(time: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(&time.strftime(TIME)),
            None => to.serialize_none(),
        }
    }
}

/// A date and a time.
pub(super) mod moment {
    use super::{DateTime, Deserializer, MOMENT, Serializer, Text};

    fn read(text: &str) -> Option<DateTime> {
        let moment = DateTime::strptime(MOMENT, text).ok()?;
        (moment.strftime(MOMENT).to_string() == text).then_some(moment)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime>, D::Error> {
        let expected = "a date and a time in quotes, without a zone, as \"2026-12-24T12:00\"";
        from.deserialize_str(Text { expected, read }).map(Some)
    }

    #[allow(clippy::ref_option, reason = "serde hands it over so")]
    pub fn serialize<S: Serializer>(moment: &Option<DateTime>, to: S) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => to.collect_str(&moment.strftime(MOMENT)),
            None => to.serialize_none(),
        }
    }
}

/// Days, of which there has to be one where they are given.
pub(super) fn days<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Day>, D::Error> {
    let days = Vec::<Day>::deserialize(from)?;
    if days.is_empty() {
        return Err(D::Error::custom("expected at least one day, or no `days` for every day, found none"));
    }
    Ok(days)
}
