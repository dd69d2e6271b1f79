//! The proof of where a pod's agent runs: decides whether the claims of a Kubernetes service account token make their
//! bearer the agent of one pod of one cluster.
//!
//! The signature was verified before, by the keys that the cluster's first agent brought (see the server's gateway).
//! Here it is decided what such a token has to say: it was made for this control plane (its audience), by the cluster's
//! own API server (its issuer), for the one service account that the agents of that cluster have, and for a pod that is
//! still there. A pod has one key for as long as it lives: a second one with the pod's token is somebody else's.

mod claims;
mod gone;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;

use crate::model::{Agent, ClusterIdentity, PodOrigin, Versioned};
use crate::world::Inventory;
pub use claims::{Audience, Bound, Claims, KubernetesClaims};
pub use gone::{KEPT_PODLESS, gone};

/// Whom a token has to be made for.
pub const AUDIENCE: &str = nimbus_protocol::join::SERVICE_ACCOUNT_AUDIENCE;
/// How far a cluster's clock may be ahead of this one's: a token that was made by it just now holds already.
const AHEAD: i64 = 60;

/// Why a pod's proof is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// The token was made for others.
    Audience(String),
    /// Another API server made it.
    Issuer(String),
    /// It ended.
    Expired(String),
    /// It does not hold yet.
    NotYet(String),
    /// It is of another service account than the agents of its cluster have.
    ServiceAccount(String),
    /// It is bound to no pod.
    NoPod,
    /// Its pod is gone.
    PodGone(String),
    /// The leading agent of its cluster, which sees all pods, does not see this one (yet).
    PodNotSeen(String),
    /// Its pod is on another node than the token says.
    Node(String),
    /// Its pod has an agent with another key.
    Replayed(String),
}

impl Unproven {
    /// The stable word of `Refusal.code`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Audience(_) => "proof_audience",
            Self::Issuer(_) => "proof_issuer",
            Self::Expired(_) => "proof_expired",
            Self::NotYet(_) => "proof_not_yet",
            Self::ServiceAccount(_) => "proof_service_account",
            Self::NoPod => "proof_without_pod",
            Self::PodGone(_) => "proof_pod_gone",
            Self::PodNotSeen(_) => "proof_pod_not_seen",
            Self::Node(_) => "proof_node",
            Self::Replayed(_) => "proof_replayed",
        }
    }

    /// What was expected, and what was found.
    pub fn expected_and_found(&self) -> (&'static str, String) {
        match self {
            Self::Audience(found) => ("a service account token made for nimbus-control-plane", found.clone()),
            Self::Issuer(found) => ("a service account token of this cluster's API server", found.clone()),
            Self::Expired(at) => ("a service account token that holds", format!("one that ended at {at}")),
            Self::NotYet(from) => {
                ("a service account token that holds", format!("one that begins to at {from}"))
            }
            Self::ServiceAccount(found) => {
                ("a token of the service account that this cluster's agents have", found.clone())
            }
            Self::NoPod => ("a service account token that is bound to a pod", "one that is not".to_owned()),
            Self::PodGone(pod) => ("a token of a pod that is there", format!("pod {pod}, which is gone")),
            Self::PodNotSeen(pod) => (
                "a token of a pod that the cluster's leading agent sees",
                format!("pod {pod}, which it does not"),
            ),
            Self::Node(found) => ("a token that names its pod's own node", found.clone()),
            Self::Replayed(pod) => (
                "the key with which this pod's agent enrolled",
                format!("another key with the token of pod {pod}"),
            ),
        }
    }

    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Audience(_) | Self::NoPod | Self::NotYet(_) => {
                "mount a projected service account token with this audience, as the chart nimbus-agent does, and check the \
                 clocks"
            }
            Self::Issuer(_) | Self::ServiceAccount(_) | Self::Node(_) => {
                "install the agents of this cluster with the chart nimbus-agent; where their namespace or service account \
                 changed, make a new token with `nimbus agents token create --kind cluster --cluster NAME` and give it to the chart"
            }
            Self::Expired(_) | Self::PodNotSeen(_) => {
                "none needed: the agent tries again with its newest token"
            }
            Self::PodGone(_) | Self::Replayed(_) => {
                "none for this pod: delete it, and the DaemonSet makes a new one; if nobody restarted it, somebody copied \
                 its token"
            }
        }
    }

    /// May the same agent be accepted a little later?
    pub fn passes(&self) -> bool {
        match self {
            Self::Expired(_) | Self::NotYet(_) | Self::PodNotSeen(_) => true,
            Self::Audience(_)
            | Self::Issuer(_)
            | Self::ServiceAccount(_)
            | Self::NoPod
            | Self::PodGone(_)
            | Self::Node(_)
            | Self::Replayed(_) => false,
        }
    }
}

/// The pod that `claims` prove, if they do; `known` is what the cluster's first agent proved, `None` while this is the first.
pub fn judge(
    claims: &Claims,
    known: Option<&ClusterIdentity>,
    now: Timestamp,
) -> Result<PodOrigin, Unproven> {
    if !claims.aud.includes(AUDIENCE) {
        return Err(Unproven::Audience(format!("one for {}", cut(&claims.aud.to_string()))));
    }
    if now.as_second() >= claims.exp {
        return Err(Unproven::Expired(moment(claims.exp)));
    }
    let from = claims.nbf.or(claims.iat).unwrap_or(claims.exp);
    if from > now.as_second().saturating_add(AHEAD) {
        return Err(Unproven::NotYet(moment(from)));
    }
    let kubernetes = &claims.kubernetes;
    let account = format!("{}/{}", kubernetes.namespace, kubernetes.service_account.name);
    let subject =
        format!("system:serviceaccount:{}:{}", kubernetes.namespace, kubernetes.service_account.name);
    if claims.sub != subject || kubernetes.service_account.name.is_empty() {
        return Err(Unproven::ServiceAccount(format!("one whose subject is {}", cut(&claims.sub))));
    }
    if let Some(known) = known {
        if claims.iss != known.issuer {
            return Err(Unproven::Issuer(format!("one of {}", cut(&claims.iss))));
        }
        if kubernetes.namespace != known.namespace || kubernetes.service_account.name != known.service_account
        {
            let theirs = format!("{}/{}", known.namespace, known.service_account);
            return Err(Unproven::ServiceAccount(format!("one of {} (they have {theirs})", cut(&account))));
        }
    }
    let pod = kubernetes.pod.as_ref().filter(|pod| !pod.uid.is_empty() && !pod.name.is_empty());
    let Some(pod) = pod else { return Err(Unproven::NoPod) };
    Ok(PodOrigin {
        namespace: cut(&kubernetes.namespace),
        name: cut(&pod.name),
        uid: cut(&pod.uid),
        service_account: cut(&kubernetes.service_account.name),
        node: kubernetes.node.as_ref().map(|node| cut(&node.name)).filter(|node| !node.is_empty()),
    })
}

/// Refuses a pod that is gone, as far as that is known: `inventory` is the cluster's, given only while its leading agent is
/// connected. Whether a pod is there that nobody sees is not known, and the first agent of a cluster must get in: what
/// turns out to be gone then is revoked by [`gone()`].
pub fn is_there(pod: &PodOrigin, inventory: Option<&Inventory>) -> Result<(), Unproven> {
    let Some(inventory) = inventory.filter(|inventory| inventory.has_every(nimbus_protocol::ObjectKind::Pod))
    else {
        return Ok(());
    };
    let name = || format!("{}/{}", pod.namespace, pod.name);
    let Some(seen) = inventory.pods.get(&pod.uid) else { return Err(Unproven::PodNotSeen(name())) };
    match &pod.node {
        Some(node) if !seen.node.is_empty() && &seen.node != node => {
            Err(Unproven::Node(format!("node {node}, while the pod {} is on {}", name(), seen.node)))
        }
        Some(_) | None => Ok(()),
    }
}

/// The agent that this pod has already, which the same key gets again.
pub fn already<'a>(
    agents: &'a [Versioned<Agent>],
    cluster: &str,
    pod: &PodOrigin,
    key_sha256: &str,
) -> Result<Option<&'a Versioned<Agent>>, Unproven> {
    let of_pod = |agent: &&Versioned<Agent>| {
        agent.doc.bound_cluster.as_deref() == Some(cluster)
            && agent.doc.pod.as_ref().is_some_and(|its| its.uid == pod.uid)
    };
    let name = || format!("{}/{}", pod.namespace, pod.name);
    let Some(agent) = agents.iter().find(of_pod) else { return Ok(None) };
    if agent.doc.revoked_at.is_some() {
        return Err(Unproven::PodGone(name()));
    }
    if agent.doc.key_sha256 != key_sha256 {
        return Err(Unproven::Replayed(name()));
    }
    Ok(Some(agent))
}

/// A name for the agent of `pod` that no other agent has: its node's, cut to what a name may be.
pub fn agent_name(agents: &[Versioned<Agent>], pod: &PodOrigin, id: AgentId, longest: usize) -> String {
    let wanted = pod.node.as_deref().unwrap_or(&pod.name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = wanted.chars().map(plain).collect();
    let is_free = |name: &str| {
        !agents
            .iter()
            .any(|other| other.doc.revoked_at.is_none() && other.doc.name == name && other.doc.id != id)
    };
    // Ids are ASCII; the last eight characters of two differ but once in four thousand million.
    let id = id.to_string();
    let mark = &id[id.len().saturating_sub(8)..];
    let short: String = text.chars().take(longest).collect();
    if short.len() == text.len() && !short.is_empty() && is_free(&short) {
        return short;
    }
    let short: String = text.chars().take(longest.saturating_sub(mark.len() + 1)).collect();
    format!("{short}-{mark}")
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |at| at.to_string())
}

/// What a token says is kept in 253 bytes at most, the longest name that Kubernetes has.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(253)].to_owned()
}
