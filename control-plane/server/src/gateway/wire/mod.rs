//! The two ways on which agents come, as one: a connection on which the peer opens streams of frames. Everything behind it
//! (sessions, enrolment, rejections, bounds) is the same for both.

mod quic;
mod service;
mod stream;
pub mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use nimbus_protocol::close::CloseCode;
use rustls_pki_types::CertificateDer;

pub use stream::{FrameSink, FrameSource};

use crate::sessions::Transport;

/// That a stream or a connection is over, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Gone(pub String);

/// What a peer came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A session.
    Session,
    /// An enrolment.
    Enrol,
}

/// One connection whose TLS handshake is complete.
pub enum Connection {
    /// Over QUIC.
    Quic(quinn::Connection),
    /// Over TCP.
    Tcp(tcp::Connection),
}

impl Connection {
    /// Where the peer is.
    pub fn remote_address(&self) -> SocketAddr {
        match self {
            Self::Quic(connection) => connection.remote_address(),
            Self::Tcp(connection) => connection.remote_address(),
        }
    }

    /// Which way it came.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Quic(_) => Transport::Quic,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    /// The certificate that the peer showed and TLS verified.
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match self {
            Self::Quic(connection) => quic::peer_certificate(connection),
            Self::Tcp(connection) => connection.peer_certificate(),
        }
    }

    /// What the peer came for; over TCP its first call tells, for which it has `patience`. `None` for anything else.
    pub async fn protocol(&self, patience: Duration) -> Option<Protocol> {
        match self {
            Self::Quic(connection) => quic::protocol(connection),
            Self::Tcp(connection) => connection.protocol(patience).await,
        }
    }

    /// The next stream that the peer opens. Cancel-safe.
    pub async fn accept(&self) -> Result<(FrameSink, FrameSource), Gone> {
        match self {
            Self::Quic(connection) => quic::accept(connection).await,
            Self::Tcp(connection) => connection.accept().await,
        }
    }

    /// Closes it with this code; a `reason` has to fit a packet.
    pub fn close(&self, code: CloseCode, reason: &str) {
        match self {
            Self::Quic(connection) => quic::close(connection, code, reason),
            Self::Tcp(connection) => connection.close(code, reason),
        }
    }

    /// Comes when it is over.
    pub async fn closed(&self) {
        match self {
            Self::Quic(connection) => drop(connection.closed().await),
            Self::Tcp(connection) => connection.closed().await,
        }
    }
}
