//! What the agent, the control plane, the command and the installer need from the machine: durable files, locks, the
//! clock, waits, crash points, how an address is written, and what passes between a program and its service manager.
//!
//! No pure crate may depend on this one: here is the clock, randomness, files and the end of a process. Nothing here
//! knows a message, an incident or a job.
#![deny(missing_docs)]

mod address;
mod chain;
mod clock;
mod credential;
mod durable;
mod failpoint;
mod herald;
mod lock;
mod notify;
mod regular;
mod wait;

pub use address::{is_host, is_host_port};
pub use chain::chain;
pub use clock::{ClockWatch, jittered, monotonic, now, since_boot};
pub use credential::{Credential, CredentialError, credentials_directory, read_credential};
pub use durable::{
    create_private_dir, holds_only, is_full, own_private_dir, read_optional, sync_parent, write_atomic,
    write_atomic_with,
};
pub use failpoint::{arm_from_environment, reached};
pub use herald::{Herald, Pulse, Sign};
pub use lock::{DirLock, LockError, inherited};
pub use notify::{Notice, NotifyError, ServiceManager};
pub use regular::{open_regular, read_regular, read_regular_start, read_regular_text};
pub use wait::DoublingWait;
