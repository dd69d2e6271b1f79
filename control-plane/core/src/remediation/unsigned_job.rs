//! Builds the job that is signed and sent to an agent, from its plan and approval.

use jiff::Timestamp;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{to_hex, to_micros, v1};

use crate::audit::from_hex;
use crate::model::{Agent, Approval, IncidentKind, Job, JobState, Plan, RaisedLimit};
use crate::remedies::{self, NIMBUS};
use crate::settings::{Settings, earlier, later, millis};

/// Most evidence lines that a job carries.
const MAX_EVIDENCE: usize = 20;
/// Longest evidence line, characters.
const MAX_EVIDENCE_LINE: usize = 500;

/// What a job is written from.
pub(super) struct Issue<'a> {
    /// What is to be done.
    pub(super) plan: &'a Plan,
    /// What kind of incident it is for.
    pub(super) incident: IncidentKind,
    /// On whose word, where one is needed.
    pub(super) approval: Option<&'a Approval>,
    /// Who does it.
    pub(super) agent: &'a Agent,
    /// Name of the cluster or host.
    pub(super) cluster: &'a str,
    /// Which start of the control plane signs it.
    pub(super) epoch: u64,
    /// How often the plan was refused before.
    pub(super) again: u32,
    /// When it has to be begun at the latest, as a window ends or a blackout begins then: the agent, which knows neither, refuses it
    /// afterwards as expired.
    pub(super) before: Option<Timestamp>,
}

/// A job without its signature: the document, and what is to be signed. `None` for an action that this build does not
/// know: nobody may act on that.
pub(super) fn write(
    id: JobId,
    issue: &Issue<'_>,
    settings: &Settings,
    now: Timestamp,
) -> Option<(Job, v1::Job)> {
    let Issue { plan, incident, approval, agent, cluster, epoch, again, before } = *issue;
    let action = plan.action.kind()?;
    let expires_at = later(now, millis(settings.job_ttl_ms));
    let expires_at = before.map_or(expires_at, |before| expires_at.min(before));
    let remedy = remedies::of(action);
    let (verify_ms, verify_timeout_ms) = (remedy.verify_ms(settings), remedy.verify_timeout_ms(settings));
    let job = Job {
        id,
        incident_id: plan.incident_id,
        plan_id: plan.id,
        plan_digest: plan.digest.clone(),
        approval_id: approval.map(|a| a.id),
        agent_id: agent.id,
        scope: plan.scope.clone(),
        cluster: cluster.to_owned(),
        action,
        object: plan.object.clone(),
        workload: plan.workload.clone(),
        state: JobState::Pending,
        reason: String::new(),
        evidence: Vec::new(),
        created_at: now,
        expires_at,
        dispatched_at: None,
        applied_at: None,
        finished_at: None,
        verify_ms,
        verify_timeout_ms,
        envelope: String::new(),
        replacement_uid: None,
        attempts_reset_at: None,
        again,
        raised: raised(plan),
        scales_in: scales_in(plan),
    };
    let line = |text: &String| text.chars().take(MAX_EVIDENCE_LINE).collect();
    let signed = v1::Job {
        job_id: id.to_string(),
        agent_id: agent.id.to_string(),
        cluster_uid: plan.scope.cluster_uid().unwrap_or_default().to_owned(),
        // The agent's clock may be behind: a job is valid from a little before it was signed.
        not_before_us: to_micros(earlier(now, millis(settings.clock_skew_ms))),
        expires_at_us: to_micros(expires_at),
        epoch,
        incident_id: plan.incident_id.to_string(),
        plan_digest: bytes(&plan.digest),
        approvals: consents(plan, incident, approval, now),
        evidence: plan.evidence.iter().take(MAX_EVIDENCE).map(line).collect(),
        limits: Some(v1::Limits { act_ms: settings.act_ms, verify_ms, verify_timeout_ms }),
        requested_by: plan.requested_by.clone(),
        needs_approval: plan.needs_approval,
        action: plan.action.message().to_vec(),
    };
    Some((job, signed))
}

fn scales_in(plan: &Plan) -> Option<bool> {
    match plan.action.body()? {
        Body::ScaleWorkload(action) => Some(action.to_replicas < action.from_replicas),
        Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RestoreFile(_)
        | Body::AcceptBaseline(_)
        | Body::UncordonNode(_)
        | Body::WithdrawBaseline(_)
        | Body::RaiseMemoryLimit(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::RenewCertificate(_) => None,
    }
}

fn raised(plan: &Plan) -> Option<RaisedLimit> {
    match plan.action.body()? {
        Body::RaiseMemoryLimit(action) => Some(RaisedLimit {
            container: action.container.clone(),
            to_bytes: action.to_bytes,
            template_hash: to_hex(&action.current_template_hash),
        }),
        Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RestoreFile(_)
        | Body::AcceptBaseline(_)
        | Body::UncordonNode(_)
        | Body::WithdrawBaseline(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::ScaleWorkload(_)
        | Body::RenewCertificate(_) => None,
    }
}

/// Who approved it: a person or several, the rule that somebody set, or the built-in one for this kind of incident. A person's own
/// command has no approval unless the plan needs one: agents refuse one by whoever asked.
fn consents(
    plan: &Plan,
    incident: IncidentKind,
    approval: Option<&Approval>,
    now: Timestamp,
) -> Vec<v1::Approval> {
    let by = |by: &str, at: Timestamp, id: String| v1::Approval {
        by: by.to_owned(),
        at_us: to_micros(at),
        plan_digest: bytes(&plan.digest),
        approval_id: id,
    };
    let broken =
        approval.and_then(|approval| Some((approval.broken_glass.as_ref()?, approval.id.to_string())));
    let broken = broken.map(|(broken, id)| by(&broken.by, broken.at, id));
    match approval {
        Some(approval) if approval.given.is_empty() => {
            let who =
                approval.decided_by.clone().filter(|who| broken.as_ref().is_none_or(|it| it.by != *who));
            let at = approval.decided_at.unwrap_or(approval.created_at);
            who.map(|who| by(&who, at, approval.id.to_string())).into_iter().chain(broken).collect()
        }
        // The agent looks at each by itself: none of them may be who asked for the plan.
        Some(approval) => {
            let given =
                approval.given.iter().filter(|word| broken.as_ref().is_none_or(|it| it.by != word.by));
            given.map(|word| by(&word.by, word.at, approval.id.to_string())).chain(broken.clone()).collect()
        }
        None if plan.requested_by != NIMBUS => Vec::new(),
        None => {
            let own = plan.rule.as_ref().filter(|rule| rule.version > 0);
            let who = own.map_or_else(|| format!("policy:{incident}"), |rule| format!("rule:{rule}"));
            vec![by(&who, now, String::new())]
        }
    }
}

/// Digests in documents are hex that this crate wrote; anything else travels as no digest, which no agent accepts.
fn bytes(hex: &str) -> Vec<u8> {
    from_hex(hex).unwrap_or_default()
}
