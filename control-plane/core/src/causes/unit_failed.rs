//! The cause `unit_failed`: a unit of a host's systemd failed, or is started again and again.
//!
//! One incident for a unit. It is over once the unit has run for [`STEADY`] in one run, as far as that was told; or was well for
//! as long and does not run: what ended meanwhile did not fail, or somebody reset or stopped it, which is said.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{HostUnits, Inventory, Unit};

pub(super) struct UnitFailed;

/// For so long a unit has to run, in one run, until its incident is over.
const STEADY: SignedDuration = SignedDuration::from_mins(1);
/// An agent's word for a unit that systemd has not loaded.
const NOT_LOADED: &str = "not-loaded";
/// An agent remembers for a day which units were not well.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(25);

impl Cause for UnitFailed {
    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "unit"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Host(agent, facts) = place else { return Vec::new() };
        let Some(units) = &facts.units else { return Vec::new() };
        let finding = |(name, unit): (&String, &Unit)| {
            let object = ObjectRef::Unit { name: name.clone() };
            let evidence = evidence(name, unit, units);
            Finding::new(IncidentKind::UnitFailed, Scope::Host(agent), object, evidence)
        };
        units.units.iter().filter(|(_, unit)| unit.is_unwell()).map(finding).collect()
    }

    fn is_due(&self, _: &Snapshot<'_>, _: &ObjectRef, _: &Scope, _: Timestamp) -> bool {
        true
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        finding.evidence.first().cloned().unwrap_or_else(|| format!("{} failed", finding.object))
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        s.known(&incident.scope, &[]).ok()?;
        let units = s.world.hosts.get(&incident.scope.host()?)?.units.as_ref()?;
        units.fresh(now).ok()?;
        let name = incident.object.name();
        let Some(unit) = units.units.get(name) else {
            // An agent tells for a day of what was not well, also where it is gone.
            let forgotten = units.not_listed == 0 && now.duration_since(incident.created_at) >= FORGOTTEN;
            return forgotten.then(|| {
                format!("{name} is not among the units of its host that failed; how it is its agent does not tell any more")
            });
        };
        if unit.is_unwell() {
            return None;
        }
        if unit.runs() {
            let lasts = units.lasted(unit) >= STEADY;
            return lasts.then(|| format!("{name} is {} since {:.0}", unit.state(), unit.since));
        }
        // Whatever ran and ended meanwhile did not fail.
        let is_over = unit.active_state == "inactive" && units.well_for(unit) >= STEADY;
        let failed_run = &unit.unwell.1;
        let ran_since = !failed_run.is_empty() && !unit.run.is_empty() && unit.run != *failed_run;
        is_over.then(|| {
            let state = unit.state();
            if ran_since {
                format!("{name} was started since it failed, and has ended without failing: it is {state}")
            } else if unit.load_state == NOT_LOADED {
                format!("{name} is failed no longer and does not run: systemd has it loaded no more")
            } else {
                format!(
                    "{name} is failed no longer and does not run: it is {state}, somebody reset or stopped it"
                )
            }
        })
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        let host = incident.scope.host().and_then(|agent| s.world.hosts.get(&agent));
        let units = host.and_then(|host| host.units.as_ref());
        let fresh = units.map_or(Ok(()), |units| units.fresh(s.now));
        if let Err(unknown) = s.known(&incident.scope, &[]).and(fresh) {
            return Agreement::Disagrees(unknown);
        }
        let name = incident.object.name();
        match units.and_then(|units| units.units.get(name)) {
            Some(unit) if unit.runs() && !unit.restarting => Agreement::Agrees,
            Some(unit) => Agreement::Disagrees(format!("{name} is {}", unit.state())),
            None => Agreement::Disagrees(format!("unknown: nothing is told of {name}")),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, incident: &Incident) -> String {
        let name = incident.object.name();
        format!(
            "{name} failed: look at what it wrote (`journalctl -u {name} -e`), put it right, and start it"
        )
    }

    fn sentence(&self) -> &'static str {
        "a unit of systemd failed: look at what it wrote (journalctl -u UNIT -e), put it right, and start it"
    }
}

fn evidence(name: &str, unit: &Unit, all: &HostUnits) -> Vec<String> {
    let ended = ended(unit);
    let mut lines = vec![if unit.is_failed() {
        format!("{name} failed: {ended}")
    } else {
        format!("{name} is started again and again by systemd: {ended}")
    }];
    if let Some(at) = unit.changed_at {
        lines.push(format!("it is {} since {at:.0}", unit.state()));
    }
    if let Some(times) = unit.restarts.filter(|times| *times > 0) {
        lines.push(format!(
            "systemd started it again {times} {} before",
            if times == 1 { "time" } else { "times" }
        ));
    }
    if all.not_listed > 0 {
        lines.push(format!("{} more units of this host are not told of one by one", all.not_listed));
    }
    lines
}

/// How its last run ended, in words.
pub(crate) fn ended(unit: &Unit) -> String {
    let main = match &unit.main {
        Some((code, status)) if code == "exited" => format!("its main process ended with status {status}"),
        Some((code, signal)) if code == "dumped" => {
            format!("its main process ended by signal {signal} and left its memory behind")
        }
        Some((_, signal)) => format!("its main process ended by signal {signal}"),
        None => String::new(),
    };
    let result = match unit.result.as_str() {
        "" | "exit-code" | "signal" | "core-dump" | "start-limit-hit" => "",
        "oom-kill" => "the kernel ended it for want of memory",
        "watchdog" => "it gave no sign of life in time",
        "timeout" => "it took longer to start or to stop than it may",
        "protocol" => "it did not do what its Type= says",
        "resources" => "systemd could not get what it needs",
        other => other,
    };
    let given_up = if unit.gave_up { "systemd gave up after too many starts" } else { "" };
    let result = if result.is_empty() { given_up } else { result };
    match (result, main.as_str()) {
        ("", "") => unit.state(),
        ("", main) => main.to_owned(),
        (result, "") => result.to_owned(),
        (result, main) => format!("{result}; {main}"),
    }
}
