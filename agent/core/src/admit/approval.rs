//! Is the job the plan that was approved, and approved by somebody who may?

use nimbus_protocol::action::Body;
use nimbus_protocol::digest::{PlanFacts, plan_digest};
use nimbus_protocol::ids::{AgentId, IncidentId};
use nimbus_protocol::{Scope, v1};

use super::short;
use crate::action::{self, Place, Requester};
use crate::refusal::{Code, Refusal};

/// The control plane itself, as `requested_by` names it.
pub const NIMBUS: &str = "nimbus";

/// Is the job what its plan's digest is over? The agent computes the digest itself, so that a job which differs from
/// the plan that was approved is refused although its signature holds.
pub(super) fn is_the_plan(job: &v1::Job, action: &Body, agent_id: AgentId) -> Result<(), Refusal> {
    let Ok(incident) = job.incident_id.parse::<IncidentId>() else {
        let reason = "incident_id: expected an incident's id, found something else";
        return Err(Refusal::new(Code::Malformed, reason));
    };
    let scope = match action::rules(action).place() {
        Place::Cluster => Scope::Cluster(job.cluster_uid.clone()),
        Place::Host => Scope::Host(agent_id),
    };
    let facts = PlanFacts {
        incident,
        scope: &scope,
        requested_by: &job.requested_by,
        needs_approval: job.needs_approval,
        action: &job.action,
    };
    if plan_digest(&facts)[..] == job.plan_digest[..] {
        return Ok(());
    }
    Err(Refusal::new(
        Code::PlanMismatch,
        "expected a job that says what its plan's digest is over, found a job that differs from that plan",
    ))
}

/// Every approval must be of this very plan and by somebody else than who asked for it. Whether there is one by a person where one
/// is needed, which the approval's id shows, is the policy's question: its `auto` says what a rule may do without.
pub(super) fn is_approved(job: &v1::Job, action: &Body) -> Result<(), Refusal> {
    let rules = action::rules(action);
    if rules.requester() == Requester::Person && job.requested_by == NIMBUS {
        return forbid(format!(
            "expected {} on a person's request, found one that the control plane wants by itself",
            action.kind()
        ));
    }
    for approval in &job.approvals {
        let by = short(&approval.by);
        if approval.by.is_empty() || approval.plan_digest != job.plan_digest {
            return forbid(format!("expected approvals of this plan, found one by {by:?} of another"));
        }
        if approval.by == job.requested_by {
            return forbid(format!(
                "expected an approval by somebody else than {by:?}, who asked for the plan"
            ));
        }
    }
    Ok(())
}

fn forbid(reason: String) -> Result<(), Refusal> {
    Err(Refusal::new(Code::PolicyForbids, reason))
}
