//! Ends a connection with a reason that the peer can read, a close code and a line in the log.

use nimbus_control_core::gateway::{Rejection, SessionEnd};
use nimbus_platform::jittered;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1;
use nimbus_protocol::v1::server_frame::Body;

use super::frames::{self, ReadFrameError};
use super::limits::{self, LogThrottles};
use super::wire::{Connection, FrameSink};
use crate::app::App;

/// Closes `connection` with this code.
pub fn close(connection: &Connection, code: CloseCode, reason: &str) {
    // A close frame has to fit a packet.
    connection.close(code, &reason[..reason.floor_char_boundary(200)]);
}

/// How a session ends whose peer sent no frame, or none any more.
pub fn unreadable(error: ReadFrameError) -> SessionEnd {
    match error {
        ReadFrameError::Malformed(error) => {
            SessionEnd::malformed("a frame of protocol nimbus/1", error.to_string())
        }
        ReadFrameError::Gone(error) => SessionEnd::Disconnected(error.to_string()),
    }
}

/// Ends a connection as `end` says. `who` names the peer as far as it is known; without a `stream` a rejected peer reads
/// the reason in the close frame alone.
pub async fn end(
    app: &App,
    log_throttles: &LogThrottles,
    connection: &Connection,
    stream: Option<&mut FrameSink>,
    who: &str,
    end: SessionEnd,
) {
    let remote = connection.remote_address();
    match end {
        SessionEnd::Rejected(rejection) => {
            reject(app, log_throttles, connection, stream, who, *rejection).await;
        }
        SessionEnd::Closed(code) => {
            tracing::info!(%remote, who, ?code, "connection ended");
            close(connection, code, "");
        }
        SessionEnd::Disconnected(why) => {
            tracing::info!(%remote, who, why, "connection over");
            close(connection, CloseCode::Done, "");
        }
    }
}

/// Tells the peer why, closes, counts and logs.
async fn reject(
    app: &App,
    log_throttles: &LogThrottles,
    connection: &Connection,
    stream: Option<&mut FrameSink>,
    who: &str,
    rejection: Rejection,
) {
    let Rejection { code: close_code, mut refusal } = rejection;
    if refusal.retry_after_ms > 0 {
        let base = std::time::Duration::from_millis(refusal.retry_after_ms.into());
        // Between 5 and 7.5 s: fits.
        refusal.retry_after_ms = u32::try_from(jittered(base).as_millis()).unwrap_or(u32::MAX);
    }
    count(app, close_code, &refusal.code);
    let is_malformed = close_code == CloseCode::Malformed;
    let throttle = if is_malformed { &log_throttles.malformed } else { &log_throttles.refused };
    if let Some(held_back) = throttle.pass() {
        let v1::Refusal { code, expected, found, remedy, .. } = &refusal;
        let remote = connection.remote_address();
        tracing::warn!(%remote, who, code, expected, found, remedy, held_back, "peer rejected");
    }
    let reason = format!("{}: expected {}, found {}", refusal.code, refusal.expected, refusal.found);
    if let Some(stream) = stream {
        let told = async {
            let written = frames::write(stream, Body::Refusal(refusal)).await;
            if written.is_ok() {
                stream.finish();
                stream.taken().await;
                // Its machine has it; what reads it there may not yet, and loses it when the connection is gone. A peer that
                // has read it closes.
                let _ = tokio::time::timeout(limits::READING, connection.closed()).await;
            }
        };
        // Until the peer has it, or long enough for one that wants it.
        let _ = tokio::time::timeout(limits::GOODBYE, told).await;
    }
    close(connection, close_code, &reason);
}

fn count(app: &App, code: CloseCode, word: &str) {
    const WORDS: [&str; 14] = [
        "unsupported_version",
        "unknown_agent",
        "revoked",
        "certificate_required",
        "certificate_ended",
        "malformed",
        "token_used",
        "token_expired",
        "token_revoked",
        "token_unknown",
        "name_taken",
        "overloaded",
        "wrong_agent",
        "wrong_cluster",
    ];
    app.metrics.refused(WORDS.into_iter().find(|known| *known == word).unwrap_or("other"));
    match code {
        CloseCode::Malformed => app.metrics.malformed.increment(1),
        CloseCode::Overloaded => app.metrics.overloaded.increment(1),
        CloseCode::Done
        | CloseCode::Refused
        | CloseCode::ShuttingDown
        | CloseCode::Replaced
        | CloseCode::Silent => {}
    }
}
