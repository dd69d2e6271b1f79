//! Accepts QUIC connections within bounds, and hands each connection, of whatever way, to the protocol that its peer came
//! for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_protocol::close::CloseCode;
use quinn::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{
    self, MAX_HANDSHAKES, MAX_HANDSHAKES_EACH, MAX_UNAUTHENTICATED, MAX_UNAUTHENTICATED_EACH,
    MAX_UNAUTHENTICATED_WAITING,
};
use super::wire::{Connection, Protocol};
use super::{Gateway, Slot, enrol, reject, session};
use crate::sessions::Transport;
use crate::share::Shares;

/// A place among the connections.
pub type Room = OwnedSemaphorePermit;

/// The places for handshakes of one way.
struct Handshakes {
    places: Arc<Semaphore>,
    each: Shares,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_HANDSHAKES)), each: Shares::new(MAX_HANDSHAKES_EACH) }
    }
}

/// The places for connections: both ways share them, but for those of handshakes. A silent connection over TCP costs its peer
/// nothing, and must not keep anybody from coming over QUIC.
pub struct Places {
    quic: Handshakes,
    tcp: Handshakes,
    connections: Arc<Semaphore>,
    unauthenticated: Unauthenticated,
}

impl Places {
    /// Room for so many connections.
    pub fn new(max_connections: usize) -> Self {
        Self {
            quic: Handshakes::default(),
            tcp: Handshakes::default(),
            connections: Arc::new(Semaphore::new(max_connections)),
            unauthenticated: Unauthenticated::default(),
        }
    }

    fn handshakes(&self, way: Transport) -> &Handshakes {
        match way {
            Transport::Quic => &self.quic,
            Transport::Tcp => &self.tcp,
        }
    }

    /// Is a peer at `address` that comes over QUIC to prove that address before it gets a place?
    fn are_scarce(&self, address: IpAddr) -> bool {
        // The address too: whoever only writes down another's as its own takes at most half of that one's share.
        self.quic.places.available_permits() < MAX_HANDSHAKES / 2
            || self.quic.each.held(address) >= MAX_HANDSHAKES_EACH / 2
    }

    /// A place for a handshake, and one among the connections if there is one; `None`, which is counted, when no further
    /// handshake has room.
    pub fn enter(&self, gateway: &Gateway, address: IpAddr, way: Transport) -> Option<(Slot, Option<Room>)> {
        let handshakes = self.handshakes(way);
        let place = Arc::clone(&handshakes.places).try_acquire_owned().ok();
        let Some((place, share)) = place.zip(handshakes.each.take(address)) else {
            gateway.app.metrics.overloaded.increment(1);
            return None;
        };
        let room = Arc::clone(&self.connections).try_acquire_owned().ok();
        Some((Slot { _place: place, _share: share }, room))
    }
}

/// Accepts until `stop` is cancelled. Each connection is a task of `tasks`.
pub async fn run(gateway: Arc<Gateway>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let incoming = tokio::select! {
            () = stop.cancelled() => return,
            incoming = gateway.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let address = incoming.remote_address().ip();
        if gateway.places.are_scarce(address) && !incoming.remote_address_validated() && incoming.may_retry()
        {
            // Only an address that cannot be retried makes this fail, which was asked just now.
            let _ = incoming.retry();
            continue;
        }
        let Some((handshake, room)) = gateway.places.enter(&gateway, address, Transport::Quic) else {
            incoming.refuse();
            continue;
        };
        tasks.spawn(shake_hands(Arc::clone(&gateway), incoming, handshake, room));
    }
}

/// Places for peers that showed no certificate: they compete with each other alone.
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

async fn shake_hands(gateway: Arc<Gateway>, incoming: Incoming, handshake: Slot, room: Option<Room>) {
    let remote = incoming.remote_address();
    let connected = async { incoming.accept()?.await };
    let connection = match tokio::time::timeout(limits::HANDSHAKE, connected).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return failed(&gateway, remote, "QUIC", &error),
        Err(_) => return failed(&gateway, remote, "QUIC", &"no complete handshake in time"),
    };
    serve(&gateway, Connection::Quic(connection), handshake, room).await;
}

/// Serves a connection whose handshake is complete.
pub async fn serve(gateway: &Gateway, connection: Connection, handshake: Slot, room: Option<Room>) {
    let Some(room) = room else {
        gateway.app.sessions.refused_for_room(gateway.max_connections, std::time::Instant::now());
        let found = format!("{} open", gateway.max_connections);
        return reject_overloaded(gateway, &connection, "fewer connections", found).await;
    };
    if connection.peer_certificate().is_some() {
        serve_protocol(gateway, &connection, handshake, limits::FIRST_FRAME).await;
        return drop(room);
    }
    let unauthenticated = &gateway.places.unauthenticated;
    let Some(share) = unauthenticated.each.take(connection.remote_address().ip()) else {
        let found = format!("{MAX_UNAUTHENTICATED_EACH} at once from one address");
        return reject_overloaded(gateway, &connection, "fewer peers without a certificate", found).await;
    };
    let Ok(_present) = Arc::clone(&unauthenticated.present).try_acquire_owned() else {
        let found = format!("{MAX_UNAUTHENTICATED_WAITING} at once");
        return reject_overloaded(gateway, &connection, "fewer peers without a certificate", found).await;
    };
    drop((handshake, room));
    let served = Arc::clone(&unauthenticated.served).acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout(limits::UNAUTHENTICATED, served).await else {
        let found = format!("{MAX_UNAUTHENTICATED} at once");
        return reject_overloaded(gateway, &connection, "fewer peers without a certificate", found).await;
    };
    let place = Slot { _place: place, _share: share };
    serve_protocol(gateway, &connection, place, limits::UNAUTHENTICATED).await;
}

/// Serves what was agreed on; the peer has `patience` for its first frame, and holds `slot` until it is welcome.
async fn serve_protocol(gateway: &Gateway, connection: &Connection, slot: Slot, patience: Duration) {
    match connection.protocol(patience).await {
        Some(Protocol::Session) => session::serve(gateway, connection, slot, patience).await,
        Some(Protocol::Enrol) => enrol::serve(gateway, connection, slot, patience).await,
        None => {
            let expected = "expected protocol nimbus/1 or nimbus-enrol/1";
            reject::close(connection, CloseCode::Malformed, expected);
        }
    }
}

/// The stream that the peer opens carries the reason.
async fn reject_overloaded(gateway: &Gateway, connection: &Connection, expected: &str, found: String) {
    let accepted = tokio::time::timeout(limits::GOODBYE, connection.accept()).await;
    let mut sink = accepted.ok().and_then(Result::ok).map(|(sink, _)| sink);
    let end = SessionEnd::overloaded(expected, found);
    reject::end(&gateway.app, &gateway.log_throttles, connection, sink.as_mut(), "a peer", end).await;
}

/// Counts and, now and then, logs a handshake that failed.
pub fn failed(
    gateway: &Gateway,
    remote: std::net::SocketAddr,
    kind: &'static str,
    error: &dyn std::fmt::Display,
) {
    gateway.app.metrics.handshakes_failed.increment(1);
    if let Some(held_back) = gateway.log_throttles.handshake.pass() {
        tracing::warn!(%remote, %error, held_back, "a {kind} handshake failed");
    }
}
