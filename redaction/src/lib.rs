//! What is taken for a secret, and how secrets are taken out of what leaves a machine.
//!
//! [`secret`] decides whether a file looks as if it held one: the agent then sends hashes alone. [`Redactor`] takes the
//! secrets out of texts and JSON documents and leaves the rest: the support bundle is made of what remains. Both go by
//! the rules in `secret/rules.toml`. Nothing here reads a file, a clock or a socket.
#![deny(missing_docs)]

mod mask;
pub mod secret;

pub use mask::{Redacted, Redactor};

/// What stands where a secret was.
pub const MASK: &str = "[redacted]";
