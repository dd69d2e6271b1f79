//! One connection of the session protocol, from its first stream to its end. The protocol's decisions are in
//! `nimbus_control_core::gateway`.

use std::time::Duration;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_protocol::close::CloseCode;
use tokio::time::Instant;

use super::carrier::Carrier;
use super::wire::Connection;
use super::{Gateway, Slot, reject};
use crate::ca::{self, Peer};

/// Serves one connection. The peer has `patience` for its stream and its hello; `handshake` is held until the agent is
/// welcome or rejected.
pub async fn serve(gateway: &Gateway, connection: &Connection, handshake: Slot, patience: Duration) {
    let by = Instant::now() + patience;
    let Ok(accepted) = tokio::time::timeout_at(by, connection.accept()).await else {
        return reject::close(connection, CloseCode::Malformed, "expected a hello in time, found none");
    };
    let Ok((sink, source)) = accepted else { return };
    let (who, mut sink, _data, end) = match identity(connection) {
        Ok(peer) => {
            let who = peer.agent.to_string();
            let left = by.saturating_duration_since(Instant::now());
            let carrier = Carrier::new(gateway, connection, peer, (sink, source), handshake, left);
            let (end, control, data) = carrier.run().await;
            (who, control.into_sink().await, data, end)
        }
        Err(end) => ("an agent without an identity".to_owned(), Some(sink), None, end),
    };
    reject::end(&gateway.app, &gateway.log_throttles, connection, sink.as_mut(), &who, end).await;
}

/// The agent in the client's certificate. TLS has checked the certificate itself.
fn identity(connection: &Connection) -> Result<Peer, SessionEnd> {
    let Some(leaf) = connection.peer_certificate() else {
        return Err(SessionEnd::certificate_required("none"));
    };
    ca::peer(&leaf).map_err(|error| SessionEnd::certificate_required(error.to_string()))
}
