//! Joins from inside a pod: the pod's service account token proves to the control plane where this agent runs.
//!
//! The kubelet keeps the token fresh, so it is read anew for every try. With it go the cluster's public keys, which the
//! control plane believes only together with a join token that holds: the first agent of a cluster brings them.

use std::path::Path;
use std::time::Duration;

use nimbus_platform::{DoublingWait, read_regular_text};
use nimbus_protocol::join::{MOST_CLUSTER_KEYS, MOST_SERVICE_ACCOUNT_TOKEN};
use serde_json::Value;

use crate::config::Config;
use crate::enrol::{EnrollingAgent, enrol};
use crate::error::AgentError;
use crate::identity::proof::ProofError;
use crate::identity::{Identity, IdentityError};
use crate::watch::kube::client::Target;
use crate::watch::kube::request;

/// How long it tries to join; after one more try the kubelet starts the container anew.
const LONGEST: Duration = Duration::from_mins(15);
/// The waits between two of them, with jitter: the pods of a large cluster start at once.
const WAIT: DoublingWait = DoublingWait::new(Duration::from_millis(500), Duration::from_secs(20));

/// Joins as the agent of this pod, trying again while that may help.
pub async fn join(
    dir: &Path,
    config: &Config,
    token: &str,
    proof: &Path,
    target: Option<&Target>,
) -> Result<Identity, AgentError> {
    let target = target.ok_or(ProofError::NoCluster)?;
    let (mut waits, begun) = (WAIT, nimbus_platform::monotonic());
    while nimbus_platform::monotonic().saturating_sub(begun) < LONGEST {
        let wait = waits.next();
        match attempt(dir, config, token, proof, target).await {
            Err(error) if may_pass(&error) => {
                tracing::warn!("{error}; trying again in {} ms", wait.as_millis());
            }
            done => return done,
        }
        tokio::time::sleep(wait).await;
    }
    attempt(dir, config, token, proof, target).await
}

/// One try.
pub async fn attempt(
    dir: &Path,
    config: &Config,
    token: &str,
    proof: &Path,
    target: &Target,
) -> Result<Identity, AgentError> {
    let service_account_token = read(proof)?;
    let cluster = target.identify().await?;
    let cluster_keys_json = keys(&cluster.client).await?;
    let enrolling_agent = EnrollingAgent {
        hostname: config.hostname(),
        cluster_uid: cluster.uid,
        cluster_name: cluster.name,
        service_account_token,
        cluster_keys_json,
    };
    Ok(enrol(dir, &config.server, token, enrolling_agent).await?)
}

fn may_pass(error: &AgentError) -> bool {
    match error {
        AgentError::Identity(
            IdentityError::Unreachable { .. } | IdentityError::Refused { passes: true, .. },
        )
        | AgentError::Cluster(_)
        | AgentError::Proof(ProofError::ApiServer { .. } | ProofError::Token { .. }) => true,
        // A new kind of error ends the process, and the kubelet starts it anew: it is said, and nothing is lost.
        _ => false,
    }
}

fn read(path: &Path) -> Result<String, ProofError> {
    let wrong = |found: String| ProofError::Token { path: path.to_owned(), found };
    // One line ending more than the token.
    let most = MOST_SERVICE_ACCOUNT_TOKEN as u64 + 1;
    let text = read_regular_text(path, most).map_err(|error| wrong(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() || text.len() > MOST_SERVICE_ACCOUNT_TOKEN {
        return Err(wrong(format!("{} bytes; 1 to {MOST_SERVICE_ACCOUNT_TOKEN} are read", text.len())));
    }
    Ok(text.to_owned())
}

/// The keys that the API server publishes to every service account.
async fn keys(client: &kube::Client) -> Result<String, ProofError> {
    let wrong =
        |found: String| ProofError::ApiServer { expected: "its public keys at /openid/v1/jwks", found };
    let answer = request::get_as(client, "/openid/v1/jwks", "application/jwk-set+json").await;
    let keys: Value = answer.map_err(|error| wrong(error.to_string()))?;
    let text = keys.to_string();
    if text.len() > MOST_CLUSTER_KEYS {
        return Err(wrong(format!("{} bytes; at most {MOST_CLUSTER_KEYS} are read", text.len())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_and_a_file_without_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(read(&path).unwrap_err().to_string().contains("nimbus-control-plane"));
        for (text, good) in
            [("a.b.c\n", true), ("\n", false), (&"x".repeat(MOST_SERVICE_ACCOUNT_TOKEN + 1), false)]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_ok(), good, "{} bytes", text.len());
        }
        std::fs::write(&path, "a.b.c\n").unwrap();
        assert_eq!(read(&path).unwrap(), "a.b.c");
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        let refused = |passes| {
            let text = String::new;
            let (code, expected, found, remedy) = (text(), text(), text(), text());
            AgentError::Identity(IdentityError::Refused { code, expected, found, remedy, passes })
        };
        assert!(may_pass(&refused(true)) && !may_pass(&refused(false)));
        assert!(!may_pass(&ProofError::NoCluster.into()));
    }
}
