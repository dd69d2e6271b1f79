//! Documents as the API shows them. Nothing is decided here: each function copies one document into its shape in
//! `nimbus-api`, and says so where something is not known.

mod agent;
mod cluster;
mod drift;
mod fleet;
mod node;
mod node_detail;
mod token;

pub use agent::{agent, agent_detail, agents_of};
pub use cluster::{autonomous, cluster};
pub use drift::{attributes_differ, baseline, drift, now as file_now};
pub use fleet::{Fleet, number};
pub use node::nodes;
pub use node_detail::{node_detail, nodes_of};
pub use token::token;

use nimbus_api as api;
use nimbus_control_core::remedies::Consent;
use nimbus_control_core::{model, quorum, rules};

/// What something is about.
pub fn object(object: &model::ObjectRef) -> api::ObjectRef {
    api::ObjectRef {
        kind: object.kind().to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
        uid: object.uid().to_owned(),
    }
}

/// The workload that something belongs to.
fn owner(workload: Option<&model::Workload>) -> Option<api::ObjectRef> {
    workload.map(|workload| {
        let model::KubeRef { kind, namespace, name, uid, .. } = workload.object().clone();
        api::ObjectRef { kind, namespace, name, uid }
    })
}

/// The UID of the cluster that something is in.
fn cluster_uid(scope: &model::Scope) -> Option<String> {
    scope.cluster_uid().map(ToOwned::to_owned)
}

/// The id of the agent on whose host something is.
fn host_agent(scope: &model::Scope) -> Option<String> {
    scope.host().map(|agent| agent.to_string())
}

/// An incident.
pub fn incident(incident: &model::Incident) -> api::Incident {
    api::Incident {
        id: incident.id.to_string(),
        created_at: incident.created_at,
        updated_at: incident.updated_at,
        resolved_at: incident.resolved_at,
        cluster: incident.cluster.clone(),
        cluster_uid: cluster_uid(&incident.scope),
        agent_id: host_agent(&incident.scope),
        kind: incident.kind.to_string(),
        severity: incident.severity.to_string(),
        state: incident.state.to_string(),
        object: object(&incident.object),
        owner: owner(incident.workload.as_ref()),
        title: incident.title.clone(),
        reason: incident.reason.clone(),
        attempts: incident.attempts,
        next_attempt_at: incident.next_attempt_at,
        silenced_until: incident.silenced_until,
        plan_id: incident.plan_id.as_ref().map(ToString::to_string),
        approval_id: incident.approval_id.as_ref().map(ToString::to_string),
        job_id: incident.job_id.as_ref().map(ToString::to_string),
    }
}

/// An incident's story.
pub fn history(incident: &model::Incident) -> Vec<api::HistoryEntry> {
    incident
        .history
        .iter()
        .map(|entry| api::HistoryEntry { at: entry.at, text: entry.text.clone() })
        .collect()
}

/// A plan.
pub fn plan(plan: &model::Plan) -> api::Plan {
    let considered = |alternative: &model::Alternative| api::Considered {
        what: alternative.what.clone(),
        chosen: alternative.chosen,
        why: alternative.why.clone(),
    };
    api::Plan {
        id: plan.id.to_string(),
        created_at: plan.created_at,
        incident_id: plan.incident_id.to_string(),
        cluster_uid: cluster_uid(&plan.scope),
        agent_id: host_agent(&plan.scope),
        kind: plan.action.word().to_owned(),
        object: object(&plan.object),
        owner: owner(plan.workload.as_ref()),
        requested_by: plan.requested_by.clone(),
        needs_approval: plan.needs_approval,
        summary: plan.summary.clone(),
        changes: plan.changes.clone(),
        rationale: plan.rationale.clone(),
        outlook: plan.outlook.as_ref().map(|outlook| api::Outlook {
            if_it_fails: outlook.if_it_fails.clone(),
            undo: outlook.undo.to_string(),
            undo_how: outlook.undo_how.clone(),
        }),
        considered: plan.considered.iter().map(considered).collect(),
        evidence: plan.evidence.clone(),
        action: action(&plan.action),
        digest: plan.digest.clone(),
    }
}

/// The fields of an action, with its word; the word alone for one that this build does not know.
fn action(action: &model::PlannedAction) -> serde_json::Value {
    let mut json = action.body().map_or_else(|| serde_json::json!({}), nimbus_protocol::action::to_json);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("action".to_owned(), action.word().into());
    }
    json
}

/// An approval, with what it shows of its plan and incident.
pub fn approval(approval: &model::Approval, plan: &model::Plan, incident: &model::Incident) -> api::Approval {
    api::Approval {
        id: approval.id.to_string(),
        created_at: approval.created_at,
        expires_at: approval.expires_at,
        cluster: approval.cluster.clone(),
        kind: plan.action.word().to_owned(),
        severity: incident.severity.to_string(),
        state: approval.state.to_string(),
        object: object(&plan.object),
        reason: approval.reason.clone(),
        summary: plan.summary.clone(),
        incident_id: approval.incident_id.to_string(),
        plan_id: approval.plan_id.to_string(),
        plan_digest: approval.plan_digest.clone(),
        requested_by: approval.requested_by.clone(),
        needs: approval.needs.clone(),
        given: approval.given.iter().map(word).collect(),
        still_needed: still_needed(approval),
        broken_glass: approval.broken_glass.as_ref().map(broken_glass),
        decided_by: approval.decided_by.clone(),
        decided_at: approval.decided_at,
        used_by: approval.used_by.as_ref().map(ToString::to_string),
    }
}

fn word(word: &model::Word) -> api::ApprovalWord {
    let model::Word { by, groups, at, reason } = word.clone();
    api::ApprovalWord { by, groups, at, reason }
}

/// Whose word a pending approval waits for; nobody's that was decided.
fn still_needed(approval: &model::Approval) -> String {
    match approval.state {
        model::ApprovalState::Pending => quorum::words(&quorum::missing(&approval.needs, &approval.given)),
        model::ApprovalState::Approved | model::ApprovalState::Denied | model::ApprovalState::Expired => {
            String::new()
        }
    }
}

fn broken_glass(broken: &model::BrokenGlass) -> api::BrokenGlass {
    let model::BrokenGlass { by, at, reason, past, review } = broken.clone();
    let review = review.map(|model::Review { by, at, note }| api::GlassReview { by, at, note });
    let past = past.into_iter().map(|it| it.what).collect();
    api::BrokenGlass { by, at, reason, past, review }
}

/// A job.
pub fn job(job: &model::Job) -> api::Job {
    api::Job {
        id: job.id.to_string(),
        created_at: job.created_at,
        cluster: job.cluster.clone(),
        cluster_uid: cluster_uid(&job.scope),
        kind: job.action.to_string(),
        state: job.state.to_string(),
        object: object(&job.object),
        owner: owner(job.workload.as_ref()),
        reason: job.reason.clone(),
        evidence: job.evidence.clone(),
        agent_id: job.agent_id.to_string(),
        incident_id: job.incident_id.to_string(),
        plan_id: job.plan_id.to_string(),
        plan_digest: job.plan_digest.clone(),
        approval_id: job.approval_id.as_ref().map(ToString::to_string),
        expires_at: job.expires_at,
        dispatched_at: job.dispatched_at,
        applied_at: job.applied_at,
        finished_at: job.finished_at,
        verify_ms: job.verify_ms,
        verify_timeout_ms: job.verify_timeout_ms,
        replacement_uid: job.replacement_uid.clone(),
    }
}

/// A remedy that was tried.
pub fn tried(job: &model::Job) -> api::HistoryItem {
    let duration = job.finished_at.map(|end| end.as_millisecond() - job.created_at.as_millisecond());
    api::HistoryItem {
        id: job.id.to_string(),
        created_at: job.created_at,
        cluster: job.cluster.clone(),
        kind: job.action.to_string(),
        state: job.state.to_string(),
        object: object(&job.object),
        reason: job.reason.clone(),
        incident_id: job.incident_id.to_string(),
        automatic: job.approval_id.is_none() && rules::consent(job.action) != Consent::Command,
        approval_id: job.approval_id.as_ref().map(ToString::to_string),
        applied_at: job.applied_at,
        finished_at: job.finished_at,
        duration_ms: duration,
    }
}

/// An audit row.
pub fn audit_row(row: &model::AuditRow) -> api::AuditRow {
    api::AuditRow {
        id: row.seq.to_string(),
        created_at: row.draft.at,
        seq: row.seq,
        actor: row.draft.actor.clone(),
        action: row.draft.action.clone(),
        subject: row.draft.subject.clone(),
        cluster: row.draft.cluster.clone(),
        detail: row.draft.detail.clone(),
        prev: row.prev.clone(),
        hash: row.hash.clone(),
    }
}
