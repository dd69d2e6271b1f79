//! One connection to the control plane on either way: it opens streams of frames, is closed, and tells why it ended.

use std::time::Duration;

use nimbus_agent_core::session::Way;
use nimbus_protocol::close::CloseCode;
use quinn::{ConnectionError, VarInt};

use super::alert::Alert;
use super::framed::{FrameSink, FrameSource, LinkError};
use super::tls::{self, Purpose};
use super::{quic, tcp};

/// How long a peer has to hear that the connection is closed.
const GOODBYE: Duration = Duration::from_secs(1);
/// Most characters of a peer's reason that are shown.
const MAX_REASON: usize = 200;

/// A connection that stands.
#[derive(Debug)]
pub enum Connection {
    /// Over QUIC.
    Quic(quic::Connected),
    /// Over TCP.
    Tcp(tcp::Connection),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// For people.
    pub reason: String,
    /// Nothing was heard from the peer any more, instead of that one side ended it.
    pub silent: bool,
    /// The control plane's TLS refused this agent's certificate because it ended, by the control plane's clock. Only one
    /// whose own certificate was verified before is believed: TLS 1.3 looks at the client's after that, so what a stranger says
    /// on the way comes as a failed handshake and never here.
    pub expired: bool,
}

impl Ending {
    /// It was ended.
    pub fn by(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), silent: false, expired: false }
    }
}

impl Connection {
    /// Which way it goes.
    pub fn way(&self) -> Way {
        match self {
            Self::Quic(_) => Way::Quic,
            Self::Tcp(_) => Way::Tcp,
        }
    }

    /// The word for status: `quic`, `tcp` or `tcp through proxy`.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Tcp(connection) if connection.through_proxy() => "tcp through proxy",
            Self::Quic(_) | Self::Tcp(_) => self.way().word(),
        }
    }

    /// Opens the first stream.
    pub async fn open_first(&self, purpose: Purpose) -> Result<(FrameSink, FrameSource), Ending> {
        self.open(purpose.call()).await
    }

    /// Opens the data stream of a session.
    pub async fn open_data(&self) -> Result<(FrameSink, FrameSource), Ending> {
        self.open(nimbus_protocol::tcp::DATA).await
    }

    /// Opens a stream; over QUIC it needs no name.
    async fn open(&self, call: &'static str) -> Result<(FrameSink, FrameSource), Ending> {
        match self {
            Self::Quic((_, connection)) => match connection.open_bi().await {
                Ok((send, receive)) => Ok((FrameSink::Quic(send), FrameSource::Quic(receive))),
                Err(error) => Err(quic_ending(&error)),
            },
            Self::Tcp(connection) => {
                connection.open(call).await.map_err(|status| tcp_ending(&status, connection.alert()))
            }
        }
    }

    /// What tells, once a stream broke, why the connection ended.
    pub fn reasons(&self) -> Reasons {
        match self {
            Self::Quic((_, connection)) => Reasons::Quic(connection.clone()),
            Self::Tcp(connection) => Reasons::Tcp(connection.alert().clone()),
        }
    }

    /// Closes it and waits a moment until the peer knows; over TCP its streams have to be finished before.
    pub async fn close(self, code: CloseCode, reason: &str) {
        match self {
            Self::Quic((endpoint, connection)) => {
                connection.close(VarInt::from_u32(code.number()), reason.as_bytes());
                let _ = tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await;
            }
            Self::Tcp(mut connection) => connection.ended(GOODBYE).await,
        }
    }
}

/// Tells why a connection ended.
#[derive(Debug, Clone)]
pub enum Reasons {
    /// The connection, which keeps why.
    Quic(quinn::Connection),
    /// What the peer's TLS said.
    Tcp(Alert),
}

impl Reasons {
    /// Why, when reading or writing a stream failed with `error`.
    pub fn ending(&self, error: &LinkError) -> Ending {
        match error {
            LinkError::Frame(error) => {
                if let Self::Quic(connection) = self {
                    connection.close(VarInt::from_u32(CloseCode::Malformed.number()), b"malformed frame");
                }
                Ending::by(format!("the control plane sent what is no frame of this protocol: {error}"))
            }
            LinkError::Call(status) => match self {
                Self::Quic(_) => tcp_ending(status, &Alert::default()),
                Self::Tcp(alert) => tcp_ending(status, alert),
            },
            LinkError::Broken(error) => match self {
                Self::Quic(connection) => {
                    connection.close_reason().map_or_else(|| Ending::by(error), |closed| quic_ending(&closed))
                }
                Self::Tcp(alert) => Ending { expired: alert.is_expired(), ..Ending::by(error) },
            },
        }
    }
}

fn quic_ending(error: &ConnectionError) -> Ending {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            closed(close.error_code.into(), &String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::TimedOut => {
            Ending { silent: true, ..Ending::by("nothing was heard from the control plane for 30 s") }
        }
        ConnectionError::LocallyClosed => Ending::by("closed by this agent"),
        other => {
            let remedy =
                quic::remedy(other, Purpose::Session).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            let expired = quic::alert(other) == Some(tls::CERTIFICATE_EXPIRED);
            Ending { expired, ..Ending::by(format!("the connection broke: {other}{remedy}")) }
        }
    }
}

fn tcp_ending(status: &tonic::Status, alert: &Alert) -> Ending {
    if let Some((code, reason)) = tcp::close_code(status) {
        return closed(code, reason);
    }
    let shown: String = status.message().chars().take(MAX_REASON).collect();
    Ending { expired: alert.is_expired(), ..Ending::by(format!("the connection broke: {shown}")) }
}

/// What a close code of the control plane means, with its reason.
fn closed(code: u64, reason: &str) -> Ending {
    let meaning = CloseCode::from_number(code).map_or(
        "the control plane closed the connection for a reason that this version does not know",
        CloseCode::from_control_plane,
    );
    if reason.is_empty() {
        return Ending::by(meaning);
    }
    Ending::by(format!("{meaning} ({})", reason.chars().take(MAX_REASON).collect::<String>()))
}
