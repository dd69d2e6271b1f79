//! Renews the certificate of a connected agent before it expires.
//!
//! The new key becomes the known one when the agent first connects with it, so an agent that loses the answer can
//! still use its old certificate. Only the newest renewal counts.

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::Agent;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use nimbus_store::{StoreError, renewal_name};

use super::join_token::{bad_request, unavailable};
use crate::app::App;
use crate::ca::AGENT_LIFETIME;

/// The key (SHA-256, hex) of the agent's last renewal, if it ever renewed.
pub async fn pending_key(app: &App, agent: AgentId) -> Result<Option<String>, StoreError> {
    app.store().meta_get(&renewal_name(&agent)).await
}

/// A new certificate for `agent`; its key is remembered before the certificate leaves.
pub async fn renew(
    app: &App,
    agent: AgentId,
    request: &v1::RenewRequest,
) -> Result<v1::RenewResponse, SessionEnd> {
    let known = app.store().get::<Agent>(agent).await.map_err(unavailable)?.map(|known| known.doc);
    // Its session may be about to be closed for that.
    let Some(known) = known.filter(|known| known.revoked_at.is_none()) else {
        return Err(SessionEnd::revoked("one that was revoked, or is not known any more"));
    };
    let place = known.bound_cluster.as_deref().zip(known.pod.as_ref());
    let (ca, now) = (&app.keys.ca, app.now());
    let issued = match place {
        Some((cluster, pod)) => ca.issue_pod_agent(agent, cluster, pod, &request.csr_der, now),
        None => ca.issue_agent(agent, &request.csr_der, now, AGENT_LIFETIME),
    };
    let issued = issued.map_err(bad_request)?;
    app.store().meta_set(&renewal_name(&agent), &issued.key_sha256).await.map_err(unavailable)?;
    tracing::info!(%agent, "agent certificate renewed");
    Ok(v1::RenewResponse { certificate_chain_der: issued.chain, job_keys: app.keys.signer.trusted_bytes() })
}
