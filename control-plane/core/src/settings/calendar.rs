//! The settings of when something may be begun: windows, outside of which nothing is, and blackouts, in which nothing is. Whether one
//! holds now is decided in [`crate::calendar`], and by the checker for itself.

mod clocks;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use nimbus_protocol::ActionKind;
use serde::{Deserialize, Serialize};

/// Longest name, characters.
pub const MAX_NAME: usize = 63;
/// Most windows, and most blackouts.
const MAX_PERIODS: usize = 100;
/// Between these years every time has its moments.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=8999;

/// A window or a blackout, as the clocks of a place show it: each week, or once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// What people call it.
    pub name: String,
    /// Whose clocks count.
    pub zone: Zone,
    /// For these actions; empty: for every one.
    #[serde(default)]
    pub actions: Vec<ActionKind>,
    /// In the clusters and on the hosts of these names or ids; empty: everywhere.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Each week: the days on which it begins; with a time and without days: every day.
    #[serde(default, deserialize_with = "clocks::days", skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// The time at which it begins on each of these days; midnight where only the end or the days are given.
    #[serde(default, with = "clocks::time", skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// The time at which it ends: of the next day, where it is not after the beginning; midnight where it is not given.
    #[serde(default, with = "clocks::time", skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Once: when it begins.
    #[serde(default, with = "clocks::moment", skip_serializing_if = "Option::is_none")]
    pub starts: Option<DateTime>,
    /// Once: when it is over.
    #[serde(default, with = "clocks::moment", skip_serializing_if = "Option::is_none")]
    pub ends: Option<DateTime>,
}

/// When a period is, once it was validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When<'a> {
    /// On these days of each week, from a time to a time: that of the next day, where it is not after the first.
    Weekly { days: &'a [Day], from: Time, to: Time },
    /// Once, from a moment to a moment.
    Once { starts: DateTime, ends: DateTime },
}

impl Period {
    /// Each week, or once? `None`: neither or both, which the settings do not take.
    pub(crate) fn when(&self) -> Option<When<'_>> {
        let weekly = !self.days.is_empty() || self.from.is_some() || self.to.is_some();
        match (weekly, self.starts, self.ends) {
            (true, None, None) => {
                let days = if self.days.is_empty() { &Day::ALL[..] } else { &self.days };
                let midnight = Time::midnight();
                let (from, to) = (self.from.unwrap_or(midnight), self.to.unwrap_or(midnight));
                Some(When::Weekly { days, from, to })
            }
            (false, Some(starts), Some(ends)) => Some(When::Once { starts, ends }),
            _ => None,
        }
    }

    /// In words, as the settings say it: `mon, tue 22:00 to 06:00 (Europe/Berlin)`.
    pub fn words(&self) -> String {
        let zone = self.zone.name();
        match self.when() {
            Some(When::Weekly { days, from, to }) => {
                let days: Vec<&str> = days.iter().map(|day| day.as_str()).collect();
                let days =
                    if days.len() == Day::ALL.len() { "every day".to_owned() } else { days.join(", ") };
                let clock = |time: Time| time.strftime(clocks::TIME).to_string();
                format!("{days} {} to {} ({zone})", clock(from), clock(to))
            }
            Some(When::Once { starts, ends }) => {
                let clock = |time: DateTime| time.strftime("%Y-%m-%d %H:%M").to_string();
                format!("{} to {} ({zone})", clock(starts), clock(ends))
            }
            None => String::new(),
        }
    }
}

/// A time zone of the IANA database, of the edition that the release carries: nothing of the machine it runs on counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Its name: `Europe/Berlin`.
    pub fn name(&self) -> &str {
        // It was found by its name.
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The rules of its clocks.
    pub(crate) const fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let found = TimeZone::get(&name).ok().filter(|zone| zone.iana_name().is_some());
        found.map(Self).ok_or_else(|| {
            format!(
                "expected the name of a time zone of the IANA database, such as Europe/Berlin, found {name:?}"
            )
        })
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// All of them, from Monday on.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The day as the settings write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

/// Can a period be called so?
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.trim() == name
        && name.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

/// Is nothing called so? Clusters and hosts have names of many kinds.
pub(super) fn is_no_name(name: &str) -> bool {
    name.is_empty() || name.contains(char::is_control)
}

/// Can these be used? If not, what was expected and what was found.
pub(crate) fn validate(periods: &[Period]) -> Result<(), (String, String)> {
    if periods.len() > MAX_PERIODS {
        return Err((format!("at most {MAX_PERIODS} times"), periods.len().to_string()));
    }
    for (number, period) in periods.iter().enumerate() {
        let at = number + 1;
        let wrong = |expected: &str, found: String| Err((format!("number {at} {expected}"), found));
        if !is_name(&period.name) {
            let expected = "to have a name of 1 to 63 ASCII characters without a blank at an end";
            return wrong(expected, format!("{:?}", period.name));
        }
        if (1..period.days.len()).any(|at| period.days[..at].contains(&period.days[at])) {
            return wrong("to name each day once", format!("{:?}", period.words()));
        }
        if periods[..number].iter().any(|other| other.name == period.name) {
            return wrong("to have a name of its own", format!("{:?} a second time", period.name));
        }
        if let Some(odd) = period.clusters.iter().find(|name| is_no_name(name)) {
            return wrong("to have names or ids of clusters and hosts", format!("{odd:?}"));
        }
        match period.when() {
            Some(When::Weekly { .. }) => {}
            Some(When::Once { starts, ends }) => {
                if !YEARS.contains(&starts.year()) || !YEARS.contains(&ends.year()) {
                    return wrong("to be between the years 2000 and 8999", format!("{starts} to {ends}"));
                }
                if starts >= ends {
                    return wrong("to end after it starts", format!("{starts} to {ends}"));
                }
            }
            None => {
                let given = [
                    (!period.days.is_empty(), "days"),
                    (period.from.is_some(), "from"),
                    (period.to.is_some(), "to"),
                    (period.starts.is_some(), "starts"),
                    (period.ends.is_some(), "ends"),
                ];
                let given: Vec<&str> =
                    given.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
                let found = if given.is_empty() { "none of them".to_owned() } else { given.join(", ") };
                return wrong("to be each week (days, from, to) or once (both starts and ends)", found);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Period, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for (json, words) in [
            (r#"{"name":"n","zone":"UTC","days":["sat","sun"]}"#, "sat, sun 00:00 to 00:00 (UTC)"),
            (
                r#"{"name":"n","zone":"Europe/Berlin","from":"22:00","to":"06:30"}"#,
                "every day 22:00 to 06:30 (Europe/Berlin)",
            ),
            (
                r#"{"name":"n","zone":"Asia/Tokyo","starts":"2026-12-24T12:00","ends":"2027-01-02T08:00"}"#,
                "2026-12-24 12:00 to 2027-01-02 08:00 (Asia/Tokyo)",
            ),
        ] {
            let period = read(json).unwrap();
            validate(std::slice::from_ref(&period)).unwrap();
            assert_eq!(period.words(), words);
            let again = serde_json::to_string(&period).unwrap();
            assert_eq!(read(&again).unwrap(), period, "{again}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_number_or_its_word() {
        for (json, word) in [
            (r#"{"name":"n","zone":"Berlin","days":["sat"]}"#, "Europe/Berlin"),
            (r#"{"name":"n","zone":"+02:00","days":["sat"]}"#, "+02:00"),
            (r#"{"name":"n","zone":"UTC","days":["saturday"]}"#, "saturday"),
            (r#"{"name":"n","zone":"UTC","from":"25:00"}"#, "\"22:00\""),
            (r#"{"name":"n","zone":"UTC","from":"22"}"#, "\"22:00\""),
            (r#"{"name":"n","zone":"UTC","from":"22:00:30"}"#, "\"22:00\""),
            (r#"{"name":"n","zone":"UTC","from":1320}"#, "in quotes"),
            (r#"{"name":"n","zone":"UTC","from":"2026-12-24T12:00"}"#, "\"22:00\""),
            (r#"{"name":"n","zone":"UTC","days":[]}"#, "at least one day"),
            (
                r#"{"name":"n","zone":"UTC","starts":"2026-12-24","ends":"2026-12-25T00:00"}"#,
                "\"2026-12-24T12:00\"",
            ),
            (
                r#"{"name":"n","zone":"UTC","starts":"2026-12-24T12:00-05:00","ends":"2026-12-25T00:00"}"#,
                "\"2026-12-24T12:00\"",
            ),
            (
                r#"{"name":"n","zone":"UTC","starts":"2026-12-24T12:00[America/New_York]","ends":"2026-12-25T00:00"}"#,
                "\"2026-12-24T12:00\"",
            ),
            (
                r#"{"name":"n","zone":"UTC","starts":"2026-02-30T12:00","ends":"2026-12-25T00:00"}"#,
                "\"2026-12-24T12:00\"",
            ),
            (r#"{"name":"n","days":["sat"]}"#, "zone"),
            (r#"{"name":"n","zone":"UTC","day":["sat"]}"#, "day"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
        for json in [
            r#"{"name":"","zone":"UTC","days":["sat"]}"#,
            r#"{"name":" n","zone":"UTC","days":["sat"]}"#,
            r#"{"name":"n","zone":"UTC"}"#,
            r#"{"name":"n","zone":"UTC","starts":"2026-12-24T12:00"}"#,
            r#"{"name":"n\u00a0","zone":"UTC","days":["sat"]}"#,
            r#"{"name":"n","zone":"UTC","days":["sat","sun","sat"]}"#,
            r#"{"name":"n","zone":"UTC","days":["sat"],"starts":"2026-12-24T12:00","ends":"2026-12-25T12:00"}"#,
            r#"{"name":"n","zone":"UTC","starts":"2026-12-25T12:00","ends":"2026-12-25T12:00"}"#,
            r#"{"name":"n","zone":"UTC","starts":"1999-12-25T12:00","ends":"2026-12-25T12:00"}"#,
            r#"{"name":"n","zone":"UTC","days":["sat"],"clusters":[""]}"#,
        ] {
            let (expected, _) = validate(&[read(json).unwrap()]).unwrap_err();
            assert!(expected.starts_with("number 1 to "), "{json}: {expected}");
        }
        let one = read(r#"{"name":"n","zone":"UTC","days":["sat"]}"#).unwrap();
        assert!(validate(&[one.clone(), one.clone()]).is_err(), "two of one name");
        assert!(validate(&vec![one; MAX_PERIODS + 1]).unwrap_err().0.contains("at most 100"));
    }
}
