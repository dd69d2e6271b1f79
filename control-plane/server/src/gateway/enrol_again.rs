//! Enrolment that was done and whose answer the agent did not keep: its connection broke, or its disk was full. It asks again with the
//! token and the key of then, and gets a certificate for the same agent. For any other key the token is used up, and for an
//! agent that said hello it is too: it kept its answer. A revoked token gets nobody an answer.

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, JoinTokenRecord};
use nimbus_protocol::v1;

use super::Gateway;
use super::join_token::{Attempt, bad_request, unavailable};
use crate::ca::{AGENT_LIFETIME, requested_key};

/// What to write and to answer, if this token made an agent of the request's key and may still be used by its time. Whoever sent the
/// request holds that key, as its signature is checked; that it holds the token's secret was checked before.
///
/// Each answer is a row of the audit log: `Err` where an agent asks more often than [`super::limits::Misuses`] allows rows.
pub async fn attempt(
    gateway: &Gateway,
    request: &v1::EnrolRequest,
    token: &JoinTokenRecord,
) -> Result<Option<Attempt>, SessionEnd> {
    let (app, now) = (&gateway.app, gateway.app.now());
    if token.used_by.is_none() || now >= token.expires_at || token.revoked_at.is_some() {
        return Ok(None);
    }
    // What is no request is refused later, where it belongs.
    let Ok(key) = requested_key(&request.csr_der) else { return Ok(None) };
    let Some(agent) = made(gateway, token, &key).await? else { return Ok(None) };
    if !gateway.asked_again.note(agent.id, std::time::Instant::now()) {
        let found = "one that did, within the last minute";
        return Err(SessionEnd::overloaded("an agent that did not ask for its answer again", found));
    }
    let issued =
        app.keys.ca.issue_agent(agent.id, &request.csr_der, now, AGENT_LIFETIME).map_err(bad_request)?;
    let audit = AuditDraft {
        at: now,
        actor: agent.id.to_string(),
        action: "agent.enrolled_again".to_owned(),
        subject: agent.id.to_string(),
        cluster: String::new(),
        detail: format!("{} asked again with its key and token {}", agent.name, token.id),
    };
    let response = v1::EnrolResponse {
        agent_id: agent.id.to_string(),
        certificate_chain_der: issued.chain,
        job_keys: app.keys.signer.trusted_bytes(),
        agent_name: agent.name,
        kind: agent.kind.to_string(),
    };
    Ok(Some(Attempt { changes: ChangeSet { audit: vec![audit], ..ChangeSet::default() }, response }))
}

/// The agent that this token made with this key, as it is stored: what is kept in memory follows a commit a moment later.
async fn made(gateway: &Gateway, token: &JoinTokenRecord, key: &str) -> Result<Option<Agent>, SessionEnd> {
    let app = &gateway.app;
    let docs = app.docs().await.map_err(unavailable)?;
    let others = docs.agents.joining_with(token.id).map(|agent| &agent.doc);
    let others = others.filter(|agent| is_it(agent, token, key));
    for id in token.used_by.into_iter().chain(others.map(|agent| agent.id)) {
        let stored = app.store().get::<Agent>(id).await.map_err(unavailable)?;
        if let Some(agent) = stored.map(|agent| agent.doc).filter(|agent| is_it(agent, token, key)) {
            return Ok(Some(agent));
        }
    }
    Ok(None)
}

/// A person may have revoked it meanwhile.
fn is_it(agent: &Agent, token: &JoinTokenRecord, key: &str) -> bool {
    agent.joining_with == Some(token.id) && agent.key_sha256 == key && agent.revoked_at.is_none()
}
