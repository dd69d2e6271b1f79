//! Enrolment that was done and whose answer the agent did not keep: its connection broke, or its disk was full. It asks again with the
//! token and the key of then, and gets a certificate for the same agent; for any other key the token is used up.

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, JoinTokenRecord};
use nimbus_protocol::v1;

use super::join_token::{Attempt, bad_request, unavailable};
use crate::app::App;
use crate::ca::{AGENT_LIFETIME, requested_key};

/// What to write and to answer, if this token made an agent of the request's key and may still be used by its time. Whoever sent the
/// request holds that key, as its signature is checked; that it holds the token's secret was checked before.
pub async fn attempt(
    app: &App,
    request: &v1::EnrolRequest,
    token: &JoinTokenRecord,
) -> Result<Option<Attempt>, SessionEnd> {
    let now = app.now();
    // The last one alone: of a token of several uses, an earlier agent joins as another one.
    let Some(id) = token.used_by.filter(|_| now < token.expires_at) else {
        return Ok(None);
    };
    let agent = app.store().get::<Agent>(id).await.map_err(unavailable)?;
    let Some(agent) = agent.map(|agent| agent.doc).filter(|agent| is_same(agent, token)) else {
        return Ok(None);
    };
    if requested_key(&request.csr_der).map_err(bad_request)? != agent.key_sha256 {
        return Ok(None);
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

/// A person may have revoked it meanwhile, and the agent of a pod has its own way back.
fn is_same(agent: &Agent, token: &JoinTokenRecord) -> bool {
    agent.revoked_at.is_none() && agent.pod.is_none() && agent.kind == token.kind
}
