//! The planner's safety review, which decides whether a plan may be dispatched now: enabling, the agent's policy, pauses,
//! storms, attempts, caps and the agent's hourly budget.
//!
//! What holds a plan back is said in words that tell what to do. The judgement is repeated before each dispatch,
//! and independently by `check`.

pub mod attempts;
mod caps;
mod holds;
mod hours;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::JobId;

use crate::calendar::Calendar;
use crate::causes::storm;
use crate::model::{ActionKind, Agent, Approval, Incident, Passed, Pause, Plan, Scope};
use crate::remedies::{self, NIMBUS};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::verdict::{Verdict, verdict};

pub(crate) use attempts::refusals;
pub use attempts::{Attempts, Subject, Tried};
pub(crate) use caps::Room;
pub(crate) use hours::{HOURLY_BUDGET, Hours};
pub use hours::{Pace, paces};

/// So long before a window ends or a blackout begins nothing is begun any more: it would hardly come to its agent.
const LEAST_LEFT: SignedDuration = SignedDuration::from_secs(10);

/// By cluster UID why nothing automatic runs there now.
pub(crate) type Storms = BTreeMap<String, String>;

/// What is looked up once for a pass over many plans.
pub(crate) struct Pass<'a> {
    /// The storms that rage now.
    storms: Storms,
    /// What the jobs in flight occupy.
    room: Room,
    /// What each agent has had of its hourly budget.
    hours: Hours,
    /// What was tried, by what it was tried on.
    tried: Tried<'a>,
    /// Where windows and blackouts stand.
    calendar: Calendar<'a>,
}

impl<'a> Pass<'a> {
    /// A pass over the plans of this snapshot, with these storms.
    pub(crate) fn of(snapshot: &Snapshot<'a>, storms: Storms, now: Timestamp) -> Self {
        let (room, hours, tried) = (Room::of(snapshot), Hours::of(snapshot, now), Tried::of(snapshot));
        let calendar = Calendar::at(snapshot.settings, now);
        Self { storms, room, hours, tried, calendar }
    }

    /// This job of an incident's plan goes out: it counts against the caps and the agent's hour from now on.
    pub(crate) fn take(&mut self, plan: &Plan, incident: &Incident, job: JobId, snapshot: &Snapshot<'_>) {
        self.room.take(plan, job);
        self.had_one_more(plan, incident, snapshot);
    }

    /// A plan of an incident is the next to go out: those behind it wait.
    pub(crate) fn next(&mut self, plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>) {
        self.room.reserve(plan);
        self.had_one_more(plan, incident, snapshot);
    }

    /// The plan in force of an incident is this one from now on.
    pub(crate) fn plan(&mut self, incident: &Incident, plan: Option<&Plan>) {
        self.room.plan(incident, plan);
    }

    fn had_one_more(&mut self, plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>) {
        if let Ok(agent) = snapshot.actor(&plan.scope) {
            self.hours.take(agent.id, again(plan, incident) > 0);
        }
    }
}

/// Whose turn it is first, of incidents that wait for room: the most severe, of two the older one. What was refused before
/// comes after what was not, however severe it is, in the order in which it may be asked for again: else the oldest or the most
/// severe would have all the tries.
pub(crate) fn turn(incident: &Incident) -> impl Ord + use<> {
    let again = incident.refused.map(|_| incident.next_attempt_at);
    (again, incident.severity, incident.created_at, incident.id)
}

/// How often this plan of the incident was refused before and is asked for again.
pub(crate) fn again(plan: &Plan, incident: &Incident) -> u32 {
    incident.refused.filter(|refused| refused.plan_id == plan.id).map_or(0, |refused| refused.times)
}

/// What holds a plan back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Somebody has to change something: enable the cluster, allow it in the agent's policy. Nobody is asked to
    /// approve what could not be done anyway.
    NeedsOperator(String),
    /// It will pass by itself.
    Temporary(String),
    /// A window or a blackout holds it back. It will pass by itself, and a broken glass passes it by.
    Calendar(String),
    /// It was refused before, and its agent has had what it gets of that in an hour. It will pass by itself, and nobody waits
    /// for its plan meanwhile.
    TriesUsed(String),
    /// Enough was tried: a person is asked.
    AttemptsExhausted(String),
}

impl Blocked {
    /// In words.
    pub fn reason(&self) -> &str {
        match self {
            Self::NeedsOperator(text)
            | Self::Temporary(text)
            | Self::Calendar(text)
            | Self::TriesUsed(text)
            | Self::AttemptsExhausted(text) => text,
        }
    }
}

/// Would `plan` go past a cap if it went out now?
#[cfg(test)]
pub(crate) fn room_for_test(plan: &Plan, snapshot: &Snapshot<'_>) -> bool {
    let incident = snapshot.incident(plan.incident_id).map(|incident| &incident.doc);
    incident.is_none_or(|incident| Room::of(snapshot).full(plan, incident, &snapshot.settings.caps).is_some())
}

/// Does nobody but Nimbus itself stand behind this plan?
pub fn is_automatic(plan: &Plan) -> bool {
    !plan.needs_approval && plan.requested_by == NIMBUS
}

/// The first thing that holds `plan` back at this moment. `pass` is of the same snapshot and moment.
pub(crate) fn review(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    pass: &Pass<'_>,
    now: Timestamp,
) -> Option<Blocked> {
    let scope = &plan.scope;
    let Some(action) = plan.action.kind() else {
        let text =
            "this version does not know the plan's action; upgrade the control plane, or wait for a new plan";
        return Some(Blocked::NeedsOperator(text.to_owned()));
    };
    enabled(action, scope, snapshot)
        .or_else(|| exhausted(plan, incident, snapshot, &pass.tried))
        .or_else(|| snapshot.known(scope, remedies::of(action).needs(incident)).err().map(Blocked::Temporary))
        .or_else(|| match snapshot.actor(scope) {
            Ok(agent) => allowed(action, agent),
            Err(reason) => Some(Blocked::Temporary(reason)),
        })
        .or_else(|| paused(scope, snapshot).map(Blocked::Temporary))
        .or_else(|| held_by_calendar(plan, incident, snapshot, pass, now).map(Blocked::Calendar))
        .or_else(|| {
            let before = must_begin_before(plan, incident, snapshot, pass, now)?;
            too_late(before, now).map(Blocked::Temporary)
        })
        .or_else(|| blocked_by_storm(plan, snapshot, &pass.storms))
        .or_else(|| back_off(plan, incident, snapshot, &pass.tried, now))
        .or_else(|| {
            let agent = snapshot.actor(scope).ok().filter(|_| again(plan, incident) > 0)?;
            pass.hours.tries_used(agent).map(Blocked::TriesUsed)
        })
        .or_else(|| pass.room.full(plan, incident, &snapshot.settings.caps).map(Blocked::Temporary))
        .or_else(|| {
            let agent = snapshot.actor(scope).ok()?;
            pass.hours.full(agent).map(Blocked::Temporary)
        })
}

fn enabled(action: ActionKind, scope: &Scope, snapshot: &Snapshot<'_>) -> Option<Blocked> {
    let uid = scope.cluster_uid()?;
    if snapshot.cluster(uid).is_some_and(|cluster| cluster.enables(action)) {
        return None;
    }
    let name = snapshot.name_of(scope);
    Some(Blocked::NeedsOperator(format!(
        "observe only: cluster {name} is not enabled for {action}; `nimbus autonomous enable --cluster {name}`"
    )))
}

/// Why nothing may be begun there, whoever ordered it: people paused the fleet or the cluster, or the agent on its own side.
pub(crate) fn paused(scope: &Scope, snapshot: &Snapshot<'_>) -> Option<String> {
    let at_agent = || {
        let agent = snapshot.actor(scope).ok()?;
        let paused = agent.paused.as_ref()?;
        Some(format!("agent {} says: {paused}; `nimbus-agent resume` there lets it go on", agent.name))
    };
    snapshot.paused(scope).map(Pause::sentence).or_else(at_agent)
}

/// What a broken glass of the plan's approval passes by.
fn passed(plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>, now: Timestamp) -> Vec<Passed> {
    if !plan.needs_approval {
        return Vec::new();
    }
    let of_plan =
        |approval: &&Approval| approval.incident_id == incident.id && approval.covers(&plan.digest, now);
    let approvals = snapshot.approvals.iter().map(|approval| &approval.doc).filter(of_plan);
    approvals.filter_map(|approval| approval.broken_glass.as_ref()).flat_map(|it| it.past.clone()).collect()
}

/// Looks at a calendar for a plan: at its action, the names of its place, and what a broken glass of its approval passes by.
fn in_calendar<R>(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
    look: impl FnOnce(Option<ActionKind>, &[&str], &[Passed]) -> Option<R>,
) -> Option<R> {
    if !snapshot.settings.has_calendar() {
        return None;
    }
    let passed = passed(plan, incident, snapshot, now);
    snapshot.in_calendar(incident, |places| look(plan.action.kind(), places, &passed))
}

/// Why the windows and blackouts of the settings hold the plan back now. Who broke the glass of its approval passes by what was then.
fn held_by_calendar(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    pass: &Pass<'_>,
    now: Timestamp,
) -> Option<String> {
    let held = in_calendar(plan, incident, snapshot, now, |action, places, passed| {
        pass.calendar.held(action, places, passed)
    });
    held.map(|held| held.text)
}

/// That nothing is begun any more, as this is so near.
fn too_late(before: Timestamp, now: Timestamp) -> Option<String> {
    (before < later(now, LEAST_LEFT))
        .then(|| format!("too late to begin: its window ends or a blackout begins at {before:.0}"))
}

/// When a job for the plan has to be begun at the latest, as a window of the settings or of the rules that let it begin ends, or a blackout
/// begins then.
pub(crate) fn must_begin_before(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    pass: &Pass<'_>,
    now: Timestamp,
) -> Option<Timestamp> {
    let calendar = in_calendar(plan, incident, snapshot, now, |action, places, passed| {
        pass.calendar.next(action, places, passed)
    });
    let rules = plan.intended().filter(|_| is_automatic(plan)).and_then(|intended| {
        let consent = remedies::of(intended.action.kind()).consent();
        match verdict(&intended, consent, incident, snapshot) {
            Verdict::Begin(_, until) => until,
            Verdict::Ask(..) | Verdict::Leave(_) => None,
        }
    });
    calendar.into_iter().chain(rules).min()
}

/// Why a person's order cannot be carried out by the agent that would have to; asked before it is taken.
pub(crate) fn refuse_order(plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>) -> Result<(), String> {
    let held = || {
        if !snapshot.settings.has_calendar() {
            return None;
        }
        let (action, now) = (plan.action.kind(), snapshot.now);
        let calendar = Calendar::at(snapshot.settings, now);
        snapshot.in_calendar(incident, |places| {
            let held = calendar.held(action, places, &[]).map(|held| {
                let ends = held.past.iter().all(|past| past.until.is_some());
                if ends { format!("{}; order it again then", held.text) } else { held.text }
            });
            let next = || too_late(calendar.next(action, places, &[])?, now);
            held.or_else(|| Some(format!("{}; order it again once that is over", next()?)))
        })
    };
    if let Some(why) = paused(&plan.scope, snapshot).or_else(held) {
        return Err(why);
    }
    let agent = snapshot.actor(&plan.scope)?;
    let not_allowed = || plan.action.kind().and_then(|action| allowed(action, agent));
    match exhausted(plan, incident, snapshot, &Tried::of(snapshot)).or_else(not_allowed) {
        Some(
            Blocked::NeedsOperator(why)
            | Blocked::Temporary(why)
            | Blocked::Calendar(why)
            | Blocked::TriesUsed(why)
            | Blocked::AttemptsExhausted(why),
        ) => Err(why),
        None => Ok(()),
    }
}

fn allowed(action: ActionKind, agent: &Agent) -> Option<Blocked> {
    if agent.allowed_actions.iter().any(|word| word == action.as_str()) {
        return None;
    }
    Some(Blocked::NeedsOperator(format!(
        "the local policy of agent {} does not allow {action}; allow it in the policy file on that side",
        agent.name
    )))
}

fn exhausted(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    tried: &Tried<'_>,
) -> Option<Blocked> {
    let attempts = Attempts::before(plan, tried);
    let most = snapshot.settings.attempts;
    // The incident remembers what the jobs in the snapshot no longer show, but not which of them only followed the load.
    let scales = plan.action.kind() == Some(ActionKind::ScaleWorkload);
    let made = if is_automatic(plan) && !scales {
        attempts.count().max(incident.attempts)
    } else {
        attempts.count()
    };
    if made < most {
        return None;
    }
    let tried = attempts.tried();
    let tried = if tried.is_empty() { String::new() } else { format!(" ({tried})") };
    Some(Blocked::AttemptsExhausted(format!(
        "{made} of at most {most} attempts were made and it is not over{tried}; a person has to look"
    )))
}

/// Where storms cannot be judged, because pods or nodes are not listed, nothing automatic runs either.
fn blocked_by_storm(plan: &Plan, snapshot: &Snapshot<'_>, storms: &Storms) -> Option<Blocked> {
    let uid = plan.scope.cluster_uid()?;
    if !is_automatic(plan) {
        return None;
    }
    let unknown = snapshot.known(&plan.scope, storm::NEEDS).err();
    storms.get(uid).cloned().or(unknown).map(Blocked::Temporary)
}

fn back_off(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    tried: &Tried<'_>,
    now: Timestamp,
) -> Option<Blocked> {
    let attempts = Attempts::before(plan, tried);
    let next = attempts.next_at(snapshot.settings, now).max(incident.next_attempt_at)?;
    (now < next).then(|| Blocked::Temporary(format!("waits until {next:.0} before the next attempt")))
}
