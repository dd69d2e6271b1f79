//! Accepts QUIC connections within bounds, and hands each to the protocol that it negotiated.

use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{
    self, MAX_HANDSHAKES, MAX_HANDSHAKES_EACH, MAX_UNAUTHENTICATED, MAX_UNAUTHENTICATED_EACH,
    MAX_UNAUTHENTICATED_WAITING,
};
use super::{Gateway, Slot, enrol, reject, session};
use crate::share::Shares;

/// Accepts until `stop` is cancelled. Each connection is a task of `tasks`.
pub async fn run(gateway: Arc<Gateway>, tasks: TaskTracker, stop: CancellationToken) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let handshakes_each = Shares::new(MAX_HANDSHAKES_EACH);
    let connections = Arc::new(Semaphore::new(gateway.max_connections));
    let unauthenticated = Unauthenticated::default();
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => return,
            incoming = gateway.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let address = incoming.remote_address().ip();
        // The address too: whoever only writes down another's as its own takes at most half of that one's share.
        let busy = handshakes.available_permits() < MAX_HANDSHAKES / 2
            || handshakes_each.held(address) >= MAX_HANDSHAKES_EACH / 2;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Only an address that cannot be retried makes this fail, which was asked just now.
            let _ = incoming.retry();
            continue;
        }
        let place = Arc::clone(&handshakes).try_acquire_owned().ok();
        let Some((place, share)) = place.zip(handshakes_each.take(address)) else {
            gateway.app.metrics.overloaded.increment(1);
            incoming.refuse();
            continue;
        };
        let handshake = Slot { _place: place, _share: share };
        let room = Arc::clone(&connections).try_acquire_owned().ok();
        tasks.spawn(serve(Arc::clone(&gateway), incoming, handshake, room, unauthenticated.clone()));
    }
}

/// Places for peers that showed no certificate: they compete with each other alone.
#[derive(Clone)]
struct Unauthenticated {
    present: Arc<Semaphore>,
    served: Arc<Semaphore>,
    each: Shares,
}

impl Default for Unauthenticated {
    fn default() -> Self {
        let places = |most| Arc::new(Semaphore::new(most));
        Self {
            present: places(MAX_UNAUTHENTICATED_WAITING),
            served: places(MAX_UNAUTHENTICATED),
            each: Shares::new(MAX_UNAUTHENTICATED_EACH),
        }
    }
}

async fn serve(
    gateway: Arc<Gateway>,
    incoming: Incoming,
    handshake: Slot,
    room: Option<OwnedSemaphorePermit>,
    unauthenticated: Unauthenticated,
) {
    let remote = incoming.remote_address();
    let connected = async { incoming.accept()?.await };
    let connection = match tokio::time::timeout(limits::HANDSHAKE, connected).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return failed(&gateway, remote, &error),
        Err(_) => return failed(&gateway, remote, &"no complete handshake in time"),
    };
    if room.is_none() {
        gateway.app.sessions.refused_for_room(gateway.max_connections, std::time::Instant::now());
        let found = format!("{} open", gateway.max_connections);
        return reject_overloaded(&gateway, &connection, "fewer connections", found).await;
    }
    if connection.peer_identity().is_some() {
        return serve_protocol(&gateway, &connection, handshake, limits::FIRST_FRAME).await;
    }
    let Some(share) = unauthenticated.each.take(remote.ip()) else {
        let found = format!("{MAX_UNAUTHENTICATED_EACH} at once from one address");
        return reject_overloaded(&gateway, &connection, "fewer peers without a certificate", found).await;
    };
    let Ok(_present) = unauthenticated.present.try_acquire_owned() else {
        let found = format!("{MAX_UNAUTHENTICATED_WAITING} at once");
        return reject_overloaded(&gateway, &connection, "fewer peers without a certificate", found).await;
    };
    drop((handshake, room));
    let place = tokio::time::timeout(limits::UNAUTHENTICATED, unauthenticated.served.acquire_owned());
    let Ok(Ok(place)) = place.await else {
        let found = format!("{MAX_UNAUTHENTICATED} at once");
        return reject_overloaded(&gateway, &connection, "fewer peers without a certificate", found).await;
    };
    let place = Slot { _place: place, _share: share };
    serve_protocol(&gateway, &connection, place, limits::UNAUTHENTICATED).await;
}

/// Serves what was agreed on; the peer has `patience` for its first frame, and holds `slot` until it is welcome.
async fn serve_protocol(gateway: &Gateway, connection: &Connection, slot: Slot, patience: Duration) {
    match protocol(connection).as_deref() {
        Some(ALPN_SESSION) => session::serve(gateway, connection, slot, patience).await,
        Some(ALPN_ENROL) => enrol::serve(gateway, connection, slot, patience).await,
        // TLS refuses every other protocol, and a peer that names none.
        _ => {
            let expected = "expected protocol nimbus/1 or nimbus-enrol/1";
            reject::close(connection, CloseCode::Malformed, expected);
        }
    }
}

/// The stream that the peer opens carries the reason.
async fn reject_overloaded(gateway: &Gateway, connection: &Connection, expected: &str, found: String) {
    let accepted = tokio::time::timeout(limits::GOODBYE, connection.accept_bi()).await;
    let mut stream = accepted.ok().and_then(Result::ok).map(|(send, _)| send);
    let end = SessionEnd::overloaded(expected, found);
    reject::end(&gateway.app, &gateway.log_throttles, connection, stream.as_mut(), "a peer", end).await;
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

fn failed(gateway: &Gateway, remote: std::net::SocketAddr, error: &dyn std::fmt::Display) {
    gateway.app.metrics.handshakes_failed.increment(1);
    if let Some(held_back) = gateway.log_throttles.handshake.pass() {
        tracing::warn!(%remote, %error, held_back, "a QUIC handshake failed");
    }
}
