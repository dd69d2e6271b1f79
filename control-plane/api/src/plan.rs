//! The API's plans: what a remedy would change, and why it was chosen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// An alternative that was weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Considered {
    /// What could be done.
    pub what: String,
    /// Taken?
    pub chosen: bool,
    /// Why, or why not.
    pub why: String,
}

/// What a person is told of the time after a plan's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outlook {
    /// What happens, and in what state things are, where the change is refused or does not help.
    pub if_it_fails: String,
    /// Who can undo it, once it is done.
    #[schema(value_type = words::UndoBy)]
    pub undo: String,
    /// How it is undone, or why it cannot be.
    pub undo_how: String,
}

/// One remedy for one incident. A plan never changes; another one has another digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// `pln_…`
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The incident it is for.
    pub incident_id: String,
    /// UID of the cluster; `null` for a host.
    pub cluster_uid: Option<String>,
    /// Set where only one agent can do it.
    pub agent_id: Option<String>,
    /// Which remedy.
    #[schema(value_type = words::Action)]
    pub kind: String,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// Who wants it: `nimbus` for its own plans, else a principal.
    pub requested_by: String,
    /// Does a person have to approve?
    pub needs_approval: bool,
    /// One line: what will change.
    pub summary: String,
    /// What will change, line by line: a diff or a before and after.
    pub changes: Vec<String>,
    /// Why it may help.
    pub rationale: String,
    /// What happens if it fails, and whether it can be undone; `null` for a plan of a control plane that did not say it.
    #[serde(default)]
    pub outlook: Option<Outlook>,
    /// What was considered, and why not.
    pub considered: Vec<Considered>,
    /// What shows the need.
    pub evidence: Vec<String>,
    /// The exact order with its preconditions, as the job will carry it.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub action: serde_json::Value,
    /// SHA-256 (hex) over what matters: an approval names it.
    pub digest: String,
}
