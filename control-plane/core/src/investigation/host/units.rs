//! The units of a host's systemd: the incident's own, and the others that are not well.

use jiff::Timestamp;

use crate::investigation::words::{some, times};
use crate::investigation::{Investigation, Known, Source};
use crate::model::ObjectRef;
use crate::world::{HostFacts, Unit};

/// Most other units that are told.
const MOST: usize = 10;
/// Most of what starts a unit that is told.
const MOST_TRIGGERS: usize = 8;

/// The unit that the incident is about.
pub(super) fn own(name: &str, facts: &HostFacts, found: &mut Investigation) -> Vec<Known> {
    let Some(unit) = facts.units.as_ref().and_then(|units| units.units.get(name)) else {
        found.unknown.push(format!("how {name} is, is unknown: its agent does not tell of it (any more)"));
        return Vec::new();
    };
    lines(name, unit)
}

/// The others that are not well, and why that may be none of now.
pub(super) fn others(
    own: Option<&str>,
    facts: &HostFacts,
    now: Timestamp,
    found: &mut Investigation,
) -> Vec<Known> {
    let Some(units) = &facts.units else { return Vec::new() };
    if let Err(why) = units.fresh(now) {
        found.unknown.push(why);
    }
    if units.not_listed > 0 {
        found.unknown.push(format!(
            "how {} more units of this host are, is unknown: its agent does not tell of each",
            units.not_listed
        ));
    }
    let unwell: Vec<(&String, &Unit)> =
        units.units.iter().filter(|(name, unit)| unit.is_unwell() && own != Some(name.as_str())).collect();
    let more = unwell.len().saturating_sub(MOST);
    if more > 0 {
        found
            .unknown
            .push(format!("{more} more units of this host that are not well are not told one by one"));
    }
    unwell.into_iter().take(MOST).flat_map(|(name, unit)| state(name, unit)).collect()
}

fn line(name: &str, at: impl Into<Option<Timestamp>>, text: String) -> Known {
    Known::new(at, Source::Status, &ObjectRef::Unit { name: name.to_owned() }, text)
}

/// How it is, and since when.
fn state(name: &str, unit: &Unit) -> Vec<Known> {
    let state = unit.state();
    let since = match unit.changed_at {
        Some(at) => format!(" since {at:.0}"),
        None => format!(", heard of first at {:.0}", unit.since),
    };
    let began = unit.changed_at.map(|at| line(name, at, format!("it is {state} since then")));
    std::iter::once(line(name, None, format!("it is {state}{since}"))).chain(began).collect()
}

/// The same, and all else that is told of it.
fn lines(name: &str, unit: &Unit) -> Vec<Known> {
    let main = unit.main.as_ref().map(|(code, number)| match code.as_str() {
        "exited" => format!("its main process ended with status {number}"),
        "dumped" => format!("its main process ended by signal {number} and left its memory behind"),
        _ => format!("its main process ended by signal {number}"),
    });
    let result = (!unit.result.is_empty())
        .then(|| format!("how its last run ended, in systemd's word: {}", unit.result));
    let again = unit.restarts.filter(|count| *count > 0);
    let again = again.map(|count| format!("systemd started it again {} by itself", times(count)));
    let limit = unit.gave_up.then(|| {
        let limit = unit.start_limit.map_or_else(String::new, |(starts, within)| {
            format!(" ({starts} within {} s)", within.as_secs())
        });
        format!("systemd started it as often as it may{limit}, and starts it no more")
    });
    let triggers = (!unit.triggered_by.is_empty())
        .then(|| format!("it is started by {}", some(&unit.triggered_by, MOST_TRIGGERS)));
    let obstacle = (!unit.obstacle.is_empty()).then(|| format!("its agent cannot start it: {}", unit.reason));
    let more = [main, result, again, limit, triggers, obstacle].into_iter().flatten();
    state(name, unit).into_iter().chain(more.map(|text| line(name, None, text))).collect()
}
