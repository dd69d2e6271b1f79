//! What agents hear from a control plane that stands by: a refusal that says when to come back. A service in front of
//! several sends each new connection to any of them, so the next try may reach the one that leads.

use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::standby;
use nimbus_platform::jittered;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1::server_frame::Body;
use quinn::{Endpoint, Incoming};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{frames, limits, reject};

/// Peers that are told at the same time; further ones are turned away without a word, and come back as well.
const MAX_TOLD: usize = 256;

/// Refuses everybody until `stop` is cancelled; who is being told by then is told to the end.
pub async fn refuse(endpoint: Endpoint, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_TOLD));
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        tokio::spawn(async move {
            // Whoever does not come to an end in time is closed: the connection is dropped.
            let _ = tokio::time::timeout(limits::HANDSHAKE, tell(incoming)).await;
            drop(place);
        });
    }
}

async fn tell(incoming: Incoming) {
    let connected = async { incoming.accept()?.await };
    let Ok(connection) = connected.await else { return };
    let mut refusal = standby();
    let base = Duration::from_millis(refusal.retry_after_ms.into());
    refusal.retry_after_ms = u32::try_from(jittered(base).as_millis()).unwrap_or(u32::MAX);
    let reason = format!("{}: expected {}, found {}", refusal.code, refusal.expected, refusal.found);
    let told = async {
        let Ok((mut send, _)) = connection.accept_bi().await else { return };
        if frames::write(&mut send, Body::Refusal(refusal)).await.is_ok() && send.finish().is_ok() {
            let _ = send.stopped().await;
        }
    };
    let _ = tokio::time::timeout(limits::GOODBYE, told).await;
    reject::close(&connection, CloseCode::Refused, &reason);
}
