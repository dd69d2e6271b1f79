//! Renews the certificate of a connected agent before it expires.
//!
//! The new key becomes the known one when the agent first connects with it, so an agent that loses the answer can
//! still use its old certificate. Only the newest renewal counts.

use nimbus_control_core::gateway::SessionEnd;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use nimbus_store::StoreError;

use super::enrol::{bad_request, unavailable};
use crate::app::App;
use crate::ca::AGENT_LIFETIME;

fn name(agent: AgentId) -> String {
    format!("renewal/{agent}")
}

/// The key (SHA-256, hex) of the agent's last renewal, if it ever renewed.
pub async fn pending_key(app: &App, agent: AgentId) -> Result<Option<String>, StoreError> {
    app.store().meta_get(&name(agent)).await
}

/// A new certificate for `agent`; its key is remembered before the certificate leaves.
pub async fn renew(
    app: &App,
    agent: AgentId,
    request: &v1::RenewRequest,
) -> Result<v1::RenewResponse, SessionEnd> {
    let issued =
        app.keys.ca.issue_agent(agent, &request.csr_der, app.now(), AGENT_LIFETIME).map_err(bad_request)?;
    app.store().meta_set(&name(agent), &issued.key_sha256).await.map_err(unavailable)?;
    tracing::info!(%agent, "agent certificate renewed");
    Ok(v1::RenewResponse { certificate_chain_der: issued.chain, job_keys: app.keys.signer.trusted_bytes() })
}
