//! Documents: what the store keeps as JSON, with a few columns to search by.
//!
//! Decides which part of a model goes into which column. The columns never say more than the document; a reader
//! always gets the document. A model that few decisions need goes into a change set as an [`AnyDocument`]: it then
//! takes a file here and a table, and no other code.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AccessToken, Agent, Approval, Cluster, Incident, Job, JoinTokenRecord, Pause, Plan};

/// A model that the store keeps in a table of its own.
pub trait Document: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The table.
    const TABLE: &'static str;

    /// Unique in the table.
    fn id(&self) -> String;
    /// What the store can search by.
    fn columns(&self) -> Columns;
}

/// The searchable part of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// Lists are in this order.
    pub created_at: Timestamp,
    /// When the document last changed, as far as it says: retention counts from here. Of jobs: [`Job::counted_from`].
    pub updated_at: Timestamp,
    /// One word.
    pub state: &'static str,
    /// The cluster's or host's name as shown to people; for agents and plans the cluster's UID. May be empty.
    pub cluster: String,
    /// Incidents: the cause's key. Plans, approvals and jobs: the incident's id. Others: the name.
    pub key: String,
}

/// A document of any table, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyDocument {
    /// The table.
    pub table: &'static str,
    /// Unique in the table.
    pub id: String,
    /// What the store can search by.
    pub columns: Columns,
    /// The document as JSON; an error's text where it cannot be written as JSON, and then nothing is written.
    pub json: Result<String, String>,
}

impl AnyDocument {
    /// This document.
    pub fn of<T: Document>(document: &T) -> Self {
        Self {
            table: T::TABLE,
            id: document.id(),
            columns: document.columns(),
            json: serde_json::to_string(document).map_err(|error| error.to_string()),
        }
    }
}

impl Document for Agent {
    const TABLE: &'static str = "agents";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.revoked_at.unwrap_or(self.created_at),
            state: match (self.revoked_at, self.pod_gone) {
                (None, _) => "active",
                // Kept for good: what a person revoked must not come back.
                (Some(_), false) => "revoked",
                // There is one for each pod that ever was: retention removes it once no token of the pod can hold.
                (Some(_), true) => "gone",
            },
            cluster: self.cluster_uid.clone().unwrap_or_default(),
            key: self.name.clone(),
        }
    }
}

impl Document for JoinTokenRecord {
    const TABLE: &'static str = "tokens";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: match self.revoked_at {
                // Known for as long as it would have held: whoever tries it is told, and the audit log, that it was revoked.
                Some(at) => at.max(self.expires_at),
                None => self.used_at.unwrap_or(self.expires_at),
            },
            state: match (self.revoked_at, self.used_at) {
                (Some(_), _) => "revoked",
                (None, Some(_)) => "used",
                (None, None) => "unused",
            },
            cluster: String::new(),
            key: self.name.clone(),
        }
    }
}

impl Document for AccessToken {
    const TABLE: &'static str = "access_tokens";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.revoked_at.unwrap_or(self.expires_at),
            // Nothing is written when the time of one is over.
            state: if self.revoked_at.is_some() { "revoked" } else { "active" },
            cluster: String::new(),
            key: self.name.clone(),
        }
    }
}

impl Document for Cluster {
    const TABLE: &'static str = "clusters";

    fn id(&self) -> String {
        self.uid.clone()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.created_at,
            state: self.mode.as_str(),
            cluster: self.name.clone(),
            key: self.name.clone(),
        }
    }
}

/// The id of the fleet's pause. That of a cluster begins otherwise.
const FLEET: &str = "fleet";

impl Document for Pause {
    const TABLE: &'static str = "pauses";

    fn id(&self) -> String {
        self.cluster_uid.as_ref().map_or_else(|| FLEET.to_owned(), |uid| format!("cluster/{uid}"))
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.since,
            updated_at: self.since,
            state: "paused",
            cluster: self.cluster.clone(),
            key: self.what(),
        }
    }
}

impl Document for Incident {
    const TABLE: &'static str = "incidents";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.resolved_at.unwrap_or(self.updated_at),
            state: self.state.as_str(),
            cluster: self.cluster.clone(),
            key: self.key.clone(),
        }
    }
}

impl Document for Plan {
    const TABLE: &'static str = "plans";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.created_at,
            state: self.action.kind().map_or("unknown", super::ActionKind::as_str),
            cluster: self.scope.cluster_uid().unwrap_or_default().to_owned(),
            key: self.incident_id.to_string(),
        }
    }
}

impl Document for Approval {
    const TABLE: &'static str = "approvals";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.decided_at.unwrap_or(self.created_at),
            state: self.state.as_str(),
            cluster: self.cluster.clone(),
            key: self.incident_id.to_string(),
        }
    }
}

impl Document for Job {
    const TABLE: &'static str = "jobs";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.counted_from(),
            state: self.state.as_str(),
            cluster: self.cluster.clone(),
            key: self.incident_id.to_string(),
        }
    }
}
