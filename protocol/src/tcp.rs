//! The names of the way over TCP: the same frames as over QUIC, in pieces, on calls of the gRPC service `Agents` (see
//! `proto/nimbus/v1/agents.proto`).
//!
//! A server closes a connection with the status of its calls: its message is the reason for people, and its metadata
//! [`CLOSE_CODE`] holds the number of a [`crate::close::CloseCode`].

use crate::frame::{HEADER, MAX_BODY};

/// The ALPN protocol; which call is made tells a session from an enrolment.
pub const ALPN: &[u8] = b"h2";
/// The call that stands for a session's control stream.
pub const SESSION: &str = "/nimbus.v1.Agents/Session";
/// The call that stands for a session's data stream.
pub const DATA: &str = "/nimbus.v1.Agents/Data";
/// The call that enrols.
pub const ENROL: &str = "/nimbus.v1.Agents/Enrol";
/// Most bytes of one encoded piece: the longest frame and the field around it. A longer one ends the call.
pub const MAX_PIECE: usize = HEADER + MAX_BODY + 16;
/// The metadata with the close code.
pub const CLOSE_CODE: &str = "nimbus-close-code";
