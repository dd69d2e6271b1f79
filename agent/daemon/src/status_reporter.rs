//! Reports the agent's status to the control plane whenever it changes, and reads the policy files again at intervals.

use std::sync::Arc;
use std::time::Duration;

use nimbus_protocol::ActionKind;
use nimbus_protocol::v1::{self, observation};
use tokio::sync::watch;

use crate::exec::Shared;
use crate::observation_queue::ObservationQueue;
use crate::status::Status;

/// Several changes within this time are reported as one.
const SETTLE: Duration = Duration::from_millis(100);
/// Between two looks at the policy files; an admission reads them anew anyway.
const POLICY: Duration = Duration::from_secs(10);

/// Runs until cancelled.
pub async fn run(
    shared: Arc<Shared>,
    observations: ObservationQueue,
    hostname: String,
    mut resync: watch::Receiver<u64>,
) {
    let mut changes = shared.status.subscribe();
    let mut looks = tokio::time::interval(POLICY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reported = None;
    refresh_policy(&shared);
    loop {
        let status = changes.borrow_and_update().clone();
        let now = describe(&status, &hostname);
        if reported.as_ref() != Some(&now) {
            observations.observe("", observation::Body::AgentStatus(now.clone())).await;
            reported = Some(now);
        }
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            next = changes.changed() => {
                if next.is_err() { return }
                tokio::time::sleep(SETTLE).await;
            }
            asked = resync.changed() => {
                if asked.is_err() { return }
                reported = None;
            }
            _ = looks.tick() => refresh_policy(&shared),
        }
    }
}

fn refresh_policy(shared: &Shared) {
    let policy = shared.read_policy().policy;
    let words = |actions: Vec<ActionKind>| actions.into_iter().map(|action| action.to_string()).collect();
    let (actions, automatic): (Vec<String>, Vec<String>) =
        (words(policy.allowed_actions()), words(policy.automatic_actions()));
    let jobs_per_hour = Some(u32::from(policy.jobs_per_hour()));
    let paused = shared.pauses.local().unwrap_or_default();
    let told = shared.status.status();
    let same = told.allowed_actions == actions
        && told.automatic_actions == automatic
        && told.jobs_per_hour == jobs_per_hour
        && told.paused == paused;
    if !same {
        shared.status.update(|status| {
            status.allowed_actions = actions;
            status.automatic_actions = automatic;
            status.jobs_per_hour = jobs_per_hour;
            status.paused = paused;
        });
    }
}

fn describe(status: &Status, hostname: &str) -> v1::AgentStatus {
    v1::AgentStatus {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster_uid: status.cluster_uid.clone(),
        cluster_name: status.cluster_name.clone(),
        leading: status.leading,
        lease_term: status.lease_term,
        allowed_actions: status.allowed_actions.clone(),
        roots: status.roots.clone(),
        // That the control plane cannot be reached is no news to it.
        problems: status.problems.iter().filter(|p| !p.starts_with("not connected to ")).cloned().collect(),
        dropped: status.dropped,
        hostname: hostname.to_owned(),
        jobs_per_hour: status.jobs_per_hour,
        transport: status.transport.clone(),
        paused: status.paused.clone(),
        automatic_actions: status.automatic_actions.clone(),
    }
}
