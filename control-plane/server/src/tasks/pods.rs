//! Ends the agents of pods that are gone: they are revoked, and their sessions closed. Once a second: what it takes grows with
//! the agents that are there.

use nimbus_control_core::attestation;
use nimbus_control_core::gateway::CloseReason;
use nimbus_store::StoreError;

use super::pass::decide;
use crate::app::App;

/// One look. True when it ended some: one look does not end all, and the next one is due at once then.
pub async fn pass(app: &App) -> Result<bool, StoreError> {
    if !decide(app, "gone pods", |snapshot, now, _| attestation::gone(snapshot, now)).await? {
        return Ok(false);
    }
    let connected = app.sessions.connected();
    let docs = app.docs().await?;
    let of_pods = docs.agents.iter().map(|agent| &agent.doc).filter(|agent| agent.pod.is_some());
    for agent in of_pods.filter(|agent| agent.revoked_at.is_some() && connected.contains(&agent.id)) {
        app.sessions.close(agent.id, CloseReason::Revoked);
    }
    Ok(true)
}
