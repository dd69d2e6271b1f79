//! The independent check of whether a plan may be dispatched now: its scope is observed, enabled, allowed by the agent
//! and approved (invariants 2, 3, 10 and 12).

use jiff::Timestamp;

use nimbus_protocol::action::Body;

use super::{ActionRules, Violations, require};
use crate::model::{Agent, ApprovalState, IncidentState, Mode, Plan, Scope};
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
    let open = incident.is_some_and(|i| match i.state {
        IncidentState::Open | IncidentState::WaitingApproval | IncidentState::Remediating => true,
        IncidentState::Resolved | IncidentState::Silenced | IncidentState::Escalated => false,
    });
    require(found, 10, open, || "its incident is silenced, escalated or over".to_owned());
    let denied = incident.is_some_and(|i| i.denied_digest.as_ref() == Some(&plan.digest));
    require(found, 12, !denied || plan.requested_by != "nimbus", || "a person denied this plan".to_owned());
    let failed = incident.is_some_and(|i| i.failed_digest.as_ref() == Some(&plan.digest));
    require(found, 5, !failed || plan.requested_by != "nimbus", || {
        "this very plan could not be carried out before, for a reason that does not pass by itself".to_owned()
    });
    if plan.needs_approval {
        let given = snapshot.approvals.iter().map(|a| &a.doc).any(|a| {
            a.incident_id == plan.incident_id
                && a.plan_digest == plan.digest
                && a.state == ApprovalState::Approved
                && a.used_by.is_none()
                && now < a.expires_at
                && a.decided_by.as_ref().is_some_and(|by| *by != plan.requested_by && *by != a.requested_by)
        });
        require(found, 2, given, || "no unused approval of another person names this digest".to_owned());
    }
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
