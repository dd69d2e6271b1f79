//! Whether a plan may go out at this moment: seen, enabled, allowed, approved. Invariants 2, 3, 10 and 12.

use jiff::Timestamp;

use super::{Found, broken};
use crate::model::{Action, ActionKind, ApprovalState, IncidentState, Mode, Plan};
use crate::snapshot::Snapshot;
use crate::world::KINDS;

/// Invariant 3, the condition itself: at the moment of going out the container waits in its back-off.
pub(super) fn waiting(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>) {
    let Action::RestartPod { pod, container, .. } = &plan.action else { return };
    let inventory = plan.cluster_uid.as_ref().and_then(|uid| snapshot.world.clusters.get(uid));
    let now = inventory.and_then(|inventory| inventory.pods.get(&pod.uid));
    let waits = now.is_some_and(|pod| {
        pod.containers
            .iter()
            .any(|c| &c.name == container && c.state == "waiting" && c.reason == "CrashLoopBackOff")
    });
    broken(found, 3, waits, || format!("container {container} does not wait in CrashLoopBackOff right now"));
}

/// Missing data reads unknown: nothing goes out on it.
pub(super) fn sight(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>) {
    match (&plan.cluster_uid, &plan.agent_id) {
        (Some(uid), _) => {
            let inventory = snapshot.world.clusters.get(uid);
            let led = inventory
                .is_some_and(|i| i.leader.as_ref().is_some_and(|agent| snapshot.connected.contains(agent)));
            broken(found, 3, led, || format!("nobody connected watches cluster {uid}"));
            let listed = inventory.is_some_and(|i| {
                i.not_kept == 0 && KINDS.iter().all(|kind| i.listings.get(*kind).is_some_and(|l| l.complete))
            });
            broken(found, 3, listed, || format!("cluster {uid} is not fully listed"));
        }
        (None, Some(agent)) => {
            broken(found, 3, snapshot.connected.contains(agent), || {
                format!("agent {agent} is not connected")
            });
        }
        (None, None) => broken(found, 3, false, || "the plan names no place to act in".to_owned()),
    }
}

/// Invariants 2, 10 and 12: the cluster is enabled, the agent allows it, a person said yes to this very plan.
pub(super) fn permission(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    let kind = plan.action.kind();
    if let Some(uid) = &plan.cluster_uid {
        let cluster = snapshot.clusters.iter().find(|c| &c.doc.uid == uid);
        let enabled = cluster.is_some_and(|c| c.doc.mode == Mode::Act && c.doc.enabled.contains(&kind));
        broken(found, 12, enabled, || format!("the cluster is not enabled for {kind}"));
    }
    let allowed = snapshot.agents.iter().map(|a| &a.doc).any(|agent| {
        let place = match &plan.cluster_uid {
            Some(uid) => agent.leading && agent.cluster_uid.as_ref() == Some(uid),
            None => plan.agent_id.as_ref() == Some(&agent.id),
        };
        let may = |word: &str| agent.allowed_actions.iter().any(|a| a == word);
        let allows = may(kind.as_str()) || (kind == ActionKind::AcceptBaseline && may("restore_file"));
        place && allows && agent.revoked_at.is_none() && snapshot.connected.contains(&agent.id)
    });
    broken(found, 12, allowed, || format!("no connected agent there allows {kind}"));
    let incident = snapshot.incidents.iter().find(|i| i.doc.id == plan.incident_id).map(|i| &i.doc);
    let open = incident.is_some_and(|i| {
        !matches!(i.state, IncidentState::Resolved | IncidentState::Silenced | IncidentState::Escalated)
    });
    broken(found, 10, open, || "its incident is silenced, escalated or over".to_owned());
    let denied = incident.is_some_and(|i| i.denied_digest.as_ref() == Some(&plan.digest));
    broken(found, 12, !denied || plan.requested_by != "nimbus", || "a person denied this plan".to_owned());
    if plan.needs_approval {
        let given = snapshot.approvals.iter().map(|a| &a.doc).any(|a| {
            a.incident_id == plan.incident_id
                && a.plan_digest == plan.digest
                && a.state == ApprovalState::Approved
                && a.used_by.is_none()
                && now < a.expires_at
                && a.decided_by.as_ref().is_some_and(|by| *by != plan.requested_by && *by != a.requested_by)
        });
        broken(found, 2, given, || "no unused approval of another person names this digest".to_owned());
    }
}
