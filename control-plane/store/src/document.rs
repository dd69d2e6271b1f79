//! Documents: what the store keeps as JSON beside a few columns that it can search by.
//!
//! Decides which part of a model goes into which column. The columns never say more than the document; a reader
//! always gets the document.

use jiff::Timestamp;
use nimbus_control_core::model::{Agent, Approval, Cluster, Incident, Job, JoinTokenRecord, Plan};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest `key` that is stored as it is; of a longer one its SHA-256. PostgreSQL cannot index a path of 4,096 bytes.
const LONGEST_KEY: usize = 512;

/// A model that the store keeps in a table of its own.
pub trait Document: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The table.
    const TABLE: &'static str;

    /// Unique in the table.
    fn id(&self) -> &str;
    /// What [`crate::Filter`] can search by.
    fn columns(&self) -> Columns<'_>;
}

/// The searchable part of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns<'a> {
    /// Lists are in this order.
    pub created_at: Timestamp,
    /// When the document last changed, as far as it says: retention counts from here.
    pub updated_at: Timestamp,
    /// One word.
    pub state: &'a str,
    /// The cluster's or host's name as shown to people; for agents and plans the cluster's UID. May be empty.
    pub cluster: &'a str,
    /// Incidents: the cause's key. Plans, approvals and jobs: the incident's id. Others: the name.
    pub key: &'a str,
}

/// `key` as it stands in its column.
pub(crate) fn key_column(key: &str) -> String {
    if key.len() <= LONGEST_KEY {
        return clean(key);
    }
    format!("sha256:{}", hex::encode(nimbus_protocol::sha256(key.as_bytes())))
}

/// `text` without NUL characters, which PostgreSQL cannot store: both databases keep the same text.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Can `id` be an id? It is never altered, as the columns are: two ids must not become one.
pub(crate) fn storable(id: &str) -> bool {
    !id.contains('\0')
}

impl Document for Agent {
    const TABLE: &'static str = "agents";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.revoked_at.unwrap_or(self.created_at),
            state: if self.revoked_at.is_some() { "revoked" } else { "active" },
            cluster: self.cluster_uid.as_deref().unwrap_or_default(),
            key: &self.name,
        }
    }
}

impl Document for JoinTokenRecord {
    const TABLE: &'static str = "tokens";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.used_at.unwrap_or(self.expires_at),
            state: if self.used_at.is_some() { "used" } else { "unused" },
            cluster: "",
            key: &self.name,
        }
    }
}

impl Document for Cluster {
    const TABLE: &'static str = "clusters";

    fn id(&self) -> &str {
        &self.uid
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.created_at,
            state: self.mode.as_str(),
            cluster: &self.name,
            key: &self.name,
        }
    }
}

impl Document for Incident {
    const TABLE: &'static str = "incidents";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.resolved_at.unwrap_or(self.updated_at),
            state: self.state.as_str(),
            cluster: &self.cluster,
            key: &self.key,
        }
    }
}

impl Document for Plan {
    const TABLE: &'static str = "plans";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.created_at,
            state: self.action.kind().as_str(),
            cluster: self.cluster_uid.as_deref().unwrap_or_default(),
            key: self.incident_id.as_str(),
        }
    }
}

impl Document for Approval {
    const TABLE: &'static str = "approvals";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.decided_at.unwrap_or(self.created_at),
            state: self.state.as_str(),
            cluster: &self.cluster,
            key: self.incident_id.as_str(),
        }
    }
}

impl Document for Job {
    const TABLE: &'static str = "jobs";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            created_at: self.created_at,
            updated_at: self.finished_at.unwrap_or(self.created_at),
            state: self.state.as_str(),
            cluster: &self.cluster,
            key: self.incident_id.as_str(),
        }
    }
}
