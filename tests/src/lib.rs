//! Support for tests that cross crates: a real Kubernetes, a real PostgreSQL, and the product's own binaries as
//! processes that can be killed.
//!
//! [`rig`] starts a cluster, [`postgres`] a database server, [`registry`] one for images and charts, [`process`] anything
//! else. Everything listens on loopback only, lives in a temporary directory and dies with the test that started it.
//! What is asserted is left to the tests.

pub mod agent;
pub mod bench;
pub mod dist;
pub mod effects;
pub mod helm;
pub mod installed;
pub mod netns;
pub mod packaged;
pub mod plane;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod rig;
pub mod scenes;
pub mod sim;
pub mod site;
pub mod sqlite;
pub mod standby;
pub mod tofu;
pub mod wait;
