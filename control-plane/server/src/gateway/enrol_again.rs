//! Enrolment that was done and whose answer the agent did not keep: its connection broke, or its disk was full. It asks again with the
//! token and the key of then, and gets a certificate for the same agent. For any other key the token is used up, and for an
//! agent that had a session it is too: it kept its answer.

use std::time::Instant;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, JoinTokenRecord};
use nimbus_protocol::v1;

use super::Gateway;
use super::join_token::{Attempt, bad_request, unavailable};
use crate::ca::{AGENT_LIFETIME, requested_key};

/// What to write and to answer, if this token made an agent of the request's key and may still be used by its time. Whoever sent the
/// request holds that key, as its signature is checked; that it holds the token's secret was checked before.
pub async fn attempt(
    gateway: &Gateway,
    request: &v1::EnrolRequest,
    token: &JoinTokenRecord,
) -> Result<Option<Attempt>, SessionEnd> {
    let (app, now) = (&gateway.app, gateway.app.now());
    if token.used == 0 && token.used_by.is_none() || now >= token.expires_at {
        return Ok(None);
    }
    // What is no request is refused later, where it belongs.
    let Ok(key) = requested_key(&request.csr_der) else { return Ok(None) };
    let Some(agent) = made(gateway, token, &key).await? else { return Ok(None) };
    let issued =
        app.keys.ca.issue_agent(agent.id, &request.csr_der, now, AGENT_LIFETIME).map_err(bad_request)?;
    // One row for a token in a minute: whoever holds token and key could fill the log.
    let is_told = gateway.asked_again.note(token.id, Instant::now());
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
    let audit = is_told.then_some(audit).into_iter().collect();
    Ok(Some(Attempt { changes: ChangeSet { audit, ..ChangeSet::default() }, response }))
}

/// The agent that this token made with this key.
async fn made(gateway: &Gateway, token: &JoinTokenRecord, key: &str) -> Result<Option<Agent>, SessionEnd> {
    let app = &gateway.app;
    // The last one is asked of the store, as what is kept in memory follows a commit a moment later.
    if let Some(id) = token.used_by {
        let last = app.store().get::<Agent>(id).await.map_err(unavailable)?;
        if let Some(last) = last.filter(|agent| is_it(&agent.doc, token, key)) {
            return Ok(Some(last.doc));
        }
    }
    let docs = app.docs().await.map_err(unavailable)?;
    Ok(docs.agents.iter().map(|agent| &agent.doc).find(|agent| is_it(agent, token, key)).cloned())
}

/// A person may have revoked it meanwhile, and the agent of a pod has its own way back.
fn is_it(agent: &Agent, token: &JoinTokenRecord, key: &str) -> bool {
    let of_token = agent.kind == token.kind
        && agent.created_at >= token.created_at
        && agent.bound_cluster == token.cluster.clone().or_else(|| token.first_cluster.clone());
    let never_came = agent.version.is_empty();
    agent.key_sha256 == key && of_token && never_came && agent.revoked_at.is_none() && agent.pod.is_none()
}
