//! A plan's digest, which an approval is bound to and a job carries.
//!
//! It covers everything that decides what will happen, where, and on whose word, and nothing else: an identical new plan
//! keeps its approval, and any difference needs another one. Both sides compute it: the control plane when it plans and
//! again in its independent checker, the agent before it acts on a job.

use sha2::{Digest as _, Sha256};

use crate::ids::IncidentId;
use crate::scope::Scope;

/// Told apart from every other use of SHA-256 here; changes when what is covered changes.
const DOMAIN: &[u8] = b"nimbus-plan-2";

/// What a plan's digest covers.
#[derive(Debug, Clone, Copy)]
pub struct PlanFacts<'a> {
    /// The incident that the plan is for.
    pub incident: IncidentId,
    /// Where it acts.
    pub scope: &'a Scope,
    /// Who wants it.
    pub requested_by: &'a str,
    /// Does a person have to approve it?
    pub needs_approval: bool,
    /// The encoded action, see [`crate::action::encode`].
    pub action: &'a [u8],
}

/// SHA-256 over the domain tag and every field behind its length.
pub fn plan_digest(plan: &PlanFacts<'_>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    field(DOMAIN);
    field(plan.incident.to_string().as_bytes());
    match plan.scope {
        Scope::Cluster(uid) => {
            field(b"cluster");
            field(uid.as_bytes());
        }
        Scope::Host(agent) => {
            field(b"host");
            field(agent.to_string().as_bytes());
        }
    }
    field(plan.requested_by.as_bytes());
    field(&[u8::from(plan.needs_approval)]);
    field(plan.action);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AgentId;

    #[test]
    fn any_difference_in_what_will_happen_is_another_digest() {
        let incident = |n| IncidentId::from(uuid::Uuid::from_u128(n));
        let (cluster, other) = (Scope::Cluster("c".into()), Scope::Cluster("d".into()));
        let host = Scope::Host(AgentId::from(uuid::Uuid::from_u128(7)));
        let plan = PlanFacts {
            incident: incident(1),
            scope: &cluster,
            requested_by: "nimbus",
            needs_approval: true,
            action: &[1, 2, 3],
        };
        let same = plan_digest(&plan);
        assert_eq!(same, plan_digest(&plan));
        for changed in [
            PlanFacts { incident: incident(2), ..plan },
            PlanFacts { scope: &other, ..plan },
            PlanFacts { scope: &host, ..plan },
            PlanFacts { requested_by: "operator", ..plan },
            PlanFacts { needs_approval: false, ..plan },
            PlanFacts { action: &[1, 2], ..plan },
        ] {
            assert_ne!(plan_digest(&changed), same, "{changed:?}");
        }
    }
}
