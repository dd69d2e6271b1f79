//! May a plan go out now? Enabling, the agent's own policy, storms, attempts and caps.
//!
//! What holds a plan back is said in words that tell what to do. The judgement is repeated before each dispatch,
//! and independently by `check`.

use jiff::Timestamp;

use super::attempts::{Attempts, Subject};
use super::caps;
use super::planner::NIMBUS;
use crate::heal::storm::Storms;
use crate::model::{ActionKind, Agent, Incident, Plan};
use crate::snapshot::{Scope, Snapshot};

/// What holds a plan back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Somebody has to change something: enable the cluster, allow it in the agent's policy. Nobody is asked to
    /// approve what could not be done anyway.
    Closed(String),
    /// It will pass by itself.
    Passing(String),
    /// Enough was tried: a person is asked.
    Exhausted(String),
}

impl Hold {
    /// In words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Closed(text) | Self::Passing(text) | Self::Exhausted(text) => text,
        }
    }
}

/// Does nobody but Nimbus itself stand behind this plan?
pub fn is_automatic(plan: &Plan) -> bool {
    !plan.needs_approval && plan.requested_by == NIMBUS
}

/// The first thing that holds `plan` back at this moment. `storms` are those of the same snapshot and moment.
pub(crate) fn review(
    plan: &Plan,
    incident: &Incident,
    snapshot: &Snapshot<'_>,
    storms: &Storms,
    now: Timestamp,
) -> Option<Hold> {
    let Some(scope) = plan.scope() else {
        return Some(Hold::Closed("the plan names neither a cluster nor an agent".to_owned()));
    };
    enabled(plan, &scope, snapshot)
        .or_else(|| exhausted(plan, incident, snapshot))
        .or_else(|| snapshot.known(&scope).err().map(Hold::Passing))
        .or_else(|| match snapshot.actor(&scope) {
            Ok(agent) => allowed(plan.action.kind(), agent),
            Err(reason) => Some(Hold::Passing(reason)),
        })
        .or_else(|| stormy(plan, &scope, storms))
        .or_else(|| back_off(plan, incident, snapshot, now))
        .or_else(|| caps::full(plan, snapshot).map(Hold::Passing))
}

fn enabled(plan: &Plan, scope: &Scope, snapshot: &Snapshot<'_>) -> Option<Hold> {
    let Scope::Cluster(uid) = scope else { return None };
    let action = plan.action.kind();
    if snapshot.cluster(uid).is_some_and(|cluster| cluster.enables(action)) {
        return None;
    }
    let name = snapshot.name_of(scope);
    Some(Hold::Closed(format!(
        "observe only: cluster {name} is not enabled for {action}; `nimbus autonomous enable --cluster {name}`"
    )))
}

fn allowed(action: ActionKind, agent: &Agent) -> Option<Hold> {
    let may = |word: ActionKind| agent.allowed_actions.iter().any(|a| a == word.as_str());
    // Taking a file as it is writes less than putting it back: who allows the one allows the other to be asked.
    let either = action == ActionKind::AcceptBaseline && may(ActionKind::RestoreFile);
    if may(action) || either {
        return None;
    }
    Some(Hold::Closed(format!(
        "the local policy of agent {} does not allow {action}; allow it in the policy file on that side",
        agent.name
    )))
}

fn exhausted(plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>) -> Option<Hold> {
    let attempts = Attempts::on(&Subject::of_plan(plan), !is_automatic(plan), snapshot);
    let most = snapshot.settings.attempts;
    // The incident remembers what the jobs in the snapshot no longer show.
    let made = if is_automatic(plan) { attempts.count().max(incident.attempts) } else { attempts.count() };
    if made < most {
        return None;
    }
    let tried = attempts.tried();
    let tried = if tried.is_empty() { String::new() } else { format!(" ({tried})") };
    Some(Hold::Exhausted(format!(
        "{made} of at most {most} attempts were made and it is not over{tried}; a person has to look"
    )))
}

fn stormy(plan: &Plan, scope: &Scope, storms: &Storms) -> Option<Hold> {
    let Scope::Cluster(uid) = scope else { return None };
    if !is_automatic(plan) {
        return None;
    }
    storms.get(uid).cloned().map(Hold::Passing)
}

fn back_off(plan: &Plan, incident: &Incident, snapshot: &Snapshot<'_>, now: Timestamp) -> Option<Hold> {
    let attempts = Attempts::on(&Subject::of_plan(plan), !is_automatic(plan), snapshot);
    let next = attempts.next_at(snapshot.settings).max(incident.next_attempt_at)?;
    (now < next).then(|| Hold::Passing(format!("waits until {next:.0} before the next attempt")))
}
