//! Which units are in a picture, which were not well of late, and which pictures are sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;

use super::super::bounded;
use super::{FAILED, MayStart, UnitFacts, message};
use crate::unit;

/// Most units of each class in a picture, and most that are remembered.
pub const MOST: usize = 64;
/// For so long a unit that was not well is told of after that was last seen.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// A picture is sent after so long whatever it says.
pub const AT_LEAST_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// The same while a unit that is not failed any more was not well within [`OF_LATE`]: a recovery is what lasted.
pub const CLOSELY: SignedDuration = SignedDuration::from_secs(30);
/// See [`CLOSELY`].
const OF_LATE: SignedDuration = SignedDuration::from_mins(10);
/// Started again so often within [`WITHIN`], a unit is started again and again.
const AGAIN: u32 = 3;
/// See [`AGAIN`].
const WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The units of one look that are told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Those that are not well first.
    pub units: Vec<UnitFacts>,
    /// How many were left out.
    pub not_listed: usize,
}

/// How often a unit was started again by systemd, and when the last [`AGAIN`] of these were seen.
#[derive(Debug, Default)]
struct Counted {
    times: u32,
    grew: VecDeque<Timestamp>,
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Pictures {
    /// When each was last seen not to be well.
    unwell: BTreeMap<String, Timestamp>,
    /// How often each was started again by systemd, and when that was seen to grow.
    counted: BTreeMap<String, Counted>,
    /// Until then a name may be missing that no room was left for.
    forgot_until: Option<Timestamp>,
    sent: Option<(Timestamp, v1::Units)>,
}

impl Pictures {
    /// With these units remembered, which were not well before this agent was started.
    pub fn remembering<'a>(names: impl IntoIterator<Item = &'a str>, now: Timestamp) -> Self {
        let names = names.into_iter().filter(|name| unit::is_name(name)).take(MOST);
        Self { unwell: names.map(|name| (name.to_owned(), now)).collect(), ..Self::default() }
    }

    /// The units that are told of whatever their state: those that were not well of late.
    pub fn remembered(&self) -> impl Iterator<Item = &str> {
        self.unwell.keys().map(String::as_str)
    }

    /// Those of one look that are told of. `remembered` and `named` are what was found of those.
    pub fn choose(
        &self,
        unwell: Vec<UnitFacts>,
        remembered: Vec<UnitFacts>,
        named: Vec<UnitFacts>,
    ) -> Chosen {
        let found: BTreeSet<&str> =
            unwell.iter().chain(&remembered).map(|facts| facts.name.as_str()).collect();
        let missing = self.remembered().filter(|name| !found.contains(name)).map(UnitFacts::not_loaded);
        let missing: Vec<UnitFacts> = missing.collect();
        let mut chosen = Chosen::default();
        let mut known = BTreeSet::new();
        for mut class in [unwell, remembered.into_iter().chain(missing).collect(), named] {
            class.sort_by(|a: &UnitFacts, b: &UnitFacts| a.name.cmp(&b.name));
            let mut taken = 0;
            for facts in class {
                if !known.insert(facts.name.clone()) {
                    continue;
                }
                if taken < MOST {
                    taken += 1;
                    chosen.units.push(facts);
                } else {
                    chosen.not_listed += 1;
                }
            }
        }
        chosen
    }

    /// The picture to send, or `None` while the last one stands.
    pub fn offer(
        &mut self,
        chosen: Chosen,
        system_state: &str,
        may_start: MayStart<'_>,
        now: Timestamp,
    ) -> Option<v1::Units> {
        let picture = self.picture(chosen, system_state, may_start, now);
        let recovers = |unit: &v1::Unit| {
            let of_late = |seen: &Timestamp| now.duration_since(*seen).abs() < OF_LATE;
            unit.active_state != FAILED && self.unwell.get(&unit.name).is_some_and(of_late)
        };
        let recovering = picture.units.iter().any(recovers);
        if let Some((at, before)) = &self.sent {
            let age = now.duration_since(*at);
            let most = if recovering { CLOSELY } else { AT_LEAST_EVERY };
            // A negative age is a clock that was set back: then age says nothing.
            let quiet = age >= SignedDuration::ZERO && age < most;
            if quiet && *before == picture {
                return None;
            }
        }
        self.sent = Some((now, picture.clone()));
        Some(picture)
    }

    /// Sends the next picture whatever it says: the control plane has nothing to compare with.
    pub fn reset(&mut self) {
        self.sent = None;
    }

    fn picture(
        &mut self,
        chosen: Chosen,
        system_state: &str,
        may_start: MayStart<'_>,
        now: Timestamp,
    ) -> v1::Units {
        let names: BTreeSet<&str> = chosen.units.iter().map(|facts| facts.name.as_str()).collect();
        self.counted.retain(|name, _| names.contains(name.as_str()));
        let mut units = Vec::with_capacity(chosen.units.len());
        for facts in chosen.units {
            let grows = facts.more.restarts.is_some_and(|times| self.grows(&facts.name, times, now));
            // One that failed or was stopped is started again by nobody.
            let ended = matches!(facts.active_state.as_str(), FAILED | "inactive" | "deactivating");
            let restarting = grows && !ended;
            if facts.is_unwell() || restarting {
                self.unwell.insert(facts.name.clone(), now);
            }
            units.push(v1::Unit { restarting, ..message(facts, system_state, may_start) });
        }
        self.unwell.retain(|_, seen| now.duration_since(*seen).abs() < REMEMBERED);
        while self.unwell.len() > MOST {
            let oldest = self.unwell.iter().min_by_key(|(_, seen)| **seen).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.unwell.remove(&name));
            self.forgot_until = now.checked_add(REMEMBERED).ok();
        }
        let forgot = self.forgot_until.is_some_and(|until| now < until);
        v1::Units {
            system_state: bounded(system_state),
            units,
            not_listed: u32::try_from(chosen.not_listed).unwrap_or(u32::MAX).max(u32::from(forgot)),
        }
    }

    /// Was it started again three times within the last ten minutes, as far as that was seen?
    fn grows(&mut self, name: &str, times: u32, now: Timestamp) -> bool {
        let counted =
            self.counted.entry(name.to_owned()).or_insert_with(|| Counted { times, grew: VecDeque::new() });
        if times < counted.times {
            counted.grew.clear();
            counted.times = 0;
        }
        for _ in 0..(times - counted.times).min(AGAIN) {
            counted.grew.push_back(now);
        }
        counted.times = times;
        while counted.grew.len() > AGAIN as usize {
            counted.grew.pop_front();
        }
        counted.grew.retain(|seen| now.duration_since(*seen).abs() < WITHIN);
        counted.grew.len() >= AGAIN as usize
    }
}
