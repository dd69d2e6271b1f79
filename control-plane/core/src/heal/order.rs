//! The job as it travels: what is signed, from the plan and its approval.

use jiff::Timestamp;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{to_micros, v1};

use crate::audit::from_hex;
use crate::model::{Action, Agent, Approval, FileFacts, Job, JobState, Plan, Target};
use crate::plan::planner::NIMBUS;
use crate::rules;
use crate::settings::{Settings, earlier, later, millis};

/// Most evidence lines that a job carries.
const MAX_EVIDENCE: usize = 20;
/// Longest evidence line, characters.
const MAX_EVIDENCE_LINE: usize = 500;

/// What a job is written from.
pub(super) struct Issue<'a> {
    /// What is to be done.
    pub(super) plan: &'a Plan,
    /// On whose word, where one is needed.
    pub(super) approval: Option<&'a Approval>,
    /// Who does it.
    pub(super) agent: &'a Agent,
    /// Name of the cluster or host.
    pub(super) cluster: &'a str,
    /// Which start of the control plane signs it.
    pub(super) epoch: u64,
}

/// A job without its signature: the document, and what is to be signed.
pub(super) fn write(id: &JobId, issue: &Issue<'_>, settings: &Settings, now: Timestamp) -> (Job, v1::Job) {
    let Issue { plan, approval, agent, cluster, epoch } = *issue;
    let expires_at = later(now, millis(settings.job_ttl_ms));
    let verify_ms = settings.verify_for(plan.action.kind());
    let job = Job {
        id: id.clone(),
        incident_id: plan.incident_id.clone(),
        plan_id: plan.id.clone(),
        plan_digest: plan.digest.clone(),
        approval_id: approval.map(|a| a.id.clone()),
        agent_id: agent.id.clone(),
        cluster_uid: plan.cluster_uid.clone(),
        cluster: cluster.to_owned(),
        action: plan.action.kind(),
        object: plan.object.clone(),
        owner: plan.owner.clone(),
        state: JobState::Pending,
        reason: String::new(),
        evidence: Vec::new(),
        created_at: now,
        expires_at,
        dispatched_at: None,
        applied_at: None,
        finished_at: None,
        verify_ms,
        verify_timeout_ms: settings.verify_timeout_ms,
        envelope: String::new(),
        replacement_uid: None,
        settled_at: None,
    };
    let line = |text: &String| text.chars().take(MAX_EVIDENCE_LINE).collect();
    let signed = v1::Job {
        job_id: id.to_string(),
        agent_id: agent.id.to_string(),
        cluster_uid: plan.cluster_uid.clone().unwrap_or_default(),
        // The agent's clock may be behind: a job is valid from a little before it was signed.
        not_before_us: to_micros(earlier(now, millis(settings.clock_skew_ms))),
        expires_at_us: to_micros(expires_at),
        epoch,
        incident_id: plan.incident_id.to_string(),
        plan_digest: bytes(&plan.digest),
        approvals: vec![consent(plan, approval, now)],
        evidence: plan.evidence.iter().take(MAX_EVIDENCE).map(line).collect(),
        limits: Some(v1::Limits {
            act_ms: settings.act_ms,
            verify_ms,
            verify_timeout_ms: settings.verify_timeout_ms,
        }),
        action: Some(action(&plan.action)),
    };
    (job, signed)
}

/// Who stands behind it: a person's approval, the person who asked, or the rule.
fn consent(plan: &Plan, approval: Option<&Approval>, now: Timestamp) -> v1::Approval {
    let (by, at, id) = match approval {
        Some(approval) => (
            approval.decided_by.clone().unwrap_or_default(),
            approval.decided_at.unwrap_or(approval.created_at),
            approval.id.to_string(),
        ),
        None if plan.requested_by != NIMBUS => (plan.requested_by.clone(), plan.created_at, String::new()),
        None => {
            let rule = rules::RULES.iter().find(|rule| rule.action == Some(plan.action.kind()));
            let name = rule.map_or(plan.action.kind().as_str(), |rule| rule.incident.as_str());
            (format!("policy:{name}"), now, String::new())
        }
    };
    v1::Approval { by, at_us: to_micros(at), plan_digest: bytes(&plan.digest), approval_id: id }
}

fn action(action: &Action) -> v1::job::Action {
    match action {
        Action::RestartPod { pod, owner, node, avoid_node, container, min_restarts } => {
            v1::job::Action::RestartPod(v1::RestartPod {
                pod: Some(target(pod)),
                owner: Some(target(owner)),
                node: node.clone(),
                avoid_node: *avoid_node,
                container: container.clone(),
                min_restarts: *min_restarts,
            })
        }
        Action::RollbackDeployment {
            deployment,
            generation,
            current_template_hash,
            to_replica_set,
            to_revision,
            to_template_hash,
        } => v1::job::Action::RollbackDeployment(v1::RollbackDeployment {
            deployment: Some(target(deployment)),
            generation: *generation,
            current_template_hash: bytes(current_template_hash),
            to_replica_set: Some(target(to_replica_set)),
            to_revision: *to_revision,
            to_template_hash: bytes(to_template_hash),
        }),
        Action::RestoreFile { root, path, expect_current, restore_to } => {
            v1::job::Action::RestoreFile(v1::RestoreFile {
                root: root.clone(),
                path: path.clone(),
                expect_current: Some(facts(expect_current)),
                restore_to: Some(facts(restore_to)),
            })
        }
        Action::AcceptBaseline { root, path, expect_current } => {
            v1::job::Action::AcceptBaseline(v1::AcceptBaseline {
                root: root.clone(),
                path: path.clone(),
                expect_current: Some(facts(expect_current)),
            })
        }
    }
}

fn target(target: &Target) -> v1::Target {
    v1::Target { namespace: target.namespace.clone(), name: target.name.clone(), uid: target.uid.clone() }
}

fn facts(facts: &FileFacts) -> v1::FileFacts {
    v1::FileFacts {
        kind: facts.kind.clone(),
        mode: facts.mode,
        uid: facts.uid,
        gid: facts.gid,
        sha256: bytes(&facts.sha256),
    }
}

/// Hashes in documents are hex that this crate wrote; anything else travels as no hash, which no agent accepts.
fn bytes(hex: &str) -> Vec<u8> {
    from_hex(hex).unwrap_or_default()
}
