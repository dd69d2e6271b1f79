//! Enrolment of a new agent: exchanges a join token and a certificate request for an identity, once for each token.
//!
//! The token is spent, the agent made and the audit row written in one commit under the token's version: of two
//! requests with one token, one wins. The secret is compared before anything else is said about a token.

use std::time::Duration;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, JoinTokenRecord, Versioned};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::v1::agent_frame::Body as From;
use nimbus_protocol::v1::server_frame::Body as To;
use nimbus_protocol::{v1, version};
use nimbus_store::StoreError;
use quinn::Connection;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::frames::{self, FrameReader};
use super::{Gateway, Slot, reject};
use crate::app::App;
use crate::ca::{AGENT_LIFETIME, CaError, Issued};

const NEW_TOKEN: &str = "make a new one with `nimbus agents token create`";
/// Reads again so often when somebody else wrote in between.
const TRIES: usize = 5;

/// Serves one connection of the enrolment protocol. The peer has `patience` for its stream and its request, and
/// again for taking the answer; `_slot` is held to the end.
pub async fn serve(gateway: &Gateway, connection: &Connection, _slot: Slot, patience: Duration) {
    let by = Instant::now() + patience;
    let mut who = "a joining agent".to_owned();
    let Ok(accepted) = tokio::time::timeout_at(by, connection.accept_bi()).await else {
        return reject::close(
            connection,
            CloseCode::Malformed,
            "expected an enrolment request in time, found none",
        );
    };
    let Ok((mut send, recv)) = accepted else { return };
    let answer = async {
        let mut reader = FrameReader::new(recv);
        let read = tokio::time::timeout_at(by, reader.next::<v1::AgentFrame>());
        let frame = read.await.map_err(|_| SessionEnd::malformed("an enrolment request in time", "none"))?;
        let frame = frame.map_err(reject::unreadable)?;
        let Some(From::Enrol(request)) = frame.and_then(|frame| frame.body) else {
            return Err(SessionEnd::malformed("an enrolment request", "another message or none"));
        };
        who = format!("a joining agent on {:?}", &request.hostname.chars().take(64).collect::<String>());
        enrol(gateway, &request).await
    };
    let answered = match answer.await {
        Err(end) => Err(end),
        Ok(response) => {
            let written = frames::write(&mut send, To::Enrolled(response)).await;
            written.map_err(|error| SessionEnd::Disconnected(error.to_string()))
        }
    };
    if let Err(end) = answered {
        return reject::end(&gateway.app, &gateway.log_throttles, connection, Some(&mut send), &who, end)
            .await;
    }
    // The agent closes when it has everything; a slow one gets a moment.
    let _ = send.finish();
    let _ = tokio::time::timeout(patience, connection.closed()).await;
    reject::close(connection, CloseCode::Done, "");
}

async fn enrol(gateway: &Gateway, request: &v1::EnrolRequest) -> Result<v1::EnrolResponse, SessionEnd> {
    let app = &gateway.app;
    version::negotiate(request.lowest_version, request.highest_version)
        .map_err(SessionEnd::unsupported_version)?;
    let token: JoinToken =
        request.token.parse().map_err(|error: nimbus_protocol::join::JoinTokenError| {
            SessionEnd::refused("token_unknown", "a join token", error.to_string(), NEW_TOKEN)
        })?;
    for _ in 0..TRIES {
        let record = app.store().get::<JoinTokenRecord>(token.id).await.map_err(unavailable)?;
        let record = admit(gateway, &token, record).await?;
        let (changes, response) = prepare(app, request, record).await?;
        match app.commit(&changes).await {
            Ok(_) => {
                let (agent, name) = (&response.agent_id, &response.agent_name);
                tracing::info!(agent, name, token = %token.id, "agent enrolled");
                return Ok(response);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(SessionEnd::overloaded("a commit", "other writers were faster each time"))
}

/// The record of a token that may be spent now.
async fn admit(
    gateway: &Gateway,
    token: &JoinToken,
    record: Option<Versioned<JoinTokenRecord>>,
) -> Result<Versioned<JoinTokenRecord>, SessionEnd> {
    let secret = nimbus_protocol::to_hex(&token.secret_sha256());
    let genuine = |record: &Versioned<JoinTokenRecord>| {
        bool::from(record.doc.secret_sha256.as_bytes().ct_eq(secret.as_bytes()))
    };
    let Some(record) = record.filter(genuine) else {
        return Err(SessionEnd::refused(
            "token_unknown",
            "a join token of this control plane",
            "one that it does not know",
            NEW_TOKEN,
        ));
    };
    if let Some(at) = record.doc.used_at {
        let found = format!("one that was used at {at}");
        note_misuse(gateway, &record.doc, &found).await;
        return Err(SessionEnd::refused(
            "token_used",
            "a join token that was not used yet",
            found,
            NEW_TOKEN,
        ));
    }
    if gateway.app.now() >= record.doc.expires_at {
        let found = format!("one that expired at {}", record.doc.expires_at);
        note_misuse(gateway, &record.doc, &found).await;
        return Err(SessionEnd::refused("token_expired", "a join token that still holds", found, NEW_TOKEN));
    }
    Ok(record)
}

/// Whoever holds the secret of a token that is spent or too old is worth an audit row; other unauthenticated peers
/// are not, or they could fill the log. One row for a token in a minute, or this one could.
async fn note_misuse(gateway: &Gateway, record: &JoinTokenRecord, found: &str) {
    if !gateway.misuses.note(record.id, std::time::Instant::now()) {
        return;
    }
    let app = &gateway.app;
    let audit = AuditDraft {
        at: app.now(),
        actor: "unknown".to_owned(),
        action: "agent.enrolment_refused".to_owned(),
        subject: record.id.to_string(),
        cluster: String::new(),
        detail: format!("expected a token that holds, found {found}"),
    };
    if let Err(error) = app.commit(&ChangeSet { audit: vec![audit], ..ChangeSet::default() }).await {
        tracing::error!(%error, token = %record.id, "the refusal could not be audited");
    }
}

async fn prepare(
    app: &App,
    request: &v1::EnrolRequest,
    token: Versioned<JoinTokenRecord>,
) -> Result<(ChangeSet, v1::EnrolResponse), SessionEnd> {
    let now = app.now();
    let docs = app.docs().await.map_err(unavailable)?;
    let id = AgentId::new(&mut app.ids());
    let name = token.doc.name.clone();
    if let Some(other) = docs.named(&name) {
        let found = format!("{name}, which agent {} has", other.id);
        let remedy =
            "revoke that agent first (`nimbus agents revoke NAME`), or make a token with another --name";
        return Err(SessionEnd::refused("name_taken", "a name that no other agent has", found, remedy));
    }
    let issued = app.keys.ca.issue_agent(id, &request.csr_der, now, AGENT_LIFETIME).map_err(bad_request)?;
    let Issued { chain, key_sha256 } = issued;
    let hostname: String = request.hostname.chars().take(253).collect();
    let response = v1::EnrolResponse {
        agent_id: id.to_string(),
        certificate_chain_der: chain,
        job_keys: app.keys.signer.trusted_bytes(),
        agent_name: name.clone(),
        kind: token.doc.kind.to_string(),
    };
    let audit = AuditDraft {
        at: now,
        actor: id.to_string(),
        action: "agent.enrolled".to_owned(),
        subject: id.to_string(),
        cluster: String::new(),
        detail: format!(
            "as {name} ({}), with token {} of {}",
            token.doc.kind, token.doc.id, token.doc.created_by
        ),
    };
    let bound_cluster = token.doc.cluster.clone();
    let agent = Agent { name, key_sha256, hostname, bound_cluster, ..Agent::new(id, token.doc.kind, now) };
    let mut spent = token;
    spent.doc.used_at = Some(now);
    spent.doc.used_by = Some(id);
    let changes = ChangeSet {
        agents: vec![Versioned::new(agent)],
        tokens: vec![spent],
        audit: vec![audit],
        ..ChangeSet::default()
    };
    Ok((changes, response))
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
