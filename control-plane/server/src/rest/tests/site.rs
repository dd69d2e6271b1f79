//! A small site as a fixture: one cluster, two agents, a join token, a stuck rollout and a drifted file that wait for approval.

use jiff::{SignedDuration, Timestamp};
use nimbus_control_core::model::{
    ActionKind, Agent, AgentKind, Alternative, Approval, ApprovalState, ChangeSet, Cluster, FileFacts,
    HistoryEntry, Incident, IncidentKind, IncidentState, Job, JobState, JoinTokenRecord, KubeRef, Mode,
    ObjectRef, Outlook, Plan, Scope, Target, Versioned, WatchedRoot, Workload,
};
use nimbus_protocol::action::Body;
use nimbus_protocol::v1;

pub const CLUSTER: &str = "5c0f2b7e-0000-4000-8000-000000000001";
pub const PATH: &str = "/etc/app/app.conf";

/// `prefix_…` with a number at its end.
pub fn id<T: std::str::FromStr>(prefix: &str, number: u32) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("{prefix}_{number:032x}").parse().unwrap()
}

pub fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
}

pub fn site() -> ChangeSet {
    let (rollback, restore) = (rollback(), restore());
    let incidents = vec![
        Versioned::new(waiting(rollout(1), &rollback, 1)),
        Versioned::new(waiting(file(2, PATH), &restore, 2)),
    ];
    ChangeSet {
        agents: vec![Versioned::new(agent(1, "prod-agent", true)), Versioned::new(agent(2, "edge", false))],
        clusters: vec![Versioned::new(cluster())],
        incidents,
        approvals: vec![Versioned::new(approval(1, &rollback)), Versioned::new(approval(2, &restore))],
        plans: vec![Versioned::new(rollback), Versioned::new(restore)],
        jobs: vec![Versioned::new(job(1))],
        tokens: vec![Versioned::new(token(1, "standby"))],
        ..ChangeSet::default()
    }
}

pub fn cluster() -> Cluster {
    Cluster {
        uid: CLUSTER.into(),
        name: "prod".into(),
        created_at: at(0),
        mode: Mode::Observe,
        enabled: Vec::new(),
        identity: None,
    }
}

pub fn agent(number: u32, name: &str, cluster: bool) -> Agent {
    let kind = if cluster { AgentKind::Cluster } else { AgentKind::Host };
    Agent {
        name: name.into(),
        hostname: format!("{name}.example"),
        version: "0.1.0".into(),
        cluster_uid: cluster.then(|| CLUSTER.to_owned()),
        bound_cluster: cluster.then(|| CLUSTER.to_owned()),
        leading: cluster,
        lease_term: 3,
        allowed_actions: vec!["restart_pod".into()],
        roots: vec![WatchedRoot {
            path: "/etc/app".into(),
            problem: String::new(),
            files: 4,
            baseline_since: None,
        }],
        ..Agent::new(id("agt", number), kind, at(i64::from(number)))
    }
}

/// A join token for two agents of the cluster, of which one has come.
pub fn token(number: u32, name: &str) -> JoinTokenRecord {
    JoinTokenRecord {
        id: id("tok", number),
        name: name.into(),
        kind: AgentKind::Cluster,
        cluster: Some(CLUSTER.into()),
        first_cluster: None,
        secret_sha256: "cd".repeat(32),
        created_at: at(i64::from(number)),
        created_by: "operator".into(),
        expires_at: nimbus_platform::now() + SignedDuration::from_hours(1),
        uses: 2,
        used: 1,
        used_at: None,
        used_by: Some(id("agt", 1)),
        revoked_at: None,
    }
}

pub fn prod() -> Scope {
    Scope::Cluster(CLUSTER.into())
}

fn edge() -> Scope {
    Scope::Host(id("agt", 2))
}

pub fn web() -> KubeRef {
    KubeRef::new("apps/v1", "Deployment", "shop", "web", "uid-web")
}

fn incident(number: u32, kind: IncidentKind, scope: Scope, object: ObjectRef) -> Incident {
    Incident {
        title: format!("{kind} of {object}"),
        reason: "because".into(),
        evidence: vec!["seen".into()],
        history: vec![HistoryEntry { at: at(i64::from(number)), text: "found".into() }],
        ..Incident::found(
            id("inc", number),
            format!("{kind}/{number}"),
            kind,
            scope,
            object,
            at(i64::from(number)),
        )
    }
}

pub fn rollout(number: u32) -> Incident {
    let object = ObjectRef::Kubernetes(web());
    let incident = incident(number, IncidentKind::RolloutStuck, prod(), object);
    Incident { cluster: "prod".into(), workload: Some(Workload::of(web())), ..incident }
}

pub fn file(number: u32, path: &str) -> Incident {
    let object = ObjectRef::File { path: path.into() };
    let incident = incident(number, IncidentKind::FileDrift, edge(), object);
    Incident { cluster: "edge".into(), key: format!("file/{path}"), ..incident }
}

fn waiting(incident: Incident, plan: &Plan, approval: u32) -> Incident {
    Incident {
        state: IncidentState::WaitingApproval,
        plan_id: Some(plan.id),
        approval_id: Some(id("apr", approval)),
        ..incident
    }
}

fn plan(number: u32, scope: Scope, action: Body, object: ObjectRef) -> Plan {
    let mut plan = Plan {
        id: id("pln", number),
        incident_id: id("inc", number),
        created_at: at(i64::from(number)),
        requested_by: "nimbus".into(),
        scope,
        action: action.into(),
        object,
        workload: None,
        needs_approval: true,
        rule: None,
        summary: "put it back".into(),
        changes: vec!["- new".into(), "+ old".into()],
        rationale: "the old one worked".into(),
        outlook: Some(Outlook::not_undone("no copy is kept", "it stays as it is")),
        considered: vec![Alternative::new("wait", false, "it never ends")],
        evidence: vec!["seen".into()],
        digest: String::new(),
    };
    plan.digest = plan.computed_digest();
    plan
}

fn rollback() -> Plan {
    let target =
        |name: &str| Some(Target { namespace: "shop".into(), name: name.into(), uid: format!("uid-{name}") });
    let action = Body::RollbackDeployment(v1::RollbackDeployment {
        deployment: target("web"),
        generation: 7,
        current_template_hash: vec![0xbb; 32],
        to_replica_set: target("web-1"),
        to_revision: 1,
        to_template_hash: vec![0xaa; 32],
    });
    plan(1, prod(), action, ObjectRef::Kubernetes(web()))
}

fn facts(mode: u32, byte: u8) -> FileFacts {
    FileFacts { kind: "file".into(), mode, sha256: vec![byte; 32], ..FileFacts::default() }
}

fn restore() -> Plan {
    let action = Body::RestoreFile(v1::RestoreFile {
        root: "/etc/app".into(),
        path: PATH.into(),
        expect_current: Some(facts(0o600, 0xbb)),
        restore_to: Some(facts(0o644, 0xaa)),
    });
    plan(2, edge(), action, ObjectRef::File { path: PATH.into() })
}

/// The present state of the drifted file, accepted, and the job with which its agent did so.
pub fn accepted(number: u32) -> (Plan, Job) {
    let action = Body::AcceptBaseline(v1::AcceptBaseline {
        root: "/etc/app".into(),
        path: PATH.into(),
        expect_current: Some(facts(0o600, 0xbb)),
    });
    let file = ObjectRef::File { path: PATH.into() };
    let plan = Plan { requested_by: "operator".into(), ..plan(number, edge(), action, file.clone()) };
    let job = Job {
        incident_id: plan.incident_id,
        plan_id: plan.id,
        agent_id: id("agt", 2),
        scope: edge(),
        cluster: "edge".into(),
        action: ActionKind::AcceptBaseline,
        object: file,
        workload: None,
        ..job(number)
    };
    (plan, job)
}

fn approval(number: u32, plan: &Plan) -> Approval {
    let now = nimbus_platform::now();
    Approval {
        id: id("apr", number),
        plan_id: plan.id,
        incident_id: plan.incident_id,
        plan_digest: plan.digest.clone(),
        state: ApprovalState::Pending,
        cluster: if number == 1 { "prod" } else { "edge" }.into(),
        requested_by: "nimbus".into(),
        created_at: now,
        expires_at: now + SignedDuration::from_hours(24),
        decided_by: None,
        decided_at: None,
        reason: String::new(),
        used_by: None,
        needs: Vec::new(),
        given: Vec::new(),
        broken_glass: None,
    }
}

pub fn job(number: u32) -> Job {
    Job {
        id: id("job", number),
        incident_id: id("inc", 90 + number),
        plan_id: id("pln", 90 + number),
        plan_digest: "ab".repeat(32),
        approval_id: None,
        agent_id: id("agt", 1),
        scope: prod(),
        cluster: "prod".into(),
        action: ActionKind::RestartPod,
        object: ObjectRef::Kubernetes(KubeRef::new("v1", "Pod", "shop", "web-1-x", "uid-web-1-x")),
        workload: Some(Workload::of(web())),
        state: JobState::Succeeded,
        reason: "ready for 30 s".into(),
        evidence: vec!["pod web-1-y is ready".into()],
        created_at: at(10),
        expires_at: at(11),
        dispatched_at: Some(at(10)),
        applied_at: Some(at(10)),
        finished_at: Some(at(12)),
        attempts_reset_at: None,
        again: 0,
        raised: None,
        scales_in: None,
        verify_ms: 30_000,
        verify_timeout_ms: 180_000,
        envelope: "c2lnbmVk".into(),
        replacement_uid: Some("uid-web-1-y".into()),
    }
}
