//! Looks, while this replica leads, at the public keys that the cluster's API server publishes: by them the control plane
//! lets in the cluster's new agents.

use std::sync::Arc;
use std::time::Duration;

use nimbus_platform::jittered;
use nimbus_protocol::join::MOST_CLUSTER_KEYS;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{ClusterHandle, request};
use crate::status::SharedStatus;

/// Between two looks, with jitter: an API server changes its keys once in months, but then the next pod has to get in.
const EVERY: Duration = Duration::from_secs(20);
/// The problem that they could not be read.
const PROBLEM: &str = "published-keys";

/// The keys, as a JSON Web Key Set; `None` while this replica does not lead.
pub type PublishedKeys = watch::Sender<Option<String>>;

/// Publishes the keys to `out` until cancelled; `None` while this replica does not lead.
pub async fn run(
    handle: Arc<ClusterHandle>,
    out: Arc<PublishedKeys>,
    status: Arc<SharedStatus>,
    cancel: CancellationToken,
) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = look(&handle, &out, &status) => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(jittered(EVERY)) => {}
        }
    }
}

async fn look(handle: &ClusterHandle, out: &PublishedKeys, status: &SharedStatus) {
    let (Some(_), Some(cluster)) = (handle.term(), handle.cluster()) else {
        out.send_replace(None);
        status.problem(PROBLEM, None);
        return;
    };
    match keys(&cluster.client).await {
        Ok(keys) => {
            out.send_replace(Some(keys));
            status.problem(PROBLEM, None);
        }
        // What was published before is still the best that is known.
        Err(found) => {
            let text = format!(
                "expected the API server's public keys at /openid/v1/jwks, found {found}: once they change, new agents of this \
                 cluster cannot join; see what the agent's ClusterRole lets it read"
            );
            status.problem(PROBLEM, Some(text));
        }
    }
}

/// The keys that the API server publishes to every service account.
///
/// # Errors
/// With what was found in their place.
pub async fn keys(client: &kube::Client) -> Result<String, String> {
    let answer = request::get_as(client, "/openid/v1/jwks", "application/jwk-set+json").await;
    let keys: Value = answer.map_err(|error| error.to_string())?;
    let text = keys.to_string();
    if text.len() > MOST_CLUSTER_KEYS {
        return Err(format!("{} bytes; at most {MOST_CLUSTER_KEYS} are read", text.len()));
    }
    Ok(text)
}
