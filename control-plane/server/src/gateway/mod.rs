//! The gateway, which serves agents over QUIC, and over TCP where that does not get through. It decides which agents are admitted and which observations are new;
//! what observations mean is decided elsewhere.
//!
//! Two protocols on each port: `nimbus-enrol/1` turns a join token into a certificate, `nimbus/1` is an enrolled
//! agent's session. Every peer is hostile until proved otherwise: all sizes, numbers and times are bounded in
//! [`limits`], a broken frame costs its sender the connection and nobody else anything.

mod accept;
mod admission;
mod carrier;
mod enrol;
mod enrol_again;
mod enrol_pod;
mod frames;
mod ingest_writer;
mod join_token;
pub mod limits;
mod marks;
mod pace;
mod proof;
mod reject;
mod renew;
mod reset;
mod restored;
mod session;
mod standby;
mod tcp_accept;
mod wire;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::CloseReason;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::{AgentId, TokenId};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig, VarInt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::error::StartError;
use crate::share::Share;
use crate::sign::Signer;
use accept::Places;
use ingest_writer::LogWriter;
use limits::{LogThrottles, Misuses};
pub use standby::refuse;
use tokio::sync::OwnedSemaphorePermit;

/// What every connection shares.
struct Gateway {
    app: Arc<App>,
    endpoint: Endpoint,
    places: Places,
    writer: LogWriter,
    log_throttles: LogThrottles,
    misuses: Misuses<TokenId>,
    asked_again: Misuses<AgentId>,
    /// By the cluster that they name.
    refused_proofs: Misuses<String>,
    /// Held while a join token becomes one for a cluster.
    binding: tokio::sync::Mutex<()>,
    max_connections: usize,
}

/// A place in a common bound, out of the share of the peer's address. Given back when dropped.
struct Slot {
    _place: OwnedSemaphorePermit,
    _share: Share,
}

fn setup(error: &dyn std::fmt::Display) -> StartError {
    StartError::Tls(crate::tls::TlsError::Setup(error.to_string()))
}

/// Where agents come in, taken before anything is written.
pub struct Listeners {
    /// QUIC.
    pub quic: UdpSocket,
    /// TCP, unless it is switched off.
    pub tcp: Option<TcpListener>,
}

/// The TLS of the listeners.
pub struct ListenerTls {
    /// For QUIC.
    pub quic: rustls::ServerConfig,
    /// For TCP.
    pub tcp: rustls::ServerConfig,
}

/// What agents come in by. Nobody is answered before somebody accepts: [`Running::start`], or [`refuse`].
#[derive(Clone)]
pub struct Doors {
    endpoint: Endpoint,
    address: SocketAddr,
    tcp: Option<TcpDoor>,
}

#[derive(Clone)]
struct TcpDoor {
    listener: Arc<tokio::net::TcpListener>,
    address: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
}

impl Doors {
    /// Those of `listeners`.
    pub fn new(signer: &Signer, listeners: Listeners, tls: ListenerTls) -> Result<Self, StartError> {
        let crypto = QuicServerConfig::try_from(tls.quic).map_err(|error| setup(&error))?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(limits::transport()));
        config.max_incoming(limits::MAX_HANDSHAKES);
        let address = listeners.quic.local_addr().map_err(|error| setup(&error))?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(reset::endpoint_config(signer), Some(config), listeners.quic, runtime)
            .map_err(|error| StartError::listen(address, "QUIC", "--quic", error))?;
        let tcp = listeners.tcp.map(|listener| tcp_door(listener, tls.tcp)).transpose()?;
        Ok(Self { endpoint, address, tcp })
    }
}

/// A gateway that is served until it is stopped.
pub struct Running {
    app: Arc<App>,
    endpoint: Endpoint,
    address: SocketAddr,
    tcp_address: Option<SocketAddr>,
    accepting: CancellationToken,
    writing: CancellationToken,
    writer: JoinHandle<()>,
    tasks: TaskTracker,
}

impl Running {
    /// Serves at most `max_connections` agents at once that come in by `doors`.
    pub async fn start(app: Arc<App>, doors: Doors, max_connections: usize) -> Result<Self, StartError> {
        let Doors { endpoint, address, tcp } = doors;
        let (accepting, writing) = (CancellationToken::new(), CancellationToken::new());
        let (log, writer) = LogWriter::start(Arc::clone(&app), writing.clone()).await?;
        let gateway = Arc::new(Gateway {
            app: Arc::clone(&app),
            endpoint: endpoint.clone(),
            places: Places::new(max_connections),
            writer: log,
            log_throttles: LogThrottles::default(),
            misuses: Misuses::default(),
            asked_again: Misuses::default(),
            binding: tokio::sync::Mutex::default(),
            refused_proofs: Misuses::default(),
            max_connections,
        });
        let tasks = TaskTracker::new();
        let tcp_address = tcp.as_ref().map(|door| door.address);
        if let Some(TcpDoor { listener, tls, .. }) = tcp {
            let gateway = Arc::clone(&gateway);
            tasks.spawn(tcp_accept::run(gateway, listener, tls, tasks.clone(), accepting.clone()));
        }
        tasks.spawn(accept::run(gateway, tasks.clone(), accepting.clone()));
        tasks.close();
        Ok(Self { app, endpoint, address, tcp_address, accepting, writing, writer, tasks })
    }

    /// Where agents are served over TCP; `None` where it is switched off.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp_address
    }

    /// Where agents are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every session with *shutting down*, waits for their tasks up to `patience`, then stops the writer.
    pub async fn stop(self, patience: Duration) {
        self.accepting.cancel();
        self.app.sessions.close_all(CloseReason::ShuttingDown);
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
        let code = CloseCode::ShuttingDown;
        self.endpoint.close(VarInt::from_u32(code.number()), code.from_control_plane().as_bytes());
        self.writing.cancel();
        let _ = self.writer.await;
        let _ = tokio::time::timeout(Duration::from_millis(500), self.endpoint.wait_idle()).await;
    }
}

/// The listener for the runtime.
fn tcp_door(listener: TcpListener, tls: rustls::ServerConfig) -> Result<TcpDoor, StartError> {
    let address = listener.local_addr().map_err(|error| setup(&error))?;
    listener.set_nonblocking(true).map_err(|error| setup(&error))?;
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|error| StartError::listen(address, "TCP for agents", "--tcp", error))?;
    Ok(TcpDoor { listener: Arc::new(listener), address, tls: Arc::new(tls) })
}
