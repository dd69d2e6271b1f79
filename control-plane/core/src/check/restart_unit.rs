//! The independent check of `restart_unit` plans: the very failure still stands, it is one that a start may help with, and
//! nobody else is to start it.

use jiff::SignedDuration;
use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::{ActionKind, ObjectRef, Plan};
use crate::snapshot::Snapshot;
use crate::world::Unit;

impl ActionRules for v1::RestartUnit {
    fn authority(&self) -> Authority {
        Authority::Rule
    }

    fn acts_in(&self) -> Location {
        Location::Host
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let name = &self.unit;
        require(found, 3, plan.object == ObjectRef::Unit { name: name.clone() }, || {
            format!("the plan is about {}, and would start {name}", plan.object)
        });
        let host = plan.scope.host().and_then(|agent| snapshot.world.hosts.get(&agent));
        let units = host.and_then(|host| host.units.as_ref());
        let Some((all, unit)) = units.and_then(|all| Some((all, all.units.get(name)?))) else {
            return require(found, 3, false, || format!("nothing is known of {name}"));
        };
        let told = all.told_at.map(|told| (snapshot.now.as_second() - told.as_second()).abs());
        require(found, 3, told.is_some_and(|ago| ago < 420), || {
            format!("how {name} is was told {told:?} s ago, and is not known now")
        });
        let up = ["running", "degraded"].contains(&all.system_state.as_str());
        require(found, 10, up, || format!("the host is {:?}, and not known to be up", all.system_state));
        require(found, 3, unit.active_state == "failed", || format!("{name} is not failed"));
        let same = !self.failed_invocation.is_empty() && unit.run == self.failed_invocation;
        require(found, 3, same && unit.result == self.result, || {
            format!("{name} failed in another run, or otherwise, since the plan was made")
        });
        require(found, 3, name.strip_suffix(".service").is_some() && unit.load_state == "loaded", || {
            format!("{name} is no service that is loaded")
        });
        require(found, 12, unit.obstacle.is_empty(), || {
            format!("the agent says that {name} cannot be started: {}", unit.obstacle)
        });
        worth_a_start(found, name, unit);
        let apart = |other: &Unit| match (other.changed_at, unit.changed_at) {
            (Some(one), Some(two)) => one.as_second() - two.as_second(),
            (Some(_), None) | (None, Some(_) | None) => other.since.as_second() - unit.since.as_second(),
        };
        let at_once =
            all.units.values().filter(|other| other.active_state == "failed" && apart(other).abs() <= 300);
        let together = at_once.count();
        require(found, 6, together < 3, || format!("{together} units of this host failed at once"));
    }

    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let host = plan.scope.host().and_then(|agent| snapshot.world.hosts.get(&agent));
        let Some(unit) = host.and_then(|host| host.units.as_ref()?.units.get(&self.unit)) else { return };
        let failed_for = snapshot.now.duration_since(unit.since);
        let counts = match unit.start_limit {
            Some((_, within)) if unit.gave_up => within,
            Some(_) | None => SignedDuration::ZERO,
        };
        let least = counts.max(SignedDuration::from_secs(30));
        require(found, 3, failed_for >= least, || {
            format!("{} failed only {} s ago", self.unit, failed_for.as_secs())
        });
        let started = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc).filter(|job| {
            let ago = job.applied_at.map(|at| snapshot.now.as_second() - at.as_second());
            let mine =
                job.object == plan.object && job.scope == plan.scope && job.action == ActionKind::RestartUnit;
            mine && ago.is_some_and(|ago| ago < 86_400)
        });
        let times = started.count();
        require(found, 5, times < 5, || format!("{} was started {times} times within a day", self.unit));
    }
}

/// Invariants 9 and 11: a start may help, does nothing twice, and is nobody else's to make.
fn worth_a_start(found: &mut Violations, name: &str, unit: &Unit) {
    let lasts = ["simple", "exec", "forking", "notify", "notify-reload", "dbus"];
    require(found, 9, lasts.contains(&unit.service_type.as_str()), || {
        format!("{name} is of type {:?}: a start would do its work again", unit.service_type)
    });
    let given_up = unit.gave_up;
    require(found, 9, given_up || unit.restart == "no", || {
        format!("systemd decides when {name} is started again: Restart={}", unit.restart)
    });
    let by_event = |by: &String| !by.ends_with("socket") || name.contains('@');
    require(found, 9, !unit.triggered_by.iter().any(by_event), || {
        format!("{:?} start {name} for each time or event", unit.triggered_by)
    });
    let old = unit.changed_at.is_some_and(|changed| unit.since.as_second() - changed.as_second() > 86_400);
    require(found, 9, !old, || format!("{name} was left failed for more than a day"));
    let passes = ["exit-code", "signal", "core-dump", "watchdog", "oom-kill"];
    let passes = passes.contains(&unit.result.as_str()) || unit.result == "start-limit-hit";
    require(found, 11, passes, || {
        format!("{name} ended with {:?}, which does not pass by itself", unit.result)
    });
    let status = unit.main.as_ref().filter(|(code, _)| code == "exited").map(|(_, status)| *status);
    let told =
        status.is_some_and(|it| it == 78 || it == 129 || it == 130 || it == 143 || (200..=245).contains(&it));
    let well = status == Some(0) || unit.main.is_none();
    let ended_by_systemd = unit.result == "oom-kill" || unit.result == "watchdog";
    require(found, 11, !well || ended_by_systemd, || {
        format!("the main process of {name} did not fail: what else did is the same the next time")
    });
    require(found, 9, !told, || format!("{name} ended with status {status:?}, which says why it ended"));
}
