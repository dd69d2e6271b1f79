//! The contract between agents and the control plane: messages, frames, versions and signatures.
//!
//! It decides what a message looks like ([`v1`]), how messages are cut into bounded frames ([`frame`]), which
//! version two peers speak ([`version`]), which actions ([`action`]) and kinds of objects ([`kind`]) there are, what a
//! plan's digest covers ([`digest`]), how documents are signed and when a signature is believed ([`signed`]), why a
//! connection is closed ([`close`]), by which words a refused eviction is told ([`eviction`]), and what the ids look like
//! ([`ids`]), how frames travel over TCP ([`tcp`]), how amounts are written ([`quantity`]). It leaves transport, storage, time and randomness to others: no socket, file or clock is reachable from here.
#![deny(missing_docs)]
// A new action or kind must be answered by every room: no wildcard may answer for it.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod action;
pub mod close;
pub mod digest;
pub mod eviction;
pub mod frame;
pub mod ids;
pub mod join;
pub mod kind;
pub mod quantity;
pub mod refusal;
pub mod scope;
pub mod signed;
pub mod tcp;
pub mod version;
pub mod words;

pub use action::ActionKind;
pub use kind::ObjectKind;
pub use scope::Scope;

/// Generated messages of protocol version 1; the comments are those of `proto/nimbus/v1/*.proto`.
#[allow(missing_docs, clippy::pedantic, reason = "generated from the .proto files")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/nimbus.v1.rs"));
}

/// ALPN protocol of an enrolled agent's session. A client certificate is required.
pub const ALPN_SESSION: &[u8] = b"nimbus/1";
/// ALPN protocol of enrolment: the client has no certificate yet, only a join token.
pub const ALPN_ENROL: &[u8] = b"nimbus-enrol/1";

/// Most observations in one batch; a longer one is refused as malformed.
pub const MAX_BATCH_OBSERVATIONS: usize = 2_000;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Lower-case hex of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes of a hex text; `None` when it is none.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Microseconds since the Unix epoch, as times travel on the wire.
pub fn to_micros(at: jiff::Timestamp) -> i64 {
    at.as_microsecond()
}

/// A time from the wire. Anything outside the range of a timestamp is clamped to its ends.
pub fn from_micros(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}
