//! A small site: one cluster, two agents, a stuck rollout and a drifted file that wait for approval.

use jiff::{SignedDuration, Timestamp};
use nimbus_control_core::model::{
    Action, ActionKind, Agent, AgentKind, Approval, ApprovalState, ChangeSet, Cluster, FileFacts,
    HistoryEntry, Incident, IncidentKind, IncidentState, Job, JobState, Mode, ObjectRef, Option_, Plan,
    Severity, Target, Versioned,
};
use nimbus_control_core::plan::digest;

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
    }
}

pub fn agent(number: u32, name: &str, cluster: bool) -> Agent {
    Agent {
        id: id("agt", number),
        name: name.into(),
        kind: if cluster { AgentKind::Cluster } else { AgentKind::Vpc },
        created_at: at(i64::from(number)),
        key_sha256: String::new(),
        revoked_at: None,
        hostname: format!("{name}.example"),
        version: "0.1.0".into(),
        cluster_uid: cluster.then(|| CLUSTER.to_owned()),
        claim: None,
        leading: cluster,
        lease_term: 3,
        allowed_actions: vec!["restart_pod".into()],
        roots: vec![("/etc/app".into(), String::new(), 4)],
        problems: Vec::new(),
        dropped: 0,
    }
}

pub fn incident(number: u32, kind: IncidentKind, object: ObjectRef) -> Incident {
    Incident {
        id: id("inc", number),
        key: format!("{kind}/{number}"),
        kind,
        severity: Severity::Warning,
        state: IncidentState::Open,
        cluster_uid: None,
        cluster: String::new(),
        agent_id: None,
        title: format!("{kind} of {object}"),
        object,
        owner: None,
        reason: "because".into(),
        evidence: vec!["seen".into()],
        symptoms: Vec::new(),
        created_at: at(i64::from(number)),
        updated_at: at(i64::from(number)),
        resolved_at: None,
        plan_id: None,
        approval_id: None,
        job_id: None,
        attempts: 0,
        next_attempt_at: None,
        silenced_until: None,
        denied_digest: None,
        history: vec![HistoryEntry { at: at(i64::from(number)), text: "found".into() }],
    }
}

pub fn object(kind: &str, namespace: &str, name: &str) -> ObjectRef {
    let uid = if kind == "File" { String::new() } else { format!("uid-{name}") };
    ObjectRef { kind: kind.into(), namespace: namespace.into(), name: name.into(), uid }
}

pub fn rollout(number: u32) -> Incident {
    let incident = incident(number, IncidentKind::RolloutStuck, object("Deployment", "shop", "web"));
    Incident { cluster_uid: Some(CLUSTER.into()), cluster: "prod".into(), ..incident }
}

pub fn file(number: u32, path: &str) -> Incident {
    let incident = incident(number, IncidentKind::FileDrift, object("File", "", path));
    Incident { agent_id: Some(id("agt", 2)), cluster: "edge".into(), key: format!("file/{path}"), ..incident }
}

fn waiting(incident: Incident, plan: &Plan, approval: u32) -> Incident {
    Incident {
        state: IncidentState::WaitingApproval,
        plan_id: Some(plan.id.clone()),
        approval_id: Some(id("apr", approval)),
        ..incident
    }
}

fn plan(number: u32, action: Action, object: ObjectRef) -> Plan {
    let mut plan = Plan {
        id: id("pln", number),
        incident_id: id("inc", number),
        created_at: at(i64::from(number)),
        requested_by: "nimbus".into(),
        cluster_uid: None,
        agent_id: None,
        action,
        object,
        owner: None,
        needs_approval: true,
        summary: "put it back".into(),
        changes: vec!["- new".into(), "+ old".into()],
        rationale: "the old one worked".into(),
        considered: vec![Option_ { what: "wait".into(), chosen: false, why: "it never ends".into() }],
        evidence: vec!["seen".into()],
        digest: String::new(),
    };
    plan.digest = digest(&plan);
    plan
}

fn rollback() -> Plan {
    let target =
        |name: &str| Target { namespace: "shop".into(), name: name.into(), uid: format!("uid-{name}") };
    let action = Action::RollbackDeployment {
        deployment: target("web"),
        generation: 7,
        current_template_hash: "bb".repeat(32),
        to_replica_set: target("web-1"),
        to_revision: 1,
        to_template_hash: "aa".repeat(32),
    };
    let mut plan = plan(1, action, object("Deployment", "shop", "web"));
    plan.cluster_uid = Some(CLUSTER.into());
    plan.digest = digest(&plan);
    plan
}

fn facts(mode: u32, sha256: &str) -> FileFacts {
    FileFacts { kind: "file".into(), mode, uid: 0, gid: 0, sha256: sha256.repeat(32) }
}

fn restore() -> Plan {
    let action = Action::RestoreFile {
        root: "/etc/app".into(),
        path: PATH.into(),
        expect_current: facts(0o600, "bb"),
        restore_to: facts(0o644, "aa"),
    };
    let mut plan = plan(2, action, object("File", "", PATH));
    plan.agent_id = Some(id("agt", 2));
    plan.digest = digest(&plan);
    plan
}

fn approval(number: u32, plan: &Plan) -> Approval {
    let now = crate::clock::now();
    Approval {
        id: id("apr", number),
        plan_id: plan.id.clone(),
        incident_id: plan.incident_id.clone(),
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
        cluster_uid: Some(CLUSTER.into()),
        cluster: "prod".into(),
        action: ActionKind::RestartPod,
        object: object("Pod", "shop", "web-1-x"),
        owner: Some(object("Deployment", "shop", "web")),
        state: JobState::Succeeded,
        reason: "ready for 30 s".into(),
        evidence: vec!["pod web-1-y is ready".into()],
        created_at: at(10),
        expires_at: at(11),
        dispatched_at: Some(at(10)),
        applied_at: Some(at(10)),
        finished_at: Some(at(12)),
        settled_at: None,
        verify_ms: 30_000,
        verify_timeout_ms: 180_000,
        envelope: "c2lnbmVk".into(),
        replacement_uid: Some("uid-web-1-y".into()),
    }
}
