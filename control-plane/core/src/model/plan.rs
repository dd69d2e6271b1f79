//! Plans: one remedy for one incident, with what was considered.

use jiff::Timestamp;
use nimbus_protocol::ids::{AgentId, IncidentId, PlanId};
use serde::{Deserialize, Serialize};

use super::{ObjectRef, words};

words! {
    /// The remedies there are.
    ActionKind {
        /// Evict a crash-looping pod.
        RestartPod = "restart_pod",
        /// Go back to a Deployment's last good revision.
        RollbackDeployment = "rollback_deployment",
        /// Put a watched file back.
        RestoreFile = "restore_file",
        /// Take a watched file's present state as the truth.
        AcceptBaseline = "accept_baseline",
    }
}

/// An object by name and UID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID: a new object with the same name is another object.
    pub uid: String,
}

/// What makes up a file's state, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// absent, file, directory, symlink, other, unreadable.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of the content, hex; empty when there is none.
    pub sha256: String,
}

/// Exactly what will be done, with the preconditions that the agent reads again before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// See `v1::RestartPod`.
    RestartPod {
        /// The pod to evict.
        pod: Target,
        /// Its ReplicaSet.
        owner: Target,
        /// The node it fails on.
        node: String,
        /// Keep the node closed until the replacement is bound.
        avoid_node: bool,
        /// The container that crash-loops.
        container: String,
        /// At least so many restarts.
        min_restarts: u32,
    },
    /// See `v1::RollbackDeployment`.
    RollbackDeployment {
        /// The Deployment.
        deployment: Target,
        /// Its generation now.
        generation: i64,
        /// Template hash now, hex.
        current_template_hash: String,
        /// The ReplicaSet of the good revision.
        to_replica_set: Target,
        /// The good revision.
        to_revision: u64,
        /// Its template hash, hex.
        to_template_hash: String,
    },
    /// See `v1::RestoreFile`.
    RestoreFile {
        /// Watched root.
        root: String,
        /// The file.
        path: String,
        /// State now.
        expect_current: FileFacts,
        /// State to go back to.
        restore_to: FileFacts,
    },
    /// See `v1::AcceptBaseline`.
    AcceptBaseline {
        /// Watched root.
        root: String,
        /// The file.
        path: String,
        /// State now, to become the truth.
        expect_current: FileFacts,
    },
}

impl Action {
    /// Which remedy this is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::RestartPod { .. } => ActionKind::RestartPod,
            Self::RollbackDeployment { .. } => ActionKind::RollbackDeployment,
            Self::RestoreFile { .. } => ActionKind::RestoreFile,
            Self::AcceptBaseline { .. } => ActionKind::AcceptBaseline,
        }
    }
}

/// An alternative that was weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Option_ {
    /// What could be done.
    pub what: String,
    /// Taken?
    pub chosen: bool,
    /// Why, or why not.
    pub why: String,
}

/// One remedy for one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name; not part of the digest.
    pub id: PlanId,
    /// The incident it is for.
    pub incident_id: IncidentId,
    /// When it was made; not part of the digest.
    pub created_at: Timestamp,
    /// Who wants it: `nimbus` for its own plans, else the operator. Never the approver.
    pub requested_by: String,
    /// UID of the cluster; `None` for a host.
    pub cluster_uid: Option<String>,
    /// Set where only one agent can do it (a host's file).
    pub agent_id: Option<AgentId>,
    /// What will be done.
    pub action: Action,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// Does a person have to approve?
    pub needs_approval: bool,
    /// One line: what will change.
    pub summary: String,
    /// What will change, line by line: a diff or a before/after.
    pub changes: Vec<String>,
    /// Why it may help.
    pub rationale: String,
    /// What was considered.
    pub considered: Vec<Option_>,
    /// What shows the need.
    pub evidence: Vec<String>,
    /// SHA-256 (hex) over what matters: see `plan::digest`.
    pub digest: String,
}
