//! The transport: carries frames over QUIC, or over TCP where that does not get through. What is sent and when, and which way
//! is taken, is decided by `nimbus_agent_core::session`.

mod alert;
pub mod dial;
mod error;
pub mod framed;
pub mod link;
pub mod proxy;
pub mod quic;
pub mod tcp;
pub mod tls;
mod tunnel;
pub mod verify;
pub mod wire;

pub use error::DialError;
