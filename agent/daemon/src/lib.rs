//! The agent's daemon: the watchers, transport and executors around the decisions of `nimbus_agent_core`.
//!
//! ```text
//! watch/{kube,kubelet,host,files} -> observation_queue -> session_loop (spool, session) -> transport/link (QUIC)
//!                                                   | jobs        ^
//!                                                   v             | reports
//!                                                 exec (remedies) -> journal
//! ```
//!
//! [`Agent::start`] starts everything, [`Agent::stop`] ends it cleanly; the `nimbus-agent` program is a thin shell over
//! the two. What goes wrong after the start is a problem in [`Status`], in the log and in the control plane, and never
//! stops the other parts.

mod agent;
pub mod alive;
pub mod args;
mod config;
mod counters;
pub mod datadir;
pub mod enrol;
mod error;
pub mod exec;
pub mod files;
mod finish;
pub mod identity;
mod join;
mod observation_queue;
pub mod pauses;
mod pod_proof;
mod policy_files;
mod rejoin;
mod runtime;
pub mod service;
pub mod session_loop;
mod status;
mod status_reporter;
pub mod switch;
mod telemetry;
pub mod transport;
pub mod watch;

pub use agent::Agent;
pub use config::{ClusterSource, Config, JOIN_CREDENTIAL, KubeletSettings, LeaseSettings};
pub use error::AgentError;
pub use nimbus_agent_core::policy::MANAGED_FILE;
pub use runtime::{BLOCKING, runtime};
pub use status::Status;
