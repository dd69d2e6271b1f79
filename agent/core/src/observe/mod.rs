//! From what is really there to an observation, secrets already left behind.

pub mod file;
pub mod host;
pub mod kube;
pub mod secret;
pub mod seen;
