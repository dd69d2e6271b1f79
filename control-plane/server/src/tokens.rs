//! Creates join tokens; `gateway::enrol` redeems them.

use std::time::Duration;

use nimbus_control_core::model::{Agent, AgentKind, AuditDraft, ChangeSet, JoinTokenRecord, Versioned};
use nimbus_protocol::ids::{AgentId, TokenId};
use nimbus_protocol::join::JoinToken;
use nimbus_store::StoreError;

use crate::app::App;

/// Longest time that a join token may be valid.
pub const MAX_TTL: Duration = Duration::from_hours(7 * 24);
/// Reads again so often when somebody else wrote in between.
const TRIES: usize = 5;
/// Most agents that may use one token.
pub const MAX_USES: u32 = 10_000;
pub use nimbus_control_core::model::MAX_AGENT_NAME as MAX_NAME;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name cannot be an agent's.
    #[error(
        "expected a name of 1 to {MAX_NAME} letters, digits, '-', '_' or '.', found {0:?}; choose another --name"
    )]
    Name(String),
    /// The time is too short or too long.
    #[error("expected a time to live of 1 second to 7 days, found {} seconds; choose another --ttl", .0.as_secs())]
    Ttl(Duration),
    /// An agent that is not revoked has the name.
    #[error(
        "expected a name that no other agent has, found {name}, which agent {agent} has; {}",
        Self::TAKEN
    )]
    Taken {
        /// The name.
        name: String,
        /// The agent.
        agent: AgentId,
    },
    /// A host's agent reports for no cluster.
    #[error(
        "expected a cluster only with the kind cluster, found one with {0}; leave --cluster out, or use --kind cluster"
    )]
    ClusterOfHost(AgentKind),
    /// It may be used by none, or by too many.
    #[error("expected 1 to {MAX_USES} uses, found {0}; choose another --uses")]
    Uses(u32),
    /// Only the agents of one cluster share a token.
    #[error(
        "expected several uses only with the kind cluster, found {uses} with {kind}; leave --uses out, or use --kind cluster"
    )]
    UsesOfHost {
        /// How many.
        uses: u32,
        /// The kind.
        kind: AgentKind,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    /// What to do about a name that is taken.
    pub const TAKEN: &'static str =
        "revoke that agent first (`nimbus agents revoke NAME`), or choose another --name";
}

/// The agent that a token is made for.
#[derive(Debug, Clone, Copy)]
pub struct NewAgent<'a> {
    /// What it will be called.
    pub name: &'a str,
    /// Where it will live.
    pub kind: AgentKind,
    /// UID of the only cluster that it may report for; `None`: one that no other agent is bound to.
    pub cluster: Option<&'a str>,
    /// How many agents may use the token: 1, or up to [`MAX_USES`] of one cluster.
    pub uses: u32,
}

/// Can an agent be named `name`?
pub fn valid_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain)
}

impl App {
    /// Makes a single-use join token for one agent. Only the hash of its secret is kept: the
    /// returned value is the one time that it is seen.
    pub async fn create_join_token(
        &self,
        new_agent: NewAgent<'_>,
        ttl: Duration,
        by: &str,
    ) -> Result<JoinToken, TokenError> {
        let NewAgent { name, kind, cluster, uses } = new_agent;
        if !valid_name(name) {
            return Err(TokenError::Name(name.chars().take(100).collect()));
        }
        if ttl < Duration::from_secs(1) || ttl > MAX_TTL {
            return Err(TokenError::Ttl(ttl));
        }
        if cluster.is_some() && kind != AgentKind::Cluster {
            return Err(TokenError::ClusterOfHost(kind));
        }
        if uses == 0 || uses > MAX_USES {
            return Err(TokenError::Uses(uses));
        }
        if uses > 1 && kind != AgentKind::Cluster {
            return Err(TokenError::UsesOfHost { uses, kind });
        }
        if let Some(other) = self.docs().await?.named(name) {
            return Err(TokenError::Taken { name: name.to_owned(), agent: other.id });
        }
        let now = self.now();
        let id = TokenId::new(&mut self.ids());
        let token = JoinToken { id, secret: rand::random(), ca_sha256: self.keys.ca.fingerprint() };
        let record = JoinTokenRecord {
            id,
            name: name.to_owned(),
            kind,
            cluster: cluster.map(str::to_owned),
            first_cluster: None,
            secret_sha256: hex::encode(token.secret_sha256()),
            created_at: now,
            created_by: by.to_owned(),
            // At most seven days from now: representable until the year 9999.
            expires_at: now.checked_add(ttl).unwrap_or(now),
            uses,
            used: 0,
            used_at: None,
            used_by: None,
            revoked_at: None,
        };
        let audit = AuditDraft {
            at: now,
            actor: by.to_owned(),
            action: "token.created".to_owned(),
            subject: token.id.to_string(),
            cluster: cluster.unwrap_or_default().to_owned(),
            detail: match uses {
                1 => format!("for one {kind} agent called {name}, until {}", record.expires_at),
                _ => format!("for {uses} {kind} agents called {name}, until {}", record.expires_at),
            },
        };
        let tokens = vec![Versioned::new(record)];
        self.commit(&ChangeSet { tokens, audit: vec![audit], ..ChangeSet::default() }).await?;
        Ok(token)
    }

    /// Lets an agent that has joined report for this cluster and no other: as a token made for it would. Nothing changes
    /// for an agent that is not known.
    pub async fn grant_cluster(&self, agent: AgentId, cluster: &str, by: &str) -> Result<(), StoreError> {
        // Only what the agent says of itself changes the same document.
        for _ in 1..TRIES {
            match self.grant_once(agent, cluster, by).await {
                Err(error) if error.is_conflict() => {}
                other => return other,
            }
        }
        self.grant_once(agent, cluster, by).await
    }

    async fn grant_once(&self, agent: AgentId, cluster: &str, by: &str) -> Result<(), StoreError> {
        let bound_cluster = Some(cluster.to_owned());
        let Some(mut agent) = self.store().get::<Agent>(agent).await? else { return Ok(()) };
        if agent.doc.bound_cluster == bound_cluster && agent.doc.kind == AgentKind::Cluster {
            return Ok(());
        }
        agent.doc.bound_cluster = bound_cluster;
        agent.doc.kind = AgentKind::Cluster;
        let audit = AuditDraft {
            at: self.now(),
            actor: by.to_owned(),
            action: "agent.cluster_granted".to_owned(),
            subject: agent.doc.id.to_string(),
            cluster: cluster.to_owned(),
            detail: format!("{} reports for this cluster and no other", agent.doc.name),
        };
        self.commit(&ChangeSet { agents: vec![agent], audit: vec![audit], ..ChangeSet::default() }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for good in ["a", "edge-01", "prod.eu_west"] {
            assert!(valid_name(good), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", "x\n", &"a".repeat(64)] {
            assert!(!valid_name(bad), "{bad:?}");
        }
    }
}
