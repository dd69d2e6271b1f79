//! The transport: carries frames over QUIC. What is sent and when is decided by `nimbus_agent_core::session`.

pub mod framed;
pub mod link;
pub mod quic;
pub mod verify;
