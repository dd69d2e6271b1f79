//! Example documents and batches that the stories use, and tests of whoever keeps what the store holds.

use jiff::{SignedDuration, Timestamp};
use nimbus_control_core::model::{
    ActionKind, Agent, AgentKind, Approval, ApprovalState, AuditDraft, Incident, IncidentKind, IncidentState,
    Job, JobState, JoinTokenRecord, KubeRef, ObjectRef, Plan, RevisionHistory, Scope, Severity, WatchedRoot,
};
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::{AgentId, IncidentId};
use nimbus_protocol::v1;

use crate::NewBatch;

/// A moment: seconds after the stories begin.
pub fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_790_000_000 + second)
}

pub(super) fn id<T: std::str::FromStr>(prefix: &str, n: u32) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("{prefix}_{n:032x}").parse().unwrap()
}

/// An agent's id.
pub fn agent_id(n: u32) -> AgentId {
    id("agt", n)
}

/// An incident's id.
pub fn incident_id(n: u32) -> IncidentId {
    id("inc", n)
}

/// Observations `first` to `last` of an agent.
pub fn batch(agent: u32, first: u64, last: u64) -> NewBatch {
    NewBatch {
        agent: agent_id(agent),
        first,
        last,
        count: u32::try_from(last - first + 1).unwrap(),
        received_at: at(1),
        payload: format!("agent {agent}, {first} to {last}, \0 and \u{1f980}").into_bytes(),
    }
}

/// A row for the chain.
pub fn audit(action: &str, subject: &str) -> AuditDraft {
    AuditDraft {
        at: at(5) + SignedDuration::from_nanos(123_456_789),
        actor: "operator".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        cluster: "prod".to_owned(),
        detail: format!("{action} of {subject}"),
    }
}

/// An agent of a cluster.
pub fn agent(n: u32) -> Agent {
    Agent {
        name: format!("agent-{n}"),
        key_sha256: "ab".repeat(32),
        hostname: format!("host-{n}"),
        version: "0.1.0".to_owned(),
        cluster_uid: Some("uid-1".to_owned()),
        leading: true,
        lease_term: 3,
        roots: vec![WatchedRoot {
            path: "/etc".to_owned(),
            problem: String::new(),
            files: 12,
            baseline_since: None,
        }],
        ..Agent::new(agent_id(n), AgentKind::Cluster, at(0))
    }
}

/// A token that nobody used.
pub fn token(n: u32) -> JoinTokenRecord {
    JoinTokenRecord {
        id: id("tok", n),
        name: format!("agent-{n}"),
        kind: AgentKind::Host,
        cluster: None,
        first_cluster: None,
        secret_sha256: "cd".repeat(32),
        created_at: at(0),
        created_by: "operator".to_owned(),
        expires_at: at(900),
        uses: 1,
        used: 0,
        used_at: None,
        used_by: None,
        revoked_at: None,
    }
}

/// The revisions of a workload that is there.
pub fn history(workload: &str) -> RevisionHistory {
    let mut history = RevisionHistory::new("uid-1", workload, at(0));
    history.present(7, "cafe", at(1));
    history
}

fn scope() -> Scope {
    Scope::Cluster("uid-1".to_owned())
}

fn object(name: &str) -> ObjectRef {
    ObjectRef::Kubernetes(KubeRef::new("apps/v1", "Deployment", "shop", name, &format!("uid-of-{name}")))
}

/// An open incident of this cause.
pub fn incident(n: u32, key: &str) -> Incident {
    let created_at = at(i64::from(n));
    Incident {
        severity: Severity::Critical,
        cluster: "prod".to_owned(),
        title: "cart crash-loops".to_owned(),
        reason: "observe only".to_owned(),
        evidence: vec!["restarted 5 times".to_owned()],
        ..Incident::found(
            incident_id(n),
            key.to_owned(),
            IncidentKind::PodCrashLoop,
            scope(),
            object("cart"),
            created_at,
        )
    }
}

/// An incident that was resolved at a second.
pub fn resolved(n: u32, key: &str, second: i64) -> Incident {
    Incident { state: IncidentState::Resolved, resolved_at: Some(at(second)), ..incident(n, key) }
}

/// A plan of an incident.
pub fn plan(n: u32, incident: u32) -> Plan {
    let action = v1::RestartPod { container: "app".to_owned(), ..v1::RestartPod::default() };
    Plan {
        id: id("pln", n),
        incident_id: incident_id(incident),
        created_at: at(i64::from(n)),
        requested_by: "nimbus".to_owned(),
        scope: scope(),
        action: Body::RestartPod(action).into(),
        object: object("cart"),
        workload: None,
        needs_approval: false,
        rule: None,
        summary: "a new pod elsewhere".to_owned(),
        changes: Vec::new(),
        rationale: "another node is ready".to_owned(),
        outlook: None,
        considered: Vec::new(),
        evidence: Vec::new(),
        digest: "ef".repeat(32),
    }
}

/// An approval that waits: of an incident and its plan with the same number.
pub fn approval(n: u32, incident: u32) -> Approval {
    Approval {
        id: id("apr", n),
        plan_id: id("pln", n),
        incident_id: incident_id(incident),
        plan_digest: "ef".repeat(32),
        state: ApprovalState::Pending,
        cluster: "prod".to_owned(),
        requested_by: "nimbus".to_owned(),
        created_at: at(i64::from(n)),
        expires_at: at(86_400),
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        used_by: None,
        needs: Vec::new(),
        given: Vec::new(),
        broken_glass: None,
    }
}

/// A job of an incident and its plan with the same number.
pub fn job(n: u32, incident: u32, state: JobState) -> Job {
    Job {
        id: id("job", n),
        incident_id: incident_id(incident),
        plan_id: id("pln", n),
        plan_digest: "ef".repeat(32),
        approval_id: None,
        agent_id: agent_id(1),
        scope: scope(),
        cluster: "prod".to_owned(),
        action: ActionKind::RestartPod,
        object: object("cart"),
        workload: None,
        state,
        reason: String::new(),
        evidence: Vec::new(),
        created_at: at(i64::from(n)),
        expires_at: at(60),
        dispatched_at: None,
        applied_at: None,
        finished_at: state.is_final().then(|| at(i64::from(n) + 5)),
        verify_ms: 30_000,
        verify_timeout_ms: 180_000,
        envelope: String::new(),
        replacement_uid: None,
        attempts_reset_at: None,
        again: 0,
        raised: None,
        scales_in: None,
    }
}
