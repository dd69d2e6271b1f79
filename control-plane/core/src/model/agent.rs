//! The model of agents and of the join tokens for new ones.

use jiff::Timestamp;
use nimbus_protocol::ids::{AgentId, TokenId};
use serde::{Deserialize, Serialize};

use super::words;

/// Longest name of an agent, bytes.
pub const MAX_AGENT_NAME: usize = 63;

words! {
    /// Where an agent lives.
    AgentKind {
        /// In a Kubernetes cluster (or beside one, with a kubeconfig).
        Cluster = "cluster",
        /// On a host of its own.
        Host = "host",
    }
}

words! {
    /// Whether a join token can be used.
    JoinTokenState {
        /// Agents may join with it.
        Usable = "usable",
        /// As many agents as it is for have joined with it.
        Used = "used",
        /// Its time is over.
        Expired = "expired",
        /// A person took it back.
        Revoked = "revoked",
    }
}

/// Why a join token is not accepted any more, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEnd {
    /// A person took it back.
    Revoked(Timestamp),
    /// Its last use.
    Used(Timestamp),
    /// Its time is over.
    Expired(Timestamp),
}

/// An enrolled agent and the last it said of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Given at enrolment; in the certificate's subject.
    pub id: AgentId,
    /// The operator's name for it.
    pub name: String,
    /// Where it lives.
    pub kind: AgentKind,
    /// When it enrolled.
    pub created_at: Timestamp,
    /// SHA-256 (hex) of its current certificate's public key: another key with the same name is refused.
    pub key_sha256: String,
    /// Sessions of a revoked agent are rejected.
    pub revoked_at: Option<Timestamp>,
    /// It was revoked because its pod is gone, and not by a person: it may come back if the pod is seen again.
    #[serde(default)]
    pub pod_gone: bool,
    /// The join token that made it, until its first hello: so long it may ask for its enrolment's answer again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joining_with: Option<TokenId>,
    /// The host it runs on, as it says.
    pub hostname: String,
    /// Its build.
    pub version: String,
    /// The cluster it watches, if it watches one.
    pub cluster_uid: Option<String>,
    /// UID of the only cluster that it may report for; `None` until it names one.
    pub bound_cluster: Option<String>,
    /// The pod that it proved to run in; `None` for an agent that joined with a token alone.
    #[serde(default)]
    pub pod: Option<PodOrigin>,
    /// True while it holds its cluster's watch lease.
    pub leading: bool,
    /// Transitions of the lease when it was taken.
    pub lease_term: u64,
    /// What its own policy allows; empty: observe only.
    pub allowed_actions: Vec<String>,
    /// What of that its own policy lets a rule begin without a person's approval where one would be needed; empty: nothing, as of an
    /// older agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automatic_actions: Vec<String>,
    /// Jobs an hour that its own policy takes; `None`: not known, as of an older agent.
    #[serde(default)]
    pub jobs_per_hour: Option<u32>,
    /// How it reaches the control plane, as it says: `quic`, `tcp` or `tcp through proxy`; empty: not known, as of an older
    /// agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub transport: String,
    /// Why it begins nothing: somebody paused it on its own side; in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// The paths whose files it watches.
    pub roots: Vec<WatchedRoot>,
    /// Problems it reports, one sentence each.
    pub problems: Vec<String>,
    /// Observations it had to drop since its spool was made.
    pub dropped: u64,
}

impl Agent {
    /// One that has said nothing of itself yet.
    pub fn new(id: AgentId, kind: AgentKind, created_at: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            kind,
            created_at,
            key_sha256: String::new(),
            revoked_at: None,
            pod_gone: false,
            joining_with: None,
            hostname: String::new(),
            version: String::new(),
            cluster_uid: None,
            bound_cluster: None,
            pod: None,
            leading: false,
            lease_term: 0,
            allowed_actions: Vec::new(),
            automatic_actions: Vec::new(),
            jobs_per_hour: None,
            transport: String::new(),
            paused: None,
            roots: Vec::new(),
            problems: Vec::new(),
            dropped: 0,
        }
    }
}

/// The pod that an agent runs in, as its service account token proved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodOrigin {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: another pod of the same name has another one.
    pub uid: String,
    /// The service account that it runs as.
    pub service_account: String,
    /// Its node; `None` where the API server does not say it (before Kubernetes 1.30).
    pub node: Option<String>,
}

/// A path whose files an agent watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedRoot {
    /// The path.
    pub path: String,
    /// What is wrong with it; empty when nothing is.
    pub problem: String,
    /// Files below it that the agent holds a baseline of.
    pub files: u64,
    /// When that baseline was taken; `None` while there is none, and where an older agent does not say.
    #[serde(default)]
    pub baseline_since: Option<Timestamp>,
}

/// A join token as the store keeps it: never the secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinTokenRecord {
    /// Names the token.
    pub id: TokenId,
    /// Name that the agent will get.
    pub name: String,
    /// Kind that the agent will be.
    pub kind: AgentKind,
    /// UID of the only cluster that the agent may report for, as a person said; `None`: one that no agent is bound to yet.
    pub cluster: Option<String>,
    /// Of a token with several uses for which nobody named a cluster: the one that its first agent is of, and so the others.
    #[serde(default)]
    pub first_cluster: Option<String>,
    /// SHA-256 (hex) of the secret.
    pub secret_sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Not accepted from this moment on.
    pub expires_at: Timestamp,
    /// How many agents may use it.
    #[serde(default = "once")]
    pub uses: u32,
    /// How many agents did, as far as it was counted: a token of an earlier build says only `used_at`.
    #[serde(default)]
    pub used: u32,
    /// Set with its last use, and where it is revoked before that: it is not accepted any more.
    pub used_at: Option<Timestamp>,
    /// The agent that used it last.
    pub used_by: Option<AgentId>,
    /// A person took it back: it is not accepted any more. Who did is in the audit log.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

fn once() -> u32 {
    1
}

impl JoinTokenRecord {
    /// Counts one use by `agent`; the last one that it allows spends it.
    pub fn spend(&mut self, agent: AgentId, now: Timestamp) {
        self.used = self.used.saturating_add(1);
        self.used_by = Some(agent);
        if self.used >= self.uses {
            self.used_at = Some(now);
        }
    }

    /// Takes it back, for good.
    pub fn revoke(&mut self, now: Timestamp) {
        self.revoked_at = Some(now);
        // A control plane of an earlier build knows no other mark, and must not accept it either: one that leads before all
        // replicas are upgraded, or that an operator went back to.
        self.used_at = self.used_at.or(Some(now));
    }

    /// How many agents joined with it. One of an earlier build, which allowed a single use, says only who did.
    pub fn times_used(&self) -> u32 {
        self.used.max(u32::from(self.used_by.is_some()))
    }

    /// Why it is not accepted any more; `None` while it is.
    pub fn ended(&self, now: Timestamp) -> Option<TokenEnd> {
        if let Some(at) = self.revoked_at {
            return Some(TokenEnd::Revoked(at));
        }
        if let Some(at) = self.used_at {
            return Some(TokenEnd::Used(at));
        }
        (now >= self.expires_at).then_some(TokenEnd::Expired(self.expires_at))
    }

    /// Whether it can be used, in a word.
    pub fn state(&self, now: Timestamp) -> JoinTokenState {
        match self.ended(now) {
            None => JoinTokenState::Usable,
            Some(TokenEnd::Revoked(_)) => JoinTokenState::Revoked,
            Some(TokenEnd::Used(_)) => JoinTokenState::Used,
            Some(TokenEnd::Expired(_)) => JoinTokenState::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// As an earlier build wrote it.
    fn token() -> JoinTokenRecord {
        let json = serde_json::json!({
            "id": "tok_00000000000000000000000000000001", "name": "edge", "kind": "host", "cluster": null,
            "secret_sha256": "cd", "created_at": at(0), "created_by": "operator", "expires_at": at(900),
            "used_at": null, "used_by": null
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_token_is_usable_until_it_is_used_up_or_too_old_or_revoked() {
        let agent: AgentId = "agt_00000000000000000000000000000001".parse().unwrap();
        let mut token = JoinTokenRecord { uses: 2, ..token() };
        assert_eq!((token.state(at(899)), token.ended(at(899))), (JoinTokenState::Usable, None));
        assert_eq!(token.ended(at(900)), Some(TokenEnd::Expired(at(900))));
        token.spend(agent, at(1));
        assert_eq!(token.state(at(2)), JoinTokenState::Usable);
        let mut revoked = token.clone();
        revoked.revoke(at(3));
        assert_eq!(revoked.times_used(), 1);
        assert_eq!(revoked.ended(at(1_000)), Some(TokenEnd::Revoked(at(3))), "whatever else became of it");
        assert_eq!(revoked.used_at, Some(at(3)), "what an earlier build looks at");
        token.spend(agent, at(2));
        assert_eq!(token.ended(at(1_000)), Some(TokenEnd::Used(at(2))));
        token.revoke(at(3));
        assert_eq!((token.state(at(4)), token.used_at), (JoinTokenState::Revoked, Some(at(2))));
    }

    /// Retention counts from `updated_at`: a revoked token must be known for as long as somebody may still try it.
    #[test]
    fn a_revoked_token_is_kept_as_long_as_it_would_have_held() {
        use crate::model::Document as _;

        let mut early = token();
        early.revoke(at(3));
        assert_eq!(early.times_used(), 0);
        assert_eq!((early.columns().state, early.columns().updated_at), ("revoked", at(900)));
        let mut late = token();
        late.revoke(at(2_000));
        assert_eq!(late.columns().updated_at, at(2_000));
        assert_eq!((token().columns().state, token().columns().updated_at), ("unused", at(900)));
    }
}
