//! The agent: what watches, carries and runs around the decisions of `nimbus_agent_core`.
//!
//! ```text
//! watch/{kube,host,files} -> outbox -> session_loop (spool, session) -> transport/link (QUIC)
//!                                        | jobs        ^
//!                                        v             | reports
//!                                      exec (remedies) -> journal
//! ```
//!
//! [`Agent::start`] starts everything, [`Agent::stop`] ends it cleanly; the `nimbus-agent` program is a thin shell over
//! the two. What goes wrong after the start is a problem in [`Status`], in the log and in the control plane, and never
//! stops the other parts.

mod agent;
pub mod args;
mod board;
mod clock;
mod config;
mod counters;
pub mod datadir;
mod durable;
mod enrol;
mod error;
pub mod exec;
mod failpoint;
pub mod files;
pub mod identity;
mod outbox;
mod runtime;
pub mod session_loop;
mod telemetry;
mod teller;
pub mod transport;
pub mod watch;

pub use agent::Agent;
pub use board::Status;
pub use config::{ClusterSource, Config, LeaseSettings, is_host_port};
pub use error::AgentError;
pub use runtime::{BLOCKING, runtime};
