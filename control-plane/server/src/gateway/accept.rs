//! Takes connections, within bounds, and hands each to the protocol it asked for.

use std::sync::Arc;

use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{self, MAX_HANDSHAKES};
use super::turn_away::{Turned, turn_away};
use super::{Gateway, enrol, session};

/// Accepts until `stop` is cancelled. Each connection is a task of `tasks`.
pub async fn run(gateway: Arc<Gateway>, tasks: TaskTracker, stop: CancellationToken) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let connections = Arc::new(Semaphore::new(gateway.max_connections));
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => return,
            incoming = gateway.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let busy = handshakes.available_permits() < MAX_HANDSHAKES / 2;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Only an address that cannot be retried makes this fail, which was asked just now.
            let _ = incoming.retry();
            continue;
        }
        let Ok(handshake) = Arc::clone(&handshakes).try_acquire_owned() else {
            gateway.app.metrics.overloaded.increment(1);
            incoming.refuse();
            continue;
        };
        let room = Arc::clone(&connections).try_acquire_owned().ok();
        tasks.spawn(serve(Arc::clone(&gateway), incoming, handshake, room));
    }
}

async fn serve(
    gateway: Arc<Gateway>,
    incoming: Incoming,
    handshake: OwnedSemaphorePermit,
    room: Option<OwnedSemaphorePermit>,
) {
    let remote = incoming.remote_address();
    let connected = async { incoming.accept()?.await };
    let connection = match tokio::time::timeout(limits::FIRST_FRAME, connected).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return failed(&gateway, remote, &error),
        Err(_) => return failed(&gateway, remote, &"no complete handshake in time"),
    };
    if room.is_none() {
        // The stream that the peer opens carries the reason.
        let accepted = tokio::time::timeout(limits::GOODBYE, connection.accept_bi()).await;
        let mut stream = accepted.ok().and_then(Result::ok).map(|(send, _)| send);
        let turned = Turned::overloaded("fewer connections", format!("{} open", gateway.max_connections));
        let (app, complaints) = (&gateway.app, &gateway.complaints);
        return turn_away(app, complaints, &connection, stream.as_mut(), "a peer", turned).await;
    }
    match protocol(&connection).as_deref() {
        Some(ALPN_SESSION) => session::serve(&gateway, &connection, handshake).await,
        Some(ALPN_ENROL) => enrol::serve(&gateway, &connection).await,
        // TLS refuses every other protocol, and a peer that names none.
        _ => connection.close(quinn::VarInt::from_u32(2), b"expected protocol nimbus/1 or nimbus-enrol/1"),
    }
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

fn failed(gateway: &Gateway, remote: std::net::SocketAddr, error: &dyn std::fmt::Display) {
    gateway.app.metrics.handshakes_failed.increment(1);
    if let Some(held_back) = gateway.complaints.handshake.pass() {
        tracing::warn!(%remote, %error, held_back, "a QUIC handshake failed");
    }
}
