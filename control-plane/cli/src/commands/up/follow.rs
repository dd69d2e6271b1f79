//! What happens while it runs: the policy follows what is enabled, the agent's claim the cluster that answers late, and
//! a signal ends it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nimbus_agent::Agent;
use nimbus_api::OPERATOR;
use nimbus_control_plane::App;
use nimbus_protocol::ids::AgentId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::policy::Policy;
use crate::error::Failure;
use crate::files;

/// After a write that failed (a full disk, a broken file) it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps the policy's clusters as they are enabled, until the control plane is gone.
pub(super) fn enabled<A>(
    mut clusters: watch::Receiver<Vec<(String, Vec<A>)>>,
    policy: Policy,
) -> JoinHandle<()>
where
    A: Send + Sync + 'static,
{
    tokio::spawn(async move {
        let mut said = String::new();
        loop {
            let uids: BTreeSet<String> =
                clusters.borrow_and_update().iter().map(|(uid, _)| uid.clone()).collect();
            let written = policy.follow(&uids);
            if let Err(failure) = &written {
                // The same trouble is told once, not every five seconds.
                let text = failure.to_string();
                if said != text {
                    tracing::warn!("the agent's policy does not follow what is enabled: {text}");
                    said = text;
                }
            } else {
                said.clear();
            }
            let changed = async { clusters.changed().await.is_ok() };
            let alive = match written {
                Ok(()) => changed.await,
                Err(_) => tokio::time::timeout(AGAIN, changed).await.unwrap_or(true),
            };
            if !alive {
                return;
            }
        }
    })
}

/// A cluster that did not answer at the start has no UID for which the agent could be let in: it is let in as soon as
/// the agent names it. Without this it would keep an earlier claim, and be refused where it is pointed at another one.
pub(super) fn named(app: Arc<App>, agent: &Agent) -> JoinHandle<()> {
    let (id, mut status) = (agent.id().to_owned(), agent.status());
    tokio::spawn(async move {
        let named = status.wait_for(|status| !status.cluster_uid.is_empty()).await;
        let Ok(uid) = named.map(|status| status.cluster_uid.clone()) else { return };
        let Ok(id) = id.parse::<AgentId>() else { return };
        if let Err(error) = app.grant_cluster(&id, &uid, OPERATOR).await {
            tracing::warn!("this machine's agent may not watch cluster {uid}: {error}");
        }
    })
}

/// Ctrl-C and SIGTERM.
pub(super) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// From now on the signals do not kill the process by themselves.
    pub fn new() -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::new("signals cannot be received").found(files::reason(&error));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Until one comes.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Looks at the file until it says so; the bound only ends a test that fails.
    async fn until(path: &Path, expected: impl Fn(&str) -> bool) {
        let seen = async {
            while !std::fs::read_to_string(path).is_ok_and(|text| expected(&text)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
    }

    #[tokio::test]
    async fn the_policy_follows_and_the_task_ends_with_the_control_plane() {
        let dir = tempfile::tempdir().unwrap();
        let (policy, _) = Policy::open(&dir.path().join("policy.toml"), &[]).unwrap();
        let path = policy.path().to_owned();
        let (send, receive) = watch::channel(Vec::<(String, Vec<()>)>::new());
        let task = enabled(receive, policy);
        send.send(vec![("u1".to_owned(), Vec::new())]).unwrap();
        until(&path, |text| text.contains("\"u1\"")).await;
        send.send(Vec::new()).unwrap();
        until(&path, |text| !text.contains("\"u1\"")).await;
        drop(send);
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    }
}
