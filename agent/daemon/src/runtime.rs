//! The tokio runtime that `nimbus-agent` runs on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Workers: an agent at rest has little to do.
const WORKERS: usize = 2;
/// Threads for work that blocks on the disk; short-lived, as an agent at rest needs none. Work beyond waits for one, so
/// what such work waits for is never done on these threads itself.
pub const BLOCKING: usize = 4;

/// The runtime of the `nimbus-agent` program.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
}
