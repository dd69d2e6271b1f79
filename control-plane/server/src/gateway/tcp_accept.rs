//! Accepts TCP connections within the same bounds as QUIC's, and hands each to the protocol that its first call names.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::{self, Room};
use super::wire::{Connection, tcp};
use super::{Gateway, Slot, limits};
use crate::sessions::Transport;

/// Pause after a failure to accept, as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop` is cancelled. Each connection is a task of `tasks`.
pub async fn run(
    gateway: Arc<Gateway>,
    listener: Arc<TcpListener>,
    tls: Arc<rustls::ServerConfig>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let tls = TlsAcceptor::from(tls);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a TCP connection of an agent could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Dropped: the peer sees the connection closed, and tries again after a pause.
        let Some((handshake, room)) = gateway.places.enter(&gateway, remote.ip(), Transport::Tcp) else {
            continue;
        };
        tasks.spawn(serve(Arc::clone(&gateway), stream, remote, tls.clone(), handshake, room));
    }
}

async fn serve(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    remote: std::net::SocketAddr,
    tls: TlsAcceptor,
    handshake: Slot,
    room: Option<Room>,
) {
    // A small frame is not to wait for the next one; where that cannot be said, it waits.
    let _ = stream.set_nodelay(true);
    let tls = match tokio::time::timeout(limits::HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return accept::failed(&gateway, remote, "TLS", &error),
        Err(_) => return accept::failed(&gateway, remote, "TLS", &"no complete handshake in time"),
    };
    let (connection, driving) = tcp::Connection::new(tls, remote);
    let serving = accept::serve(&gateway, Connection::Tcp(connection), handshake, room);
    tokio::join!(Box::pin(driving), Box::pin(serving));
}
