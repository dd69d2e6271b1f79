//! Why a session ends, and the refusal or close code that its agent receives.

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::refusal::{CERTIFICATE_ENDED, STANDBY, UNKNOWN_AGENT};
use nimbus_protocol::{v1, version};

use super::RETRY_AFTER;
use crate::cluster_binding;

/// When to come back to one of several control planes that does not lead, milliseconds.
const STANDBY_RETRY_MS: u32 = 300;
/// How an agent that has to join anew does that.
const JOIN_AGAIN: &str = "join it again: `nimbus agents token create --name NAME`, then start the agent with --join; the agent of a pod: delete the pod, the \
                          next one proves itself anew";

/// Why the control plane ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The same agent connected again.
    Replaced,
    /// The agent was revoked.
    Revoked,
    /// The agent says that it watches a cluster for which it may not report.
    WrongCluster,
    /// The control plane stops.
    ShuttingDown,
}

/// What a rejected peer is told before its connection is closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// How the connection is closed.
    pub code: CloseCode,
    /// What was expected and found, and what to do.
    pub refusal: v1::Refusal,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEnd {
    /// The connection is closed with this code, which says enough.
    Closed(CloseCode),
    /// The peer is told why, then the connection is closed.
    Rejected(Box<Rejection>),
    /// The connection broke, for this reason; there is nobody to tell.
    Disconnected(String),
}

impl SessionEnd {
    fn rejected(code: CloseCode, refusal: v1::Refusal) -> Self {
        Self::Rejected(Box::new(Rejection { code, refusal }))
    }

    /// Rejected for good; `word` is one of the stable words of `Refusal.code`.
    pub fn refused(word: &str, expected: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self::rejected(CloseCode::Refused, refusal(word, expected, found, remedy))
    }

    /// Rejected for breaking the protocol.
    pub fn malformed(expected: &str, found: impl Into<String>) -> Self {
        let remedy = "upgrade the agent; if it is the newest, report a defect";
        Self::rejected(CloseCode::Malformed, refusal("malformed", expected, found, remedy))
    }

    /// Rejected for now.
    pub fn overloaded(expected: &str, found: impl Into<String>) -> Self {
        let refusal = refusal("overloaded", expected, found, "none needed: try again later");
        // 5,000 ms fit.
        let retry_after_ms = u32::try_from(RETRY_AFTER.as_millis()).unwrap_or(u32::MAX);
        Self::rejected(CloseCode::Overloaded, v1::Refusal { retry_after_ms, ..refusal })
    }

    /// Rejected for now, with a stable word: the same peer may be accepted a little later.
    pub fn not_yet(word: &str, expected: &str, found: impl Into<String>, remedy: &str) -> Self {
        // 5,000 ms fit.
        let retry_after_ms = u32::try_from(RETRY_AFTER.as_millis()).unwrap_or(u32::MAX);
        let refusal = refusal(word, expected, found, remedy);
        Self::rejected(CloseCode::Refused, v1::Refusal { retry_after_ms, ..refusal })
    }

    /// Is this a rejection for now, after which the peer tries again by itself?
    pub fn passes(&self) -> bool {
        match self {
            Self::Rejected(rejection) => rejection.refusal.retry_after_ms > 0,
            Self::Closed(_) | Self::Disconnected(_) => false,
        }
    }

    /// What a rejected peer was told, in one sentence.
    pub fn told(&self) -> String {
        match self {
            Self::Rejected(rejection) => {
                let v1::Refusal { code, expected, found, .. } = &rejection.refusal;
                format!("{code}: expected {expected}, found {found}")
            }
            Self::Closed(code) => code.from_control_plane().to_owned(),
            Self::Disconnected(why) => why.clone(),
        }
    }

    /// The peers have no version in common.
    pub fn unsupported_version(error: version::NoCommonVersion) -> Self {
        let expected = format!("protocol version {} to {}", error.ours_lowest, error.ours_highest);
        let found = format!("{} to {}", error.peer_lowest, error.peer_highest);
        let is_older = error.peer_highest < error.ours_lowest;
        let remedy = if is_older { "upgrade the agent" } else { "upgrade the control plane" };
        Self::refused("unsupported_version", &expected, found, remedy)
    }

    /// The client's certificate names no agent.
    pub fn certificate_required(found: impl Into<String>) -> Self {
        Self::refused("certificate_required", "a client certificate of an agent", found, JOIN_AGAIN)
    }

    /// The certificate that the session began with ended, and none was made in its place.
    pub fn certificate_ended(at: jiff::Timestamp) -> Self {
        let remedy = "none needed where the agent is a pod: it joins anew by its service account's token; a host's agent that \
                      could not renew has to be joined again with --join";
        Self::not_yet(
            CERTIFICATE_ENDED,
            "a certificate that still holds",
            format!("one that ended at {at}, and was not renewed"),
            remedy,
        )
    }

    /// There is no such agent, or it has another key by now.
    pub fn unknown_agent(expected: &str, found: &str) -> Self {
        Self::refused(UNKNOWN_AGENT, expected, found, JOIN_AGAIN)
    }

    /// The agent was revoked.
    pub fn revoked(found: impl Into<String>) -> Self {
        Self::refused("revoked", "an agent that is not revoked", found, JOIN_AGAIN)
    }

    /// The agent may not report for the cluster that it names.
    pub fn wrong_cluster(found: impl Into<String>) -> Self {
        Self::refused("wrong_cluster", cluster_binding::EXPECTED, found, cluster_binding::REMEDY)
    }
}

impl From<CloseReason> for SessionEnd {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Replaced => Self::Closed(CloseCode::Replaced),
            CloseReason::ShuttingDown => Self::Closed(CloseCode::ShuttingDown),
            CloseReason::WrongCluster => {
                Self::wrong_cluster("one that watches a cluster for which it may not report")
            }
            CloseReason::Revoked => Self::revoked("it was revoked just now"),
        }
    }
}

/// What everybody hears from a control plane that stands by for another.
pub fn standby() -> v1::Refusal {
    let remedy = "none needed: the next try may reach the one that leads";
    let refusal = refusal(STANDBY, "the control plane that leads", "one that stands by", remedy);
    v1::Refusal { retry_after_ms: STANDBY_RETRY_MS, ..refusal }
}

fn refusal(word: &str, expected: &str, found: impl Into<String>, remedy: &str) -> v1::Refusal {
    v1::Refusal {
        code: word.to_owned(),
        expected: expected.to_owned(),
        found: found.into(),
        remedy: remedy.to_owned(),
        retry_after_ms: 0,
    }
}
