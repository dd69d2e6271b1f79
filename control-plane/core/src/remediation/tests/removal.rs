//! Scenes of a person who removes a cluster.

use super::*;
use crate::model::*;
use crate::remediation::{self, DecideError};

fn remove(lab: &mut Lab) -> Result<(), DecideError> {
    let cluster = lab.clusters[CLUSTER].clone();
    let now = lab.now;
    let changes = lab.look(|s| remediation::remove_cluster(s, &cluster, "operator", "scrapped", now))?;
    lab.commit(changes);
    Ok(())
}

#[test]
fn a_removed_cluster_is_forgotten_with_what_was_open_in_it() {
    let mut lab = stuck_rollout();
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    // Its agent is here: it would only ask to be let in again.
    let error = remove(&mut lab).unwrap_err();
    assert!(matches!(error, DecideError::AgentsConnected { connected: 1, .. }), "{error}");
    assert!(error.to_string().contains("take them away first"), "{error}");
    lab.connected.clear();
    remove(&mut lab).unwrap();
    assert!(lab.clusters.is_empty());
    assert_eq!(lab.live_approvals(), 0, "what was asked is void");
    assert!(lab.incidents.values().all(|incident| incident.doc.state == IncidentState::Resolved));
    assert!(
        lab.incidents.values().any(|incident| incident.doc.reason.contains("operator removed its cluster"))
    );
    let agent = lab.agents.values().next().unwrap();
    assert_eq!(
        (agent.doc.revoked_at, agent.doc.pod_gone),
        (Some(lab.now), false),
        "it is no pod's: it stays out"
    );
    assert_eq!((lab.audited("cluster.removed"), lab.audited("agent.revoked")), (1, 1));
    let row = lab.audit.iter().find(|row| row.draft.action == "cluster.removed").unwrap();
    assert_eq!(row.draft.actor, "operator");
    assert!(row.draft.detail.contains("1 agents and 1 incidents: scrapped"), "{}", row.draft.detail);
    // Nothing opens again from what was reported before.
    lab.settle();
    assert!(lab.incidents.values().all(|incident| !incident.doc.is_open()));
}

#[test]
fn a_cluster_with_a_job_in_flight_stays() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", remediation::Decision::Approve, "").unwrap();
    assert!(!lab.settle().is_empty(), "a job is out");
    lab.connected.clear();
    let error = remove(&mut lab).unwrap_err();
    assert!(matches!(error, DecideError::JobRunning { .. }), "{error}");
    assert!(lab.clusters.contains_key(CLUSTER));
}
