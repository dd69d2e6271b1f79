//! The independent check of whether a plan may be dispatched now: its scope is observed, enabled, allowed by the agent
//! and approved (invariants 2, 3, 10 and 12).

use jiff::Timestamp;

use nimbus_protocol::action::Body;

use super::meant::{is_meant, places_of};
use super::{ActionRules, Violations, calendar, require};
use crate::model::{Agent, Approval, ApprovalState, Incident, IncidentState, Mode, Plan, Scope, Word};
use crate::settings::quorum::Quorum;
use crate::snapshot::Snapshot;

/// Missing data reads unknown: nothing goes out on it.
pub(super) fn require_observed(
    found: &mut Violations,
    plan: &Plan,
    rules: &dyn ActionRules,
    snapshot: &Snapshot<'_>,
) {
    match &plan.scope {
        Scope::Cluster(uid) => {
            let inventory = snapshot.world.clusters.get(uid);
            let led = inventory.is_some_and(|inventory| {
                let under = |agent: &Agent| agent.leading && agent.lease_term == inventory.lease_term;
                snapshot.agents.iter().map(|agent| &agent.doc).any(|agent| {
                    inventory.leader == Some(agent.id)
                        && snapshot.connected.contains(&agent.id)
                        && under(agent)
                })
            });
            require(found, 3, led, || {
                format!("nobody connected watches cluster {uid} under the lease that it was listed under")
            });
            let listed = |i: &crate::world::Inventory| {
                rules.needs().iter().all(|kind| i.is_listed(*kind) && i.not_kept(*kind) == 0)
            };
            require(found, 3, inventory.is_some_and(listed), || format!("cluster {uid} is not fully listed"));
        }
        Scope::Host(agent) => require(found, 3, snapshot.connected.contains(agent), || {
            format!("agent {agent} is not connected")
        }),
    }
}

/// Invariants 2, 10 and 12: the cluster is enabled, the agent allows it, a person said yes to this very plan.
pub(super) fn require_permission(
    found: &mut Violations,
    plan: &Plan,
    action: &Body,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
) {
    let kind = action.kind();
    if let Some(uid) = plan.scope.cluster_uid() {
        let cluster = snapshot.clusters.iter().find(|c| c.doc.uid == uid);
        let mode = cluster.map_or(Mode::Off, |cluster| cluster.doc.mode);
        let enabled = cluster.is_some_and(|cluster| cluster.doc.enabled.contains(&kind));
        let asks = plan.needs_approval || plan.requested_by != "nimbus";
        match mode {
            Mode::Off | Mode::Observe => {
                require(found, 12, false, || format!("the cluster is in mode {mode}"));
            }
            Mode::Recommend => require(found, 12, asks, || {
                "the cluster is in mode recommend: a person has to be asked".to_owned()
            }),
            Mode::Act => {}
        }
        require(found, 12, enabled, || format!("the cluster is not enabled for {kind}"));
    }
    let allowed = snapshot.agents.iter().map(|a| &a.doc).any(|agent| {
        let place = match &plan.scope {
            Scope::Cluster(uid) => agent.leading && agent.cluster_uid.as_ref() == Some(uid),
            Scope::Host(id) => *id == agent.id,
        };
        let allows = agent.allowed_actions.iter().any(|word| word == kind.as_str());
        place && allows && agent.revoked_at.is_none() && snapshot.connected.contains(&agent.id)
    });
    require(found, 12, allowed, || format!("no connected agent there allows {kind}"));
    require_unpaused(found, plan, snapshot);
    let incident = snapshot.incidents.iter().find(|i| i.doc.id == plan.incident_id).map(|i| &i.doc);
    calendar::require_time(found, plan, &places_of(plan, incident, snapshot), snapshot, now);
    let open = incident.is_some_and(|i| match i.state {
        IncidentState::Open | IncidentState::WaitingApproval | IncidentState::Remediating => true,
        IncidentState::Resolved | IncidentState::Silenced | IncidentState::Escalated => false,
    });
    require(found, 10, open, || super::NOT_OPEN.to_owned());
    // The same with a person asked and without: a rule that came later does not begin what a person denied.
    let other = Plan { needs_approval: !plan.needs_approval, ..plan.clone() }.computed_digest();
    let is_it = |digest: &String| *digest == plan.digest || *digest == other;
    let denied = incident.is_some_and(|i| i.denied_digest.as_ref().is_some_and(is_it));
    require(found, 12, !denied || plan.requested_by != "nimbus", || "a person denied this plan".to_owned());
    let failed = incident.is_some_and(|i| i.failed_digest.as_ref().is_some_and(is_it));
    require(found, 5, !failed || plan.requested_by != "nimbus", || {
        "this very plan could not be carried out before, for a reason that does not pass by itself".to_owned()
    });
    let quorum = quorum_of(plan, incident, snapshot);
    require(found, 2, quorum.is_none() || plan.needs_approval, || {
        "the settings need several people for it, and the plan asks nobody".to_owned()
    });
    if plan.needs_approval {
        let given = snapshot.approvals.iter().map(|a| &a.doc).any(|a| {
            a.incident_id == plan.incident_id
                && a.plan_digest == plan.digest
                && a.state == ApprovalState::Approved
                && a.used_by.is_none()
                && now < a.expires_at
                && is_of_another(a, plan, quorum)
        });
        require(found, 2, given, || "no unused approval of another person names this digest".to_owned());
    }
}

/// Invariant 12: the requester is not the approver, and where several people have to approve, each item of what is needed has
/// a person of its own, or somebody broke the glass and said why.
fn is_of_another(approval: &Approval, plan: &Plan, quorum: Option<&Quorum>) -> bool {
    if let Some(broken) = &approval.broken_glass {
        return broken.by != plan.requested_by && !broken.reason.trim().is_empty();
    }
    let other = |by: &String| *by != plan.requested_by && *by != approval.requested_by;
    if approval.needs.is_empty() && quorum.is_none() {
        return approval.decided_by.as_ref().is_some_and(other);
    }
    // By what was asked, and by what the settings say now.
    approval.given.iter().all(|word| other(&word.by))
        && each_has_one(&approval.needs, &approval.given)
        && quorum.is_none_or(|quorum| each_has_one(&quorum.groups, &approval.given))
}

/// The first quorum of the settings for this plan, by the action's word and every name and id of its place.
fn quorum_of<'a>(plan: &Plan, incident: Option<&Incident>, snapshot: &'a Snapshot<'_>) -> Option<&'a Quorum> {
    if snapshot.settings.quorum.is_empty() {
        return None;
    }
    let places = places_of(plan, incident, snapshot);
    snapshot.settings.quorum.iter().find(|quorum| is_meant(plan, &places, &quorum.actions, &quorum.clusters))
}

/// Tries every way to give each item another person: there are five items at most.
fn each_has_one(needs: &[Vec<String>], given: &[Word]) -> bool {
    let Some((first, rest)) = needs.split_first() else { return true };
    given.iter().any(|word| {
        let others: Vec<Word> = given.iter().filter(|other| other.by != word.by).cloned().collect();
        word.groups.iter().any(|group| first.contains(group)) && each_has_one(rest, &others)
    })
}

/// Invariant 10: with the kill switch on nothing new starts, for whomever.
fn require_unpaused(found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
    let agents = || snapshot.agents.iter().map(|agent| &agent.doc);
    let clusters: Vec<&String> = match &plan.scope {
        Scope::Cluster(uid) => vec![uid],
        Scope::Host(id) => agents()
            .filter(|agent| agent.id == *id)
            .flat_map(|agent| agent.bound_cluster.iter().chain(&agent.cluster_uid))
            .collect(),
    };
    for pause in snapshot.pauses.iter().map(|pause| &pause.doc) {
        let elsewhere = pause.cluster_uid.as_ref().is_some_and(|uid| !clusters.contains(&uid));
        require(found, 10, elsewhere, || format!("{} paused it, and nobody let it go on", pause.by));
    }
    let acting = |agent: &Agent| match &plan.scope {
        Scope::Cluster(uid) => agent.leading && agent.cluster_uid.as_ref() == Some(uid),
        Scope::Host(id) => agent.id == *id,
    };
    let paused = agents().any(|agent| {
        acting(agent)
            && agent.revoked_at.is_none()
            && snapshot.connected.contains(&agent.id)
            && agent.paused.is_some()
    });
    require(found, 10, !paused, || "the agent that would act was paused on its own side".to_owned());
}
