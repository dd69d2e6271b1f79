//! A simulated agent: it speaks the real protocol (QUIC, mutual TLS, frames) and watches nothing.
//!
//! It stands for an agent's half of the protocol only: it enrols, says hello, sends batches, takes acks and jobs.
//! Load and fault tests use it where a hundred real agents would not fit, or where the peer must misbehave.

mod identity;
mod session;
pub mod stream;

pub use identity::{Identity, client_config, enrol, enrol_with};
pub use session::{Connected, Data, Refused, SimSession, greeting, read_frame, write_frame};
