//! The remedy `restart_unit`: starts a service of a host's systemd again that failed, where nothing says that this cannot help.
//!
//! systemd's own tries come first, and a person who is at it has [`LEAST_WAIT`]. When it refrains is [`refrain`]'s.

mod refrain;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::{Body, MAY_START};
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, Place, Remedy};
use crate::causes::ended;
use crate::model::{ActionKind, Alternative, Incident, IncidentKind, Job, JobState, ObjectRef, Outlook};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{HostFacts, Unit};

pub(super) struct RestartUnit;

/// For so long a failed unit is left to systemd and to whoever is at it.
const LEAST_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// What is in the way for longer than this is not waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// Started again so often within [`A_DAY`], a unit is a person's.
const MOST_A_DAY: usize = 5;
/// See [`MOST_A_DAY`].
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// What is waited beyond the time within which systemd counts starts.
const BEYOND_LIMIT: SignedDuration = SignedDuration::from_secs(5);

impl Remedy for RestartUnit {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::UnitFailed]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[]
    }

    fn consent(&self) -> Consent {
        Consent::Rule
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn sentence(&self) -> &'static str {
        "starts a systemd service again that failed, where the policy of the host's agent names it"
    }

    fn name(&self) -> &'static str {
        "start the unit again"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let name = incident.object.name();
        let facts = incident.scope.host().and_then(|agent| s.world.hosts.get(&agent));
        let unit = facts.and_then(|facts| facts.units.as_ref()).and_then(|units| units.units.get(name));
        let (Some(facts), Some(unit)) = (facts, unit.filter(|unit| unit.is_unwell())) else {
            return Answer::Wait(format!("{name} is failed no longer; over when that lasts"));
        };
        if let Err(unknown) = facts.units.as_ref().map_or(Ok(()), |units| units.fresh(s.now)) {
            return Answer::Wait(format!("{unknown}; nothing is started from it"));
        }
        if let Some(why) = refrain::why(name, unit, facts) {
            return Answer::Recommend(why);
        }
        match unit.obstacle.as_str() {
            "" => {}
            // Over in a moment, as a rule.
            "job" | "host" if s.now.duration_since(unit.since) < PATIENCE => {
                return Answer::Wait(format!("{}; asked again when that is over", unit.reason));
            }
            _ => {
                return Answer::Recommend(format!(
                    "{name} is not started by Nimbus: {}; look at what it wrote (`journalctl -u {name} -e`) and start it \
                     (`systemctl start {name}`)",
                    unit.reason
                ));
            }
        }
        if let Some(why) = tried(incident, name, unit, s).or_else(|| too_often(incident, name, s)) {
            return Answer::Recommend(why);
        }
        let from = not_before(unit);
        if from.duration_since(unit.since) > PATIENCE {
            return Answer::Recommend(format!(
                "systemd gave up on {name} and starts it no more before {from:.0}: look at what it wrote (`journalctl -u {name} -e`), \
                 put it right, and start it (`systemctl reset-failed {name}; systemctl start {name}`)"
            ));
        }
        if s.now < from {
            return Answer::Wait(format!(
                "{name} is started again from {from:.0} on: until then systemd and whoever is at it go first"
            ));
        }
        Answer::Act(Box::new(start(name, unit, facts)))
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RestartUnit(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// From when on it may be started again. Within the time of its limit systemd would refuse.
fn not_before(unit: &Unit) -> Timestamp {
    let limit = unit.start_limit.filter(|_| unit.gave_up).map(|(_, within)| within);
    let limit = limit.map_or(SignedDuration::ZERO, |within| within.saturating_add(BEYOND_LIMIT));
    later(unit.since, limit.max(LEAST_WAIT))
}

/// Why a unit that was started again often enough is not started once more, although each start helped for a while: attempts are
/// forgotten once it was well for some minutes.
fn too_often(incident: &Incident, name: &str, s: &Snapshot<'_>) -> Option<String> {
    let started = |job: &&Job| {
        let mine = job.scope == incident.scope && job.object == incident.object;
        let took_effect = job.applied_at.is_some_and(|at| s.now.duration_since(at) < A_DAY);
        mine && job.action == ActionKind::RestartUnit && took_effect
    };
    let times = s.all_jobs().filter(started).count();
    (times >= MOST_A_DAY).then(|| {
        format!(
            "{name} was started again {times} times within a day and failed each time: another start would not last either; find out \
             why (`journalctl -u {name} -S -1d`)"
        )
    })
}

/// Why the same is not asked for again: what was refused for a reason that does not pass by itself.
fn tried(incident: &Incident, name: &str, unit: &Unit, s: &Snapshot<'_>) -> Option<String> {
    let refused = |job: &&Job| {
        job.incident_id == incident.id
            && job.action == ActionKind::RestartUnit
            && job.state == JobState::Refused
            && job.created_at >= unit.since
    };
    let refused: Vec<&Job> = s.all_jobs().filter(refused).collect();
    let last = refused.iter().max_by_key(|job| job.finished_at)?;
    let may_not = refused.iter().any(|job| job.reason.contains(MAY_START));
    let no_longer_so = refused.iter().filter(|job| job.reason.starts_with("precondition_failed")).count();
    (may_not || no_longer_so >= 2)
        .then(|| format!("{name} was not started: {}; asked again when it fails anew", last.reason))
}

fn start(name: &str, unit: &Unit, facts: &HostFacts) -> Draft {
    let rationale = match unit.result.as_str() {
        _ if unit.gave_up => {
            "systemd tried it several times at once and gave up: what it needs may be there by now, and nobody else tries it again"
        }
        "oom-kill" => {
            "the kernel ended it for want of memory, and nobody else starts it again; a program that grows without end will be \
             ended again"
        }
        "watchdog" => "it hung; a new process begins afresh, and nobody else starts it again",
        _ => "a new process begins afresh, and nobody else starts it again",
    };
    let host = facts.sample.as_ref().map_or("the host", |sample| sample.hostname.as_str());
    Draft {
        action: Body::RestartUnit(v1::RestartUnit {
            unit: name.to_owned(),
            failed_invocation: unit.run.clone(),
            result: unit.result.clone(),
        }),
        object: ObjectRef::Unit { name: name.to_owned() },
        workload: None,
        summary: format!("start {name} again on {host}"),
        changes: vec![
            format!("{name}: {} -> started, as by `systemctl start {name}`", unit.state()),
            "nothing that runs is in conflict with it and would be stopped, and all that it requires or wants itself runs already, as \
             its agent says and reads again before the start; what these pull in and what does not run systemd may start with it"
                .to_owned(),
        ],
        rationale: rationale.to_owned(),
        outlook: Outlook::undone_by_a_person(
            format!("`systemctl stop {name}` ends it again"),
            "a unit that failed anew or runs by now is left alone. One that does not last is as failed as it was: the next try \
             comes after a longer wait, and after the last one a person is asked",
        ),
        ways: vec![
            Alternative::new("start it again", true, format!("it is not running: {}", ended(unit))),
            Alternative::new(
                "restart it and what depends on it",
                false,
                "more would be disturbed than has failed",
            ),
            Alternative::new("leave it", false, "what it does is not done"),
        ],
    }
}
