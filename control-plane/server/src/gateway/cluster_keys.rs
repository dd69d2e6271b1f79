//! The keys of a cluster's API server, when they change: its leading agent brings the new ones with a renewal.
//!
//! Only the agent that leads the cluster is believed. It sees all pods there, so it could say of any pod that it is there: with
//! the keys it gets no power over its cluster that it does not have. Issuer, namespace and service account need a join token.

use nimbus_control_core::attestation::{Published, published};
use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{Agent, AuditDraft, ChangeSet, Cluster};
use nimbus_protocol::v1::ClusterKeys;

use super::join_token::unavailable;
use super::proof;
use crate::app::App;

/// What becomes of `json`, the keys that `agent` brought.
pub async fn brought(app: &App, agent: &Agent, json: &str) -> Result<ClusterKeys, SessionEnd> {
    if json.is_empty() {
        return Ok(ClusterKeys::Unspecified);
    }
    let Some(uid) = agent.bound_cluster.as_deref().filter(|_| agent.pod.is_some()) else {
        return Ok(ClusterKeys::Unspecified);
    };
    let leads = app.view.read().clusters.get(uid).is_some_and(|cluster| cluster.leader == Some(agent.id));
    if !leads {
        return Ok(ClusterKeys::NotYet);
    }
    if let Err(error) = proof::keys(json) {
        tracing::warn!(%error, cluster = uid, agent = agent.name, "the leading agent brought no usable keys");
        return Ok(ClusterKeys::Unreadable);
    }
    let Some(mut cluster) = app.store().get::<Cluster>(uid).await.map_err(unavailable)? else {
        return Ok(ClusterKeys::NotYet);
    };
    let Some(known) = &cluster.doc.identity else { return Ok(ClusterKeys::NotYet) };
    let (identity, new, gone) = match published(known, json, app.now()) {
        Published::Same => return Ok(ClusterKeys::Known),
        Published::TooSoon => return Ok(ClusterKeys::NotYet),
        Published::Changed { identity, new, gone } => (identity, new, gone),
    };
    let audit = AuditDraft {
        at: app.now(),
        actor: agent.id.to_string(),
        action: "cluster.keys_changed".to_owned(),
        subject: uid.to_owned(),
        cluster: uid.to_owned(),
        detail: told(&agent.name, &new, &gone),
    };
    cluster.doc.identity = Some(identity);
    let changes = ChangeSet { clusters: vec![cluster], audit: vec![audit], ..ChangeSet::default() };
    match app.commit(&changes).await {
        Ok(_) => Ok(ClusterKeys::Known),
        // Something else was written to the cluster meanwhile, or the database did not answer: the agent brings them again.
        Err(error) => {
            tracing::warn!(%error, cluster = uid, "the cluster's new keys could not be kept");
            Ok(ClusterKeys::NotYet)
        }
    }
}

fn told(agent: &str, new: &[String], gone: &[String]) -> String {
    let list = |keys: &[String]| if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let text = format!(
        "{agent}, which leads, brought what the API server publishes: new keys {}; published no more, and good for an hour: {}",
        list(new),
        list(gone)
    );
    text.chars().take(1_000).collect()
}
