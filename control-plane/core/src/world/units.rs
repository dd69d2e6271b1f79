//! The units of a host's service manager as its agent last told of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{from_micros, v1};
use serde::{Deserialize, Serialize};

use super::bounds::{DIGEST, ITEMS, NAME, TEXT, WORD, cut};

/// Most units of one host; an agent tells of three times 64.
const MOST: usize = ITEMS;

/// The newest picture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostUnits {
    /// systemd's word for the whole host.
    pub system_state: String,
    /// By name.
    pub units: BTreeMap<String, Unit>,
    /// How many more there are that belong into it.
    pub not_listed: u32,
    /// When it reached the control plane. `None` after its clock jumped: then it is not known how long ago that is.
    pub told_at: Option<Timestamp>,
}

/// Started again so often by systemd, it is started again and again.
const AGAIN: u32 = 3;
/// What was told longer ago than this is not known any more: an agent tells every five minutes at least.
const FRESH: SignedDuration = SignedDuration::from_mins(7);

impl HostUnits {
    /// Is it a picture of now? If not, why.
    pub fn fresh(&self, now: Timestamp) -> Result<(), String> {
        match self.told_at {
            Some(told) if now.duration_since(told).abs() < FRESH => Ok(()),
            Some(told) => Err(format!("unknown: nothing was told of the units of this host since {told:.0}")),
            None => {
                Err("unknown: nothing was told of the units of this host since the clock jumped".to_owned())
            }
        }
    }

    /// For how long a unit has been in its state and run, as far as it was told.
    pub fn lasted(&self, unit: &Unit) -> SignedDuration {
        self.told_at.map_or(SignedDuration::ZERO, |told| told.duration_since(unit.since))
    }

    /// For how long a unit has been well, as far as it was told, whatever it did meanwhile.
    pub fn well_for(&self, unit: &Unit) -> SignedDuration {
        self.told_at.map_or(SignedDuration::ZERO, |told| told.duration_since(unit.unwell.0))
    }

    /// The control plane's clock jumped: for how long a unit is so begins anew.
    pub(super) fn clock_jumped(&mut self, now: Timestamp) {
        self.told_at = None;
        for unit in self.units.values_mut() {
            (unit.since, unit.unwell.0) = (now, now);
        }
    }
}

/// One unit; texts are systemd's own words, empty where it was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unit {
    /// `loaded`, `masked`, `not-found` and others.
    pub load_state: String,
    /// `active`, `inactive`, `failed` and others.
    pub active_state: String,
    /// `running`, `dead`, `auto-restart` and others.
    pub sub_state: String,
    /// How the last run ended.
    pub result: String,
    /// `Type=` of a service.
    pub service_type: String,
    /// `Restart=` of a service.
    pub restart: String,
    /// How its main process ended: `exited`, `killed` or `dumped`, and the status or signal.
    pub main: Option<(String, i32)>,
    /// How often systemd started it again by itself.
    pub restarts: Option<u32>,
    /// Names the run.
    pub run: Vec<u8>,
    /// When it came into this state, by the host's clock.
    pub changed_at: Option<Timestamp>,
    /// So many starts within so long, and systemd starts it no more.
    pub start_limit: Option<(u32, SignedDuration)>,
    /// What starts it beside people.
    pub triggered_by: Vec<String>,
    /// Why the agent could not start it, in one word; empty: it could.
    pub obstacle: String,
    /// The same as a sentence.
    pub reason: String,
    /// Did systemd start it as often as it may?
    pub gave_up: bool,
    /// Did systemd start it again three times or more within ten minutes?
    pub restarting: bool,
    /// When the control plane first heard of it in this state and run.
    pub since: Timestamp,
    /// Since when it has been told to be well, or now where it is not; and the run in which it was not, if there was one.
    pub unwell: (Timestamp, Vec<u8>),
}

impl Unit {
    /// Did it fail?
    pub fn is_failed(&self) -> bool {
        self.active_state == "failed"
    }

    /// How long ago it failed when the control plane first heard of it, by the clocks of both.
    pub fn failed_before(&self) -> SignedDuration {
        self.changed_at.map_or(SignedDuration::ZERO, |changed| self.since.duration_since(changed))
    }

    /// Does systemd start it again in a moment?
    pub fn is_started_again(&self) -> bool {
        self.sub_state == "auto-restart"
    }

    /// Did it fail, or is it started again and again? One of systemd's own starts alone is none of that.
    pub fn is_unwell(&self) -> bool {
        let again = self.is_started_again() && self.restarts.is_some_and(|times| times >= AGAIN);
        self.is_failed() || self.restarting || again
    }

    /// Does it run?
    pub fn runs(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading" | "refreshing")
    }

    /// The state in words: `failed (exit-code)`, `active (running)`.
    pub fn state(&self) -> String {
        let more = if self.is_failed() && !self.result.is_empty() { &self.result } else { &self.sub_state };
        format!("{} ({more})", self.active_state)
    }

    /// Is it in the state and run that `other` is in?
    fn is_as(&self, other: &Self) -> bool {
        (&self.active_state, self.is_started_again(), &self.run)
            == (&other.active_state, other.is_started_again(), &other.run)
    }
}

/// Takes the picture of an agent that reached the control plane now.
pub(super) fn take(before: &mut Option<HostUnits>, told: &v1::Units, now: Timestamp) {
    let mut units = BTreeMap::new();
    for one in &told.units {
        let mut unit = unit(one, now);
        let known = before.as_ref().and_then(|before| before.units.get(&one.name));
        if let Some(known) = known.filter(|known| known.is_as(&unit)) {
            unit.since = known.since;
        }
        if unit.is_unwell() {
            unit.unwell = (now, unit.run.clone());
        } else if let Some(known) = known {
            // Nobody says when it became well but the first picture of it.
            let at = if known.is_unwell() { now } else { known.unwell.0 };
            unit.unwell = (at, known.unwell.1.clone());
        }
        units.insert(one.name.clone(), unit);
    }
    *before = Some(HostUnits {
        system_state: told.system_state.clone(),
        units,
        not_listed: told.not_listed,
        told_at: Some(now),
    });
}

fn unit(told: &v1::Unit, now: Timestamp) -> Unit {
    let limit = |us: u64| i64::try_from(us).map_or(SignedDuration::MAX, SignedDuration::from_micros);
    Unit {
        load_state: told.load_state.clone(),
        active_state: told.active_state.clone(),
        sub_state: told.sub_state.clone(),
        result: told.result.clone(),
        service_type: told.service_type.clone(),
        restart: told.restart.clone(),
        main: told
            .main_status
            .filter(|_| !told.main_code.is_empty())
            .map(|status| (told.main_code.clone(), status)),
        restarts: told.restarts,
        run: told.invocation_id.clone(),
        changed_at: told.changed_us.map(from_micros),
        start_limit: told.start_limit.zip(told.start_limit_us.map(limit)),
        triggered_by: told.triggered_by.clone(),
        obstacle: told.obstacle.clone(),
        reason: told.reason.clone(),
        gave_up: told.gave_up,
        restarting: told.restarting,
        since: now,
        unwell: (now, Vec::new()),
    }
}

/// Can it be the name of a unit? People are told to type it.
fn is_unit(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    name.len() <= NAME + 2 && name.contains('.') && name.bytes().all(known)
}

/// Cuts what is too long, and drops what has no unit's name.
pub(super) fn bound(told: &mut v1::Units) -> bool {
    cut(&mut told.system_state, WORD);
    told.units.retain(|unit| is_unit(&unit.name));
    let left_out = told.units.len().saturating_sub(MOST);
    told.not_listed = told.not_listed.saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
    told.units.truncate(MOST);
    for unit in &mut told.units {
        for word in [
            &mut unit.load_state,
            &mut unit.active_state,
            &mut unit.sub_state,
            &mut unit.result,
            &mut unit.service_type,
            &mut unit.restart,
            &mut unit.main_code,
            &mut unit.obstacle,
        ] {
            cut(word, WORD);
        }
        cut(&mut unit.reason, TEXT);
        unit.invocation_id.truncate(DIGEST);
        unit.triggered_by.truncate(8);
        unit.triggered_by.iter_mut().for_each(|name| cut(name, NAME));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(active: &str, sub: &str, run: u8) -> v1::Units {
        let unit = v1::Unit {
            name: "web.service".into(),
            active_state: active.into(),
            sub_state: sub.into(),
            invocation_id: vec![run; 16],
            ..v1::Unit::default()
        };
        v1::Units { units: vec![unit], ..v1::Units::default() }
    }

    #[test]
    fn since_when_it_is_so_begins_anew_with_another_state_or_run() {
        let mut kept = None;
        let mut since = |units: v1::Units, second: i64| {
            take(&mut kept, &units, at(second));
            kept.as_ref().unwrap().units["web.service"].since
        };
        assert_eq!(since(told("failed", "failed", 1), 10), at(10));
        assert_eq!(since(told("failed", "failed", 1), 20), at(10));
        assert_eq!(since(told("activating", "auto-restart", 1), 30), at(30));
        assert_eq!(since(told("activating", "start", 1), 40), at(40));
        assert_eq!(since(told("active", "running", 2), 50), at(50));
        assert_eq!(since(told("active", "running", 3), 60), at(60), "it ended and came up in between");
    }

    #[test]
    fn a_picture_is_known_for_seven_minutes_and_not_over_a_jump_of_the_clock() {
        let mut kept = None;
        take(&mut kept, &told("active", "running", 1), at(0));
        let units = kept.as_mut().unwrap();
        assert!(
            units.fresh(at(419)).is_ok() && units.fresh(at(420)).is_err() && units.fresh(at(-421)).is_err()
        );
        units.clock_jumped(at(1_000));
        assert!(units.fresh(at(1_000)).is_err());
        assert_eq!(units.lasted(&units.units["web.service"]), SignedDuration::ZERO);
        take(&mut kept, &told("active", "running", 1), at(1_060));
        let units = kept.as_ref().unwrap();
        assert_eq!(units.lasted(&units.units["web.service"]), SignedDuration::from_secs(60));
    }

    #[test]
    fn what_is_too_long_is_cut_and_a_name_that_is_too_long_is_no_name() {
        let mut long = told("failed", &"x".repeat(10_000), 1);
        long.units.push(v1::Unit { name: "a".repeat(300), ..v1::Unit::default() });
        for name in ["", "web", "a b.service", "x.service; rm -rf /", "$(x).service", "a\n.service"] {
            long.units.push(v1::Unit { name: name.into(), ..v1::Unit::default() });
        }
        assert!(bound(&mut long));
        assert_eq!((long.units.len(), long.units[0].sub_state.len()), (1, WORD));
    }
}
