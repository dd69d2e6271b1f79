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

use crate::model::{Agent, Agents, ClusterIdentity, PodOrigin, Versioned};
use crate::world::Inventory;
pub use claims::{Audience, Bound, Claims, KubernetesClaims};
pub use gone::{KEPT_PODLESS, gone, is_gone};

/// Whom a token has to be made for.
pub const AUDIENCE: &str = nimbus_protocol::join::SERVICE_ACCOUNT_AUDIENCE;
/// Longest life of a token that is accepted, seconds: a day, the longest that a kubelet asks for by itself. Whoever may ask an
/// API server for tokens chooses how long they hold.
pub const LONGEST: i64 = 86_400;
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
    /// It holds longer than tokens of pods do; how long, in seconds.
    TooLong(i64),
    /// It does not hold yet.
    NotYet(String),
    /// It is of another service account than the agents of its cluster have.
    ServiceAccount(String),
    /// It is bound to no pod.
    NoPod,
    /// Its pod is gone.
    PodGone(String),
    /// An operator revoked its pod's agent.
    Revoked(String),
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
            Self::TooLong(_) => "proof_too_long",
            Self::NotYet(_) => "proof_not_yet",
            Self::ServiceAccount(_) => "proof_service_account",
            Self::NoPod => "proof_without_pod",
            Self::PodGone(_) => "proof_pod_gone",
            Self::Revoked(_) => "proof_revoked",
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
            Self::TooLong(seconds) => (
                "a service account token that holds for a day at most",
                format!("one that was made for {seconds} s"),
            ),
            Self::NotYet(from) => {
                ("a service account token that holds", format!("one that begins to at {from}"))
            }
            Self::ServiceAccount(found) => {
                ("a token of the service account that this cluster's agents have", found.clone())
            }
            Self::NoPod => ("a service account token that is bound to a pod", "one that is not".to_owned()),
            Self::PodGone(pod) => ("a token of a pod that is there", format!("pod {pod}, which is gone")),
            Self::Revoked(pod) => {
                ("a pod whose agent nobody revoked", format!("pod {pod}, whose agent an operator revoked"))
            }
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
            Self::Audience(_) | Self::NoPod | Self::NotYet(_) | Self::TooLong(_) => {
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
            Self::Revoked(_) => {
                "none for this pod: the next one of its DaemonSet proves itself anew; to keep a node's agent out, keep the DaemonSet \
                 off that node"
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
            | Self::TooLong(_)
            | Self::PodGone(_)
            | Self::Revoked(_)
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
    // One that does not say since when it holds may hold since ever.
    let from = claims.nbf.or(claims.iat).unwrap_or(i64::MIN);
    let seconds = claims.exp.saturating_sub(from);
    if seconds > LONGEST {
        return Err(Unproven::TooLong(seconds));
    }
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

/// The agent that this pod has already, which the same key gets again. One whose pod was thought to be gone comes back if the
/// leading agent sees that pod now (`is_seen`); one that an operator revoked does not.
pub fn already<'a>(
    agents: &'a Agents,
    cluster: &str,
    pod: &PodOrigin,
    key_sha256: &str,
    is_seen: bool,
) -> Result<Option<&'a Versioned<Agent>>, Unproven> {
    let name = || format!("{}/{}", pod.namespace, pod.name);
    let mut of_pod = agents.of_pod(&pod.uid);
    let Some(agent) = of_pod.find(|agent| agent.doc.bound_cluster.as_deref() == Some(cluster)) else {
        return Ok(None);
    };
    match (agent.doc.revoked_at, agent.doc.pod_gone) {
        (Some(_), false) => return Err(Unproven::Revoked(name())),
        (Some(_), true) if !is_seen => return Err(Unproven::PodGone(name())),
        (Some(_), true) | (None, _) => {}
    }
    if agent.doc.key_sha256 != key_sha256 {
        return Err(Unproven::Replayed(name()));
    }
    Ok(Some(agent))
}

/// The id of a pod's agent: always the same, so that of two requests for one pod one finds what the other has written.
pub fn agent_id(cluster: &str, pod: &PodOrigin) -> AgentId {
    // No UID of an API server holds a line's end.
    let hash = nimbus_protocol::sha256(format!("{cluster}\n{}", pod.uid).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    AgentId::of_bytes(bytes)
}

/// Is this pod among those that the leading agent sees?
pub fn is_seen(pod: &PodOrigin, inventory: Option<&Inventory>) -> bool {
    inventory.is_some_and(|inventory| inventory.pods.get(&pod.uid).is_some())
}

/// A name for the agent of `pod` in the cluster `uid` that no other agent has: its node's, cut to what a name may be.
///
/// The agent of the pod before it on that node does not count once it `is_away`, not connected any more or of a pod that is gone: it
/// ends with its pod, which may be known a moment later, or never where nobody watches the cluster any more. A node would have
/// another name from then on.
pub fn agent_name(
    (agents, is_away): (&Agents, impl Fn(&Agent) -> bool),
    uid: &str,
    pod: &PodOrigin,
    id: AgentId,
    longest: usize,
) -> String {
    let wanted = pod.node.as_deref().unwrap_or(&pod.name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let text: String = wanted.chars().map(plain).collect();
    let is_before_it = |other: &Agent| {
        let its = other.pod.as_ref().filter(|its| its.node.is_some() && its.node == pod.node);
        its.is_some() && other.bound_cluster.as_deref() == Some(uid) && is_away(other)
    };
    let occupies = |other: &Agent| other.id != id && !is_before_it(other);
    let is_free = |name: &str| !agents.named(name).any(|other| occupies(&other.doc));
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
