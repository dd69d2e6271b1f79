//! The model of plans: one remedy for one incident, with the alternatives that were considered.

use jiff::Timestamp;
use nimbus_protocol::action::{self, Body};
use nimbus_protocol::digest::{PlanFacts, plan_digest};
use nimbus_protocol::ids::{IncidentId, PlanId};
use nimbus_protocol::{from_hex, to_hex};
use serde::{Deserialize, Serialize};

use super::{ActionKind, Intended, ObjectRef, Outlook, RuleRef, Scope, Workload};

/// An action as a plan keeps it: the contract's own message, as the bytes that are digested, signed and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredAction", into = "StoredAction")]
pub struct PlannedAction {
    message: Vec<u8>,
    body: Option<Body>,
}

#[derive(Serialize, Deserialize)]
struct StoredAction {
    /// The action's word, to search and read by; the message decides.
    action: String,
    /// The encoded `v1::Action`, hex.
    message: String,
}

impl PlannedAction {
    /// The order to carry out; `None` for one that this build does not understand whole, which nobody may act on.
    pub fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// Which action it is; `None` for one that this build does not understand whole.
    pub fn kind(&self) -> Option<ActionKind> {
        self.body.as_ref().map(Body::kind)
    }

    /// The encoded `v1::Action`.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The action's word, for people.
    pub fn word(&self) -> &'static str {
        self.kind().map_or("an action that this version does not know", ActionKind::as_str)
    }
}

impl From<Body> for PlannedAction {
    fn from(body: Body) -> Self {
        Self { message: action::encode(body.clone()), body: Some(body) }
    }
}

impl TryFrom<StoredAction> for PlannedAction {
    type Error = String;

    fn try_from(stored: StoredAction) -> Result<Self, String> {
        let message = from_hex(&stored.message)
            .ok_or_else(|| "expected an action's message as hex, found something else".to_owned())?;
        Ok(Self { body: action::decode(&message).ok(), message })
    }
}

impl From<PlannedAction> for StoredAction {
    fn from(planned: PlannedAction) -> Self {
        Self { action: planned.word().to_owned(), message: to_hex(&planned.message) }
    }
}

/// An alternative that was weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// What could be done.
    pub what: String,
    /// Was it chosen?
    pub chosen: bool,
    /// Why, or why not.
    pub why: String,
}

impl Alternative {
    /// An alternative that was weighed.
    pub fn new(what: impl Into<String>, chosen: bool, why: impl Into<String>) -> Self {
        Self { what: what.into(), chosen, why: why.into() }
    }
}

/// One remedy for one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name; not part of the digest.
    pub id: PlanId,
    /// The incident it is for.
    pub incident_id: IncidentId,
    /// When it was made; not part of the digest.
    pub created_at: Timestamp,
    /// Who wants it: `nimbus` for its own plans, else the operator. Never the approver.
    pub requested_by: String,
    /// Where it acts.
    pub scope: Scope,
    /// What will be done.
    pub action: PlannedAction,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted, if any.
    pub workload: Option<Workload>,
    /// Does a person have to approve?
    pub needs_approval: bool,
    /// The rule on whose word it is begun or a person is asked; `None` for what a person ordered, and for a plan of a build that did
    /// not say it. Not part of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleRef>,
    /// One line: what will change.
    pub summary: String,
    /// What will change, line by line: a diff or a before/after.
    pub changes: Vec<String>,
    /// Why it may help.
    pub rationale: String,
    /// What happens if it fails, and whether it can be undone; `None` for a plan of a build that did not say it. Not part of
    /// the digest.
    #[serde(default, deserialize_with = "super::outlook::stored")]
    pub outlook: Option<Outlook>,
    /// What was considered.
    pub considered: Vec<Alternative>,
    /// What shows the need.
    pub evidence: Vec<String>,
    /// Hex of [`Plan::computed_digest`] when it was made.
    pub digest: String,
}

impl Plan {
    /// SHA-256 (hex) over what matters: see [`nimbus_protocol::digest`].
    pub fn computed_digest(&self) -> String {
        self.digest_where(self.needs_approval)
    }

    /// What it would do; `None` for an action that this build does not understand whole.
    pub fn intended(&self) -> Option<Intended<'_>> {
        let action = self.action.body()?;
        Some(Intended { action, object: &self.object, workload: self.workload.as_ref() })
    }

    /// That of the same plan where a person has to approve, or where nobody has to.
    fn digest_where(&self, needs_approval: bool) -> String {
        to_hex(&plan_digest(&PlanFacts {
            incident: self.incident_id,
            scope: &self.scope,
            requested_by: &self.requested_by,
            needs_approval,
            action: self.action.message(),
        }))
    }

    /// Is this the digest of what the plan does, whoever has to approve it? What a person denied is not begun by a rule either.
    pub fn is_answered_by(&self, digest: &str) -> bool {
        self.digest == digest || self.digest_where(!self.needs_approval) == digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nimbus_protocol::v1;

    #[test]
    fn a_stored_action_keeps_its_bytes_and_one_of_a_newer_build_is_known_to_be_unknown() {
        let body = Body::RestartPod(v1::RestartPod { container: "app".into(), ..Default::default() });
        let planned = PlannedAction::from(body);
        let json = serde_json::to_string(&planned).unwrap();
        assert!(json.contains("restart_pod"), "{json}");
        assert_eq!(serde_json::from_str::<PlannedAction>(&json).unwrap(), planned);
        let newer = r#"{"action":"drain_node","message":"82fa0100"}"#;
        let newer: PlannedAction = serde_json::from_str(newer).unwrap();
        assert_eq!((newer.kind(), newer.message()), (None, &[0x82, 0xfa, 0x01, 0x00][..]));
        assert!(serde_json::from_str::<PlannedAction>(r#"{"action":"x","message":"zz"}"#).is_err());
    }
}
