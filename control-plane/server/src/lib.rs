//! The control plane's server: gateway, tasks and REST interface around the decisions of `nimbus-control-core`.
//!
//! It decides nothing about incidents, plans or jobs itself: it carries facts in, calls the pure decisions, commits
//! what they return and carries jobs out. Everything it does resumes from the store after a crash.
#![deny(missing_docs)]

mod access_token;
pub mod alive;
pub mod app;
pub mod bearer;
pub mod belief;
pub mod ca;
pub mod caught_up;
pub mod config;
mod connections;
mod control_plane;
pub mod datadir;
pub mod documents;
mod error;
pub mod files;
pub mod gateway;
pub mod health;
mod http;
pub mod ids;
mod lease;
mod listeners;
mod log_payload;
mod make_keys;
pub mod metrics;
mod not_before;
mod own_threads;
mod people;
mod presence;
pub mod reports;
pub mod rest;
mod reviews;
pub mod service;
pub mod sessions;
mod share;
pub mod sign;
pub mod tasks;
pub mod tls;
pub mod tokens;
pub mod wake;
pub mod world_view;

pub use app::App;
pub use config::{AgentTcp, Config, DEFAULT_LISTEN, DEFAULT_QUIC};
pub use control_plane::ControlPlane;
pub use documents::EnabledCluster;
pub use error::StartError;
pub use make_keys::{KEY_FILES, MakeKeysError, make_keys};
pub use nimbus_control_core::model::AgentKind;
pub use nimbus_store::{Probed, StoreError, StoreUrl, probe, schema_version};
