//! What agents hear from a control plane that stands by: a refusal that says when to come back. A service in front of
//! several sends each new connection to any of them, so the next try may reach the one that leads.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::standby;
use nimbus_platform::jittered;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1::server_frame::Body;
use quinn::Incoming;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::wire::{Connection, tcp};
use super::{Doors, Slot, TcpDoor, frames, limits, reject};
use crate::share::Shares;

/// Peers of each way that are told at the same time, and of one address [`limits::MAX_HANDSHAKES_EACH`]; further ones are turned
/// away without a word, and come back as well. From half of either on a peer over QUIC has to prove its address first.
const MAX_TOLD: usize = 128;
/// Pause after a failure to accept, as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Refuses everybody until `stop` is cancelled; who is being told by then is told to the end.
pub async fn refuse(doors: Doors, stop: CancellationToken) {
    let (quic, tcp) = (Places::default(), Places::default());
    loop {
        let who = tokio::select! {
            () = stop.cancelled() => return,
            incoming = doors.endpoint.accept() => match incoming {
                None => return,
                Some(incoming) => Who::Quic(Box::new(incoming)),
            },
            accepted = accept(doors.tcp.as_ref()) => accepted,
        };
        match who {
            Who::Quic(incoming) => {
                let address = incoming.remote_address().ip();
                if quic.are_scarce(address) && !incoming.remote_address_validated() && incoming.may_retry() {
                    // Only an address that cannot be retried makes this fail, which was asked just now.
                    let _ = incoming.retry();
                } else if let Some(slot) = quic.take(address) {
                    tokio::spawn(tell(Who::Quic(incoming), slot));
                } else {
                    incoming.refuse();
                }
            }
            Who::Tcp(stream, remote, tls) => {
                if let Some(slot) = tcp.take(remote.ip()) {
                    tokio::spawn(tell(Who::Tcp(stream, remote, tls), slot));
                }
            }
        }
    }
}

/// Room for those of one way who are told.
struct Places {
    all: Arc<Semaphore>,
    each: Shares,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_TOLD)), each: Shares::new(limits::MAX_HANDSHAKES_EACH) }
    }
}

impl Places {
    fn are_scarce(&self, address: IpAddr) -> bool {
        self.all.available_permits() < MAX_TOLD / 2
            || self.each.held(address) >= limits::MAX_HANDSHAKES_EACH / 2
    }

    fn take(&self, address: IpAddr) -> Option<Slot> {
        let place = Arc::clone(&self.all).try_acquire_owned().ok();
        place.zip(self.each.take(address)).map(|(place, share)| Slot { _place: place, _share: share })
    }
}

enum Who {
    Quic(Box<Incoming>),
    Tcp(TcpStream, SocketAddr, TlsAcceptor),
}

/// The next connection over TCP; where it is switched off there is none.
async fn accept(door: Option<&TcpDoor>) -> Who {
    let Some(door) = door else { return std::future::pending().await };
    loop {
        match door.listener.accept().await {
            Ok((stream, remote)) => {
                return Who::Tcp(stream, remote, TlsAcceptor::from(Arc::clone(&door.tls)));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Tells one; whoever does not come to an end in time is closed: the connection is dropped.
async fn tell(who: Who, _slot: Slot) {
    let told = async {
        match who {
            Who::Quic(incoming) => {
                let connected = async { incoming.accept()?.await };
                if let Ok(connection) = connected.await {
                    say(&Connection::Quic(connection)).await;
                }
            }
            Who::Tcp(stream, remote, tls) => {
                if let Ok(tls) = tls.accept(stream).await {
                    let (connection, driving) = tcp::Connection::new(tls, remote);
                    let connection = Connection::Tcp(connection);
                    tokio::join!(Box::pin(driving), say(&connection));
                }
            }
        }
    };
    let _ = tokio::time::timeout(limits::HANDSHAKE, told).await;
}

async fn say(connection: &Connection) {
    tracing::debug!(remote = %connection.remote_address(), "an agent is told that this control plane stands by");
    let mut refusal = standby();
    let base = Duration::from_millis(refusal.retry_after_ms.into());
    refusal.retry_after_ms = u32::try_from(jittered(base).as_millis()).unwrap_or(u32::MAX);
    let reason = format!("{}: expected {}, found {}", refusal.code, refusal.expected, refusal.found);
    // On a slow way its stream takes longer to come than the answer takes to go; the caller's time bounds both.
    if let Ok((mut sink, _)) = connection.accept().await
        && frames::write(&mut sink, Body::Refusal(refusal)).await.is_ok()
    {
        sink.finish();
        let _ = tokio::time::timeout(limits::GOODBYE, sink.taken()).await;
    }
    reject::close(connection, CloseCode::Refused, &reason);
}
