//! What both ways to enrol share: which join token may be used now, and how a refusal is said.

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{AuditDraft, ChangeSet, JoinTokenRecord, TokenEnd, Versioned};
use nimbus_protocol::ids::TokenId;
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::v1;
use nimbus_store::StoreError;
use subtle::ConstantTimeEq as _;

use super::Gateway;
use crate::ca::CaError;

/// What to do about a token that is not accepted.
pub const NEW_TOKEN: &str =
    "make a new one with `nimbus agents token create --name NAME`, or with --kind cluster";

/// What an enrolment writes, and the answer once it is written.
pub struct Attempt {
    /// The documents and audit rows.
    pub changes: ChangeSet,
    /// The answer.
    pub response: v1::EnrolResponse,
}

/// The record of a token that may be spent now.
pub async fn admit(
    gateway: &Gateway,
    token: &JoinToken,
    record: Option<Versioned<JoinTokenRecord>>,
) -> Result<Versioned<JoinTokenRecord>, SessionEnd> {
    unspent(gateway, genuine(token, record)?).await
}

/// The record of a token whose secret the peer knows, whatever became of it.
pub fn genuine(
    token: &JoinToken,
    record: Option<Versioned<JoinTokenRecord>>,
) -> Result<Versioned<JoinTokenRecord>, SessionEnd> {
    let secret = nimbus_protocol::to_hex(&token.secret_sha256());
    let genuine = |record: &Versioned<JoinTokenRecord>| {
        bool::from(record.doc.secret_sha256.as_bytes().ct_eq(secret.as_bytes()))
    };
    record.filter(genuine).ok_or_else(|| {
        SessionEnd::refused(
            "token_unknown",
            "a join token of this control plane",
            "one that it does not know",
            NEW_TOKEN,
        )
    })
}

/// A genuine token's record, if it may be used now.
pub async fn unspent(
    gateway: &Gateway,
    record: Versioned<JoinTokenRecord>,
) -> Result<Versioned<JoinTokenRecord>, SessionEnd> {
    let refused =
        |word: &str, expected: &str, found: String| SessionEnd::refused(word, expected, found, NEW_TOKEN);
    let end = match record.doc.ended(gateway.app.now()) {
        None => return Ok(record),
        Some(TokenEnd::Revoked(at)) => {
            let found = format!("one that was revoked at {at}");
            refused("token_revoked", "a join token that was not revoked", found)
        }
        Some(TokenEnd::Used(at)) => {
            refused("token_used", "a join token that was not used yet", format!("one that was used at {at}"))
        }
        Some(TokenEnd::Expired(at)) => {
            refused("token_expired", "a join token that still holds", format!("one that expired at {at}"))
        }
    };
    note_misuse(gateway, record.doc.id, &end).await;
    Err(end)
}

/// The refusal of a token that is not for the cluster `uid`.
pub fn for_another_cluster(uid: &str, found: impl Into<String>) -> SessionEnd {
    let expected = format!("a join token for cluster {uid}");
    let remedy = "make one with `nimbus agents token create --kind cluster --cluster NAME`";
    SessionEnd::refused("wrong_cluster", &expected, found, remedy)
}

/// Whoever holds the secret of a token that is spent, too old, revoked or for something else is worth an audit row; other
/// unauthenticated peers are not, or they could fill the log. One row for a token in a minute, or this one could.
pub async fn note_misuse(gateway: &Gateway, token: TokenId, end: &SessionEnd) {
    if !gateway.misuses.note(token, std::time::Instant::now()) {
        return;
    }
    let app = &gateway.app;
    let audit = AuditDraft {
        at: app.now(),
        actor: "unknown".to_owned(),
        action: "agent.enrolment_refused".to_owned(),
        subject: token.to_string(),
        cluster: String::new(),
        detail: end.told().chars().take(1_000).collect(),
    };
    if let Err(error) = app.commit(&ChangeSet { audit: vec![audit], ..ChangeSet::default() }).await {
        tracing::error!(%error, %token, "the refusal could not be audited");
    }
}

/// The store does not answer: for now, nobody gets in.
#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub fn unavailable(error: StoreError) -> SessionEnd {
    tracing::warn!(%error, "an agent is put off: the store does not answer");
    SessionEnd::overloaded("a database that answers", "one that does not; see the control plane's log")
}

/// A certificate request that is not honoured.
pub fn bad_request(error: CaError) -> SessionEnd {
    match error {
        CaError::Request(found) => {
            SessionEnd::malformed("a PKCS#10 request with a P-256, P-384 or Ed25519 key", found)
        }
        other => {
            tracing::error!(error = %other, "a certificate could not be issued");
            SessionEnd::overloaded("a certificate", "it could not be made; see the control plane's log")
        }
    }
}
