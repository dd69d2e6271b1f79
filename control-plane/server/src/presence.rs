//! Keeps this control plane's row among those on the same database, so that the one that leads can name who stands by. It is
//! apart from the lease: a row that cannot be written holds up nobody, and is written with a later beat.

use nimbus_control_core::leadership::PATIENCE;
use nimbus_control_core::leadership::replicas::BEAT;
use nimbus_protocol::ids::IdSource as _;
use nimbus_store::{ReplicaName, Store};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::ids::Ids;

/// The name of this process; it serves operators at `address`.
pub fn name(address: String) -> ReplicaName {
    // As uname says it, and so in a pod the pod's own.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let name = if host.is_empty() { "unknown-host".to_owned() } else { host.to_owned() };
    let id = Ids.next_uuid().to_string();
    ReplicaName { id, name, address, build: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Renews the row with each beat until cancelled, and takes it away then. What the database says against it is said by the
/// lease.
pub async fn keep(store: Store, own: ReplicaName, cancel: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = beat.tick() => {}
        }
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, store.note_replica(&own)).await {
            tracing::debug!(%error, "this control plane's row is not renewed");
        }
    }
    if !matches!(tokio::time::timeout(PATIENCE, store.forget_replica(&own)).await, Ok(Ok(()))) {
        tracing::debug!("this control plane's row is left to time");
    }
}
