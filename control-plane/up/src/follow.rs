//! What `nimbus up` does while it runs: it updates the managed policy when a cluster is enabled or disabled, binds its
//! agent to a cluster that answers late, and stops on a signal.

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent::{Agent, Status};
use nimbus_api::OPERATOR;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use nimbus_control_plane::App;
use nimbus_protocol::ids::AgentId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::policy::{Enabled, Policy};

/// Wait after a write that failed, such as on a full disk.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps the managed policy as clusters are enabled and as the agent names the cluster that it watches, until the control
/// plane is gone. `found` is that cluster's UID until the agent names it.
pub(super) fn enabled(
    mut clusters: watch::Receiver<Vec<Enabled>>,
    mut agent: watch::Receiver<Status>,
    found: Option<String>,
    policy: Policy,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut said = String::new();
        loop {
            let named = Some(agent.borrow_and_update().cluster_uid.clone()).filter(|uid| !uid.is_empty());
            let own = named.or_else(|| found.clone());
            let written = policy.write(&clusters.borrow_and_update(), own.as_deref());
            if let Err(failure) = &written {
                // The same problem is logged once, not every five seconds.
                let text = failure.to_string();
                if said != text {
                    tracing::warn!("the agent's managed policy does not follow what is enabled: {text}");
                    said = text;
                }
            } else {
                said.clear();
            }
            let is_another =
                |status: &Status| !status.cluster_uid.is_empty() && Some(&status.cluster_uid) != own.as_ref();
            let changed = async {
                tokio::select! {
                    changed = clusters.changed() => changed.is_ok(),
                    Ok(_) = agent.wait_for(is_another) => true,
                }
            };
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

/// Lets the agent report for a cluster that did not answer at the start, as soon as the agent names it: until then its
/// UID is not known. Without this the agent would stay bound to an earlier cluster and be refused for another one.
pub(super) fn named(app: Arc<App>, agent: &Agent) -> JoinHandle<()> {
    let (id, mut status) = (agent.id().to_owned(), agent.status());
    tokio::spawn(async move {
        let named = status.wait_for(|status| !status.cluster_uid.is_empty()).await;
        let Ok(uid) = named.map(|status| status.cluster_uid.clone()) else { return };
        let Ok(id) = id.parse::<AgentId>() else { return };
        if let Err(error) = app.grant_cluster(id, &uid, OPERATOR).await {
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

    use nimbus_protocol::ActionKind;

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
        let policy = Policy::open(&dir.path().join("policy.toml"), &[]).unwrap();
        let path = policy.managed().to_owned();
        let (send, receive) = watch::channel(Vec::new());
        let (status, agent) = watch::channel(Status::default());
        let task = enabled(receive, agent, None, policy);
        send.send(vec![("u1".to_owned(), vec![ActionKind::RestartPod])]).unwrap();
        status.send(Status { cluster_uid: "u1".to_owned(), ..Status::default() }).unwrap();
        until(&path, |text| text.contains("\"u1\"")).await;
        send.send(Vec::new()).unwrap();
        until(&path, |text| !text.contains("\"u1\"")).await;
        drop(send);
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    }
}
