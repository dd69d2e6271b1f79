//! The bounds of the gateway, with what happens at each.
//!
//! What one session may leave waiting is bounded where it is decided, in `nimbus_control_core::gateway`.
//!
//! Memory for one agent is at most: 4 MiB of received and unread QUIC data ([`RECEIVE_WINDOW`]), one frame being
//! read (1 MiB) and decompressed (4 MiB), a window of eight batches of at most about 1 MiB each waiting for their commit,
//! 1 MiB to send ([`SEND_WINDOW`]) behind twice [`SEND_BUFFER`] and a frame, and `sessions::JOB_QUEUE` envelopes of a few KiB: about 18 MiB in the worst
//! case, some tens of KiB at rest. All waiting batches together are bounded by [`QUEUED_KIB`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// Handshakes of each way under way, and first frames of peers with a certificate. A further connection is refused at once; from
/// half of it on a client has to prove its address first (a QUIC retry).
pub const MAX_HANDSHAKES: usize = 128;
/// Handshakes and first frames of each way under way from one IPv4 address or one IPv6 /64. Further connections from there are
/// refused at once, and their agents try again after a jittered pause; from half of the bound on a client has to prove
/// its address first. Many agents behind one address have room: a handshake and a hello take milliseconds.
pub const MAX_HANDSHAKES_EACH: usize = 32;
/// Longest time for the handshake. A connection that takes longer is closed.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// Longest time to the first stream and frame of a peer with a certificate. A connection that takes longer is closed.
pub const FIRST_FRAME: Duration = Duration::from_secs(10);
/// The same for an unauthenticated peer, which may be an agent that enrols. It takes up neither a handshake's nor an
/// agent's place meanwhile.
pub const UNAUTHENTICATED: Duration = Duration::from_secs(5);
/// Unauthenticated peers that are served at the same time; further ones wait for up to [`UNAUTHENTICATED`].
pub const MAX_UNAUTHENTICATED: usize = 48;
/// Unauthenticated peers that are served or wait; further ones are refused with `retry_after_ms`.
pub const MAX_UNAUTHENTICATED_WAITING: usize = 128;
/// Unauthenticated peers from one IPv4 address or one IPv6 /64, fewer than are served at the same time, so that peers
/// from other addresses find a place. Further ones are refused with `retry_after_ms`.
pub const MAX_UNAUTHENTICATED_EACH: usize = 32;
/// Without a packet for so long, a connection is over.
pub const IDLE: Duration = Duration::from_secs(30);
/// For one frame to leave; a peer that does not read for so long is disconnected.
pub const WRITE: Duration = Duration::from_secs(10);
/// How long a rejected peer has to read why.
pub const GOODBYE: Duration = Duration::from_secs(1);
/// Of which it has this long to close by itself, once the reason reached its machine.
pub const READING: Duration = Duration::from_millis(250);
/// Bytes that wait to leave on one stream; at it nothing is read whose answer would join them.
pub const SEND_BUFFER: usize = 64 << 10;
/// KiB of payload of all agents that wait for their commit; at it no data stream is read further.
pub const QUEUED_KIB: usize = 64 * 1024;
/// Batches in one commit.
pub const GROUP_BATCHES: usize = 512;
/// Most payload bytes in one commit, beyond which no further batch joins it.
pub const GROUP_BYTES: usize = 8 << 20;
/// Fewest that may be: a slow disk must not make a commit of each batch.
pub const LEAST_GROUP_BYTES: usize = 256 << 10;
/// How long one commit of observations should take. SQLite has one writer: an enrolment or an operator's decision waits for the
/// commit that is under way, so the next one takes no more bytes than fit this time ([`super::pace`]), beside what a commit costs whatever it holds.
pub const GROUP_TIME: Duration = Duration::from_millis(100);
/// Shortest time between two audit rows about the same spent or expired join token; what comes in between is refused and
/// counted all the same.
pub const MISUSE_EVERY: Duration = Duration::from_mins(1);
/// Tokens about which that is remembered. At it no further token gets a row until a minute is over.
const MISUSED_TOKENS: usize = 1_024;
/// Received bytes that one connection may leave unread.
const RECEIVE_WINDOW: u32 = 4 << 20;
/// Of these for one stream.
const STREAM_WINDOW: u32 = 2 << 20;
/// Bytes that one connection may leave unacknowledged.
const SEND_WINDOW: u64 = 1 << 20;
/// Bytes of the headers of one call; a longer list is refused.
const MAX_HEADERS: u32 = 16 << 10;
/// Between two pings of a quiet TCP connection.
const PING: Duration = Duration::from_secs(10);

/// The QUIC bounds: two bidirectional streams (control and data), no other stream and no datagram.
pub fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(SEND_WINDOW)
        // 30,000 ms fit a QUIC integer; without a timeout the default of quinn would hold, which is the same.
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok());
    transport
}

/// The HTTP/2 bounds of a TCP connection: those of QUIC. Two calls at once; a further one waits. A peer that does not answer a
/// ping is gone after [`IDLE`].
pub fn http2<E>(http: &mut hyper::server::conn::http2::Builder<E>) {
    http.max_concurrent_streams(2)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADERS)
        .keep_alive_interval(Some(PING))
        .keep_alive_timeout(IDLE.saturating_sub(PING));
}

/// Lets a line through once in a while, and counts what it held back: a hostile peer must not fill the log.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl Throttle {
    /// At most one in `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, state: Mutex::new((None, 0)) }
    }

    /// `Some` with the number held back since the last one, when it is time for another.
    pub fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.is_some_and(|last| last.elapsed() < self.every) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(Instant::now());
        Some(std::mem::take(&mut state.1))
    }
}

/// Which join tokens, or proofs of which clusters, were misused lately: one that leaked must not fill the audit log.
#[derive(Debug)]
pub struct Misuses<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Misuses<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + std::hash::Hash> Misuses<K> {
    /// Is another audit row about `token` due at `now`?
    pub fn note(&self, token: K, now: Instant) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains_key(&token) && noted.len() >= MISUSED_TOKENS {
            noted.retain(|_, at| now.duration_since(*at) < MISUSE_EVERY);
        }
        let known = noted.get(&token);
        let due = known.map_or(noted.len() < MISUSED_TOKENS, |at| now.duration_since(*at) >= MISUSE_EVERY);
        if due {
            noted.insert(token, now);
        }
        due
    }
}

/// Throttles for the log lines about hostile or faulty peers: one line of each sort in ten seconds.
#[derive(Debug, Clone)]
pub struct LogThrottles {
    /// Handshakes that failed.
    pub handshake: Arc<Throttle>,
    /// Frames that cannot be read.
    pub malformed: Arc<Throttle>,
    /// Peers rejected.
    pub refused: Arc<Throttle>,
}

impl Default for LogThrottles {
    fn default() -> Self {
        let throttle = || Arc::new(Throttle::new(Duration::from_secs(10)));
        Self { handshake: throttle(), malformed: throttle(), refused: throttle() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaked_token_gets_an_audit_row_a_minute_and_many_have_a_bound() {
        let token = |n: u32| format!("tok_{n:032x}").parse::<nimbus_protocol::ids::TokenId>().unwrap();
        let (misuses, begin) = (Misuses::default(), Instant::now());
        assert!(misuses.note(token(0), begin));
        assert!(!misuses.note(token(0), begin + Duration::from_secs(59)));
        assert!(misuses.note(token(0), begin + MISUSE_EVERY));
        let soon = begin + MISUSE_EVERY + Duration::from_secs(1);
        let rows = (1..=2_000).filter(|n| misuses.note(token(*n), soon)).count();
        assert_eq!(rows, MISUSED_TOKENS - 1);
        let later = soon + MISUSE_EVERY;
        assert!(misuses.note(token(3_000), later));
        assert_eq!(misuses.0.lock().unwrap().len(), 1, "what is over is forgotten");
    }

    #[test]
    fn a_throttle_counts_what_it_held_back() {
        let throttle = Throttle::new(Duration::from_hours(1));
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!((throttle.pass(), throttle.pass()), (None, None));
        let open = Throttle::new(Duration::ZERO);
        assert_eq!((open.pass(), open.pass()), (Some(0), Some(0)));
    }
}
