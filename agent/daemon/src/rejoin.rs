//! The agent of a pod joins anew where its identity is of no use any more.
//!
//! Its certificate holds an hour, so a control plane that is away for longer finds it ended; and one that was restored from
//! a backup may not know the agent. Nobody gives a pod a new join token: it proves where it runs again, with the same key.
//! Meanwhile everything goes on, and what is seen waits in the spool. Once it has joined, the process ends, and the kubelet
//! starts it with what it got.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nimbus_platform::jittered;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::datadir::DataDir;
use crate::identity::Identity;
use crate::pod_proof;
use crate::status::{SharedStatus, Status};
use crate::watch::kube::client::Target;

/// Between two looks, with jitter: the pods of a large cluster may all have to.
const EVERY: Duration = Duration::from_secs(20);

/// What joining anew needs.
struct Rejoin {
    /// The identity's directory.
    dir: PathBuf,
    config: Config,
    target: Target,
}

/// Looks among `parts` until `cancel`, in the agent of a pod; the answer is cancelled once it has joined anew.
pub fn start(
    parts: &mut JoinSet<()>,
    config: &Config,
    data_dir: &DataDir,
    target: Option<&Target>,
    status: &Arc<SharedStatus>,
    cancel: &CancellationToken,
) -> CancellationToken {
    let joined = CancellationToken::new();
    if let Some(target) = target.cloned() {
        let rejoin = Rejoin { dir: data_dir.identity(), config: config.clone(), target };
        parts.spawn(rejoin.run(status.clone(), cancel.clone(), joined.clone()));
    }
    joined
}

impl Rejoin {
    async fn run(self, status: Arc<SharedStatus>, cancel: CancellationToken, joined: CancellationToken) {
        let (Some(token), Some(proof)) = (&self.config.join, &self.config.service_account_token) else {
            return;
        };
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(jittered(EVERY)) => {}
            }
            // Read anew: the session renews it.
            let ends_at = match Identity::load(&self.dir) {
                Ok(Some(identity)) => identity.expires_at(),
                Ok(None) | Err(_) => 0,
            };
            if !is_due(&status.status(), ends_at, status.job_time().as_second()) {
                continue;
            }
            let joined_now = tokio::select! {
                () = cancel.cancelled() => return,
                joined = pod_proof::attempt(&self.dir, &self.config, token, proof, &self.target) => joined,
            };
            match joined_now {
                Ok(identity) => {
                    tracing::warn!(agent = %identity.agent_id, "joined anew; ending, to begin again as this agent");
                    joined.cancel();
                    return;
                }
                Err(error) => tracing::warn!("joining anew: {error}"),
            }
        }
    }
}

/// Is the identity of no use? The control plane said so: it does not know the agent, or its certificate ended. Or there is no session, and
/// the certificate ended (both times in seconds since the Unix epoch).
fn is_due(status: &Status, ends_at: i64, now: i64) -> bool {
    status.unknown || (!status.connected && now >= ends_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_joins_anew_where_its_identity_is_of_no_use() {
        let status = |connected, unknown| Status { connected, unknown, ..Status::default() };
        assert!(!is_due(&status(false, false), 100, 99), "the control plane is away: there is time");
        assert!(is_due(&status(false, false), 100, 100), "it can come back no other way");
        assert!(
            !is_due(&status(true, false), 100, 100),
            "the control plane ends a session whose certificate ended"
        );
        assert!(is_due(&status(false, true), 1_000, 0), "the control plane was restored");
    }
}
