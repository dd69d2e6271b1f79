//! Scenes of a person who removes a cluster.

use super::*;
use crate::model::*;
use crate::remediation::{self, DecideError, Removal};

fn removal(lab: &Lab) -> Removal<'static> {
    let serves_since = lab.now - remediation::COME_BACK;
    Removal { by: "operator", reason: "scrapped", is_forced: false, serves_since }
}

fn remove_as(lab: &mut Lab, removal: Removal<'_>) -> Result<ChangeSet, DecideError> {
    let cluster = lab.clusters[CLUSTER].clone();
    let now = lab.now;
    let tokens = [token(1, Some(CLUSTER)), token(2, None), token(3, Some("another"))];
    let changes = lab.look(|s| remediation::remove_cluster(s, &cluster, &tokens, removal, now))?;
    lab.commit(changes.clone());
    Ok(changes)
}

fn remove(lab: &mut Lab) -> Result<ChangeSet, DecideError> {
    let removal = removal(lab);
    remove_as(lab, removal)
}

fn token(number: u32, first_cluster: Option<&str>) -> Versioned<JoinTokenRecord> {
    let doc = serde_json::json!({
        "id": format!("tok_{number:032x}"), "name": "edge", "kind": "cluster", "cluster": null, "secret_sha256": "cd",
        "created_at": "1970-01-01T00:00:00Z", "created_by": "operator", "expires_at": "2100-01-01T00:00:00Z",
        "first_cluster": first_cluster, "uses": 9, "used": 1, "used_at": null, "used_by": null
    });
    Versioned { version: 1, doc: serde_json::from_value(doc).unwrap() }
}

#[test]
fn it_is_forced_on_agents_that_are_here_and_waits_for_those_that_may_come_back() {
    let mut lab = stuck_rollout();
    lab.settle();
    let just_started = Removal { serves_since: lab.now, ..removal(&lab) };
    let mut away = lab.clone();
    away.connected.clear();
    let error = remove_as(&mut away, just_started).unwrap_err();
    assert!(matches!(error, DecideError::AgentsComeBack { .. }), "{error}");
    let changes = remove_as(&mut lab, Removal { is_forced: true, ..just_started }).unwrap();
    assert_eq!((changes.agents.len(), changes.removed.len()), (1, 1), "also while it is connected");
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
    paused::pause(&mut lab, false, "");
    let changes = remove(&mut lab).unwrap();
    assert!(lab.pauses.is_empty(), "nothing of it is left to resume");
    let revoked: Vec<_> = changes.tokens.iter().map(|token| token.doc.id.to_string()).collect();
    assert_eq!(revoked, [format!("tok_{:032x}", 1)], "of the tokens the one that is for it alone");
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

#[test]
fn what_its_agents_watch_of_their_own_hosts_goes_with_them_and_is_counted() {
    let mut lab = drifted_file();
    lab.settle();
    let id = lab.open(IncidentKind::FileDrift).id;
    lab.connected.clear();
    let changes = remove(&mut lab).unwrap();
    assert_eq!(changes.incidents.len(), 1);
    let row = lab.audit.iter().find(|row| row.draft.action == "cluster.removed").unwrap();
    assert!(row.draft.detail.contains("1 agents and 1 incidents"), "{}", row.draft.detail);
    assert_eq!(lab.incidents[&id.to_string()].doc.state, IncidentState::Resolved);
    assert_eq!(lab.live_approvals(), 0);
}

#[test]
fn what_an_agent_sent_before_its_cluster_was_removed_does_not_make_that_known_again() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.connected.clear();
    remove(&mut lab).unwrap();
    let agent = lab.agents.values().next().unwrap().clone();
    assert!(agent.doc.revoked_at.is_some());
    let said = nimbus_protocol::v1::AgentStatus {
        cluster_uid: CLUSTER.into(),
        cluster_name: "prod".into(),
        jobs_per_hour: Some(7),
        ..Default::default()
    };
    let agents = [agent.clone()].into_iter().collect();
    let known = crate::directory::Known { agents: &agents, clusters: &[] };
    let (changes, denied) = crate::directory::status(known, &agent, &said, lab.now);
    assert!(changes.is_empty() && denied.is_none(), "{changes:?}");
}

/// It was read just before: only the version that goes with it makes that commit meet the removal's.
#[test]
fn a_cluster_is_made_known_with_the_agent_that_says_so_as_it_was_read() {
    let mut lab = stuck_rollout();
    lab.settle();
    let mut agent = lab.agents.values().next().unwrap().clone();
    lab.connected.clear();
    remove(&mut lab).unwrap();
    let said = nimbus_protocol::v1::Hello {
        cluster_uid: CLUSTER.into(),
        cluster_name: "prod".into(),
        hostname: agent.doc.hostname.clone(),
        agent_version: agent.doc.version.clone(),
        ..Default::default()
    };
    agent.doc.cluster_uid = Some(CLUSTER.into());
    agent.doc.bound_cluster = Some(CLUSTER.into());
    let agents = [agent.clone()].into_iter().collect();
    let known = crate::directory::Known { agents: &agents, clusters: &[] };
    let (changes, denied) = crate::directory::hello(known, &agent, &said, lab.now);
    assert!(denied.is_none());
    assert_eq!(changes.clusters.len(), 1);
    let versions: Vec<_> = changes.agents.iter().map(|agent| (agent.doc.id, agent.version)).collect();
    assert_eq!(versions, [(agent.doc.id, agent.version)]);
}
