//! The gateway, which serves agents over QUIC. It decides which agents are admitted and which observations are new;
//! what observations mean is decided elsewhere.
//!
//! Two protocols on one port: `nimbus-enrol/1` turns a join token into a certificate, `nimbus/1` is an enrolled
//! agent's session. Every peer is hostile until proved otherwise: all sizes, numbers and times are bounded in
//! [`limits`], a broken frame costs its sender the connection and nobody else anything.

mod accept;
mod admission;
mod carrier;
mod enrol;
mod enrol_pod;
mod frames;
mod ingest_writer;
mod join_token;
pub mod limits;
mod marks;
mod proof;
mod reject;
mod renew;
mod reset;
mod restored;
mod session;
mod standby;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::gateway::CloseReason;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::TokenId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig, VarInt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::error::StartError;
use crate::share::Share;
use crate::sign::Signer;
use ingest_writer::LogWriter;
use limits::{LogThrottles, Misuses};
pub use standby::refuse;
use tokio::sync::OwnedSemaphorePermit;

/// What every connection shares.
struct Gateway {
    app: Arc<App>,
    endpoint: Endpoint,
    writer: LogWriter,
    log_throttles: LogThrottles,
    misuses: Misuses<TokenId>,
    /// By the cluster that they name.
    refused_proofs: Misuses<String>,
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

/// The endpoint of agents on `socket`. Nobody is answered before somebody accepts: [`Running::start`], or [`refuse`].
pub fn endpoint(
    signer: &Signer,
    socket: UdpSocket,
    tls: rustls::ServerConfig,
) -> Result<Endpoint, StartError> {
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| setup(&error))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(limits::transport()));
    config.max_incoming(limits::MAX_HANDSHAKES);
    let address = socket.local_addr().map_err(|error| setup(&error))?;
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(reset::endpoint_config(signer), Some(config), socket, runtime)
        .map_err(|error| StartError::listen(address, "QUIC", "--quic", error))
}

/// A gateway that is served until it is stopped.
pub struct Running {
    app: Arc<App>,
    endpoint: Endpoint,
    address: SocketAddr,
    accepting: CancellationToken,
    writing: CancellationToken,
    writer: JoinHandle<()>,
    tasks: TaskTracker,
}

impl Running {
    /// Serves at most `max_connections` agents at once on `endpoint`.
    pub async fn start(
        app: Arc<App>,
        endpoint: Endpoint,
        max_connections: usize,
    ) -> Result<Self, StartError> {
        let address = endpoint.local_addr().map_err(|error| setup(&error))?;
        let (accepting, writing) = (CancellationToken::new(), CancellationToken::new());
        let (log, writer) = LogWriter::start(Arc::clone(&app), writing.clone()).await?;
        let gateway = Arc::new(Gateway {
            app: Arc::clone(&app),
            endpoint: endpoint.clone(),
            writer: log,
            log_throttles: LogThrottles::default(),
            misuses: Misuses::default(),
            refused_proofs: Misuses::default(),
            max_connections,
        });
        let tasks = TaskTracker::new();
        tasks.spawn(accept::run(gateway, tasks.clone(), accepting.clone()));
        tasks.close();
        Ok(Self { app, endpoint, address, accepting, writing, writer, tasks })
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
