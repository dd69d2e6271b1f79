//! Turning peers away: a reason they can read, a close code, a line in the log.

use std::net::SocketAddr;

use nimbus_protocol::v1;
use nimbus_protocol::v1::server_frame::Body;
use quinn::{Connection, SendStream, VarInt};

use super::frames::{self, ReadFrameError};
use super::limits::{self, Complaints};
use crate::app::App;
use crate::clock::jittered;

/// QUIC application close codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Close {
    /// Nothing more to say.
    Bye = 0,
    /// Turned away; the refusal says why.
    Refused = 1,
    /// The peer does not keep to the protocol.
    Malformed = 2,
    /// No room; come back later.
    Overloaded = 3,
    /// This process stops; come back.
    ShuttingDown = 4,
    /// The same agent connected again.
    Replaced = 5,
}

impl Close {
    /// Closes `connection` with this code.
    pub fn close(self, connection: &Connection, reason: &str) {
        // A close frame has to fit a packet: the reason is cut to 200 bytes.
        let end = reason.floor_char_boundary(200);
        connection.close(VarInt::from_u32(self as u32), &reason.as_bytes()[..end]);
    }
}

/// Why a connection is not served (any more).
#[derive(Debug)]
pub enum Turned {
    /// It is told why and closed.
    Away(Close, v1::Refusal),
    /// It is over by itself; there is nobody to tell.
    Gone(String),
}

/// A refusal: what was expected and found, and what to do.
pub fn refusal(code: &str, expected: &str, found: impl Into<String>, remedy: &str) -> v1::Refusal {
    v1::Refusal {
        code: code.to_owned(),
        expected: expected.to_owned(),
        found: found.into(),
        remedy: remedy.to_owned(),
        retry_after_ms: 0,
    }
}

impl Turned {
    /// Turned away for good.
    pub fn refused(code: &str, expected: &str, found: impl Into<String>, remedy: &str) -> Self {
        Self::Away(Close::Refused, refusal(code, expected, found, remedy))
    }

    /// Turned away for breaking the protocol.
    pub fn malformed(expected: &str, found: impl Into<String>) -> Self {
        let remedy = "upgrade the agent; if it is the newest, report a defect";
        Self::Away(Close::Malformed, refusal("malformed", expected, found, remedy))
    }

    /// Turned away for now.
    pub fn overloaded(expected: &str, found: impl Into<String>) -> Self {
        let mut refusal = refusal("overloaded", expected, found, "none needed: try again later");
        // Between 5 and 7.5 s: fits.
        refusal.retry_after_ms = u32::try_from(jittered(limits::RETRY_AFTER).as_millis()).unwrap_or(u32::MAX);
        Self::Away(Close::Overloaded, refusal)
    }
}

impl From<ReadFrameError> for Turned {
    fn from(error: ReadFrameError) -> Self {
        match error {
            ReadFrameError::Malformed(error) => {
                Self::malformed("a frame of protocol nimbus/1", error.to_string())
            }
            ReadFrameError::Gone(error) => Self::Gone(error.to_string()),
        }
    }
}

impl From<frames::WriteFrameError> for Turned {
    fn from(error: frames::WriteFrameError) -> Self {
        Self::Gone(error.to_string())
    }
}

/// Tells the peer why, closes, counts and logs. `who` names the peer as far as it is known.
pub async fn turn_away(
    app: &App,
    complaints: &Complaints,
    connection: &Connection,
    stream: Option<&mut SendStream>,
    who: &str,
    turned: Turned,
) {
    let remote: SocketAddr = connection.remote_address();
    let (close, refusal) = match turned {
        Turned::Away(close, refusal) => (close, refusal),
        Turned::Gone(why) => {
            tracing::debug!(%remote, who, why, "connection over");
            return Close::Bye.close(connection, "");
        }
    };
    count(app, close, &refusal.code);
    let throttle = if close == Close::Malformed { &complaints.malformed } else { &complaints.refused };
    if let Some(held_back) = throttle.pass() {
        let v1::Refusal { code, expected, found, remedy, .. } = &refusal;
        tracing::warn!(%remote, who, code, expected, found, remedy, held_back, "peer turned away");
    }
    let reason = format!("{}: expected {}, found {}", refusal.code, refusal.expected, refusal.found);
    if let Some(stream) = stream {
        let told = async {
            let written = frames::write(stream, Body::Refusal(refusal)).await;
            if written.is_ok() && stream.finish().is_ok() {
                let _ = stream.stopped().await;
            }
        };
        // Until the peer has it, or long enough for one that wants it.
        let _ = tokio::time::timeout(limits::GOODBYE, told).await;
    }
    close.close(connection, &reason);
}

fn count(app: &App, close: Close, code: &str) {
    const CODES: [&str; 11] = [
        "unsupported_version",
        "unknown_agent",
        "revoked",
        "certificate_required",
        "malformed",
        "token_used",
        "token_expired",
        "token_unknown",
        "overloaded",
        "wrong_agent",
        "renewal_refused",
    ];
    app.metrics.refused(CODES.into_iter().find(|known| *known == code).unwrap_or("other"));
    match close {
        Close::Malformed => app.metrics.malformed.increment(1),
        Close::Overloaded => app.metrics.overloaded.increment(1),
        _ => {}
    }
}
