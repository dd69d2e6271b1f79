//! Threads of their own for what must not wait behind everything else that this process does.
//!
//! The tasks of one runtime take turns: when a hundred agents send as fast as they can, hundreds of them are ready at any
//! time, and an operator's request would wait for its turn at every step. Threads take turns too, but the system lets one that
//! slept run before those that have run all the time.

use std::io;

use tokio::runtime::{Builder, EnterGuard, Runtime};

/// A runtime with its own threads. Dropping it stops its tasks without waiting, also within another runtime. Connections to
/// the database that were opened on it end with it: it is kept until the store is closed.
#[derive(Debug)]
pub struct OwnThreads(Option<Runtime>);

impl OwnThreads {
    /// So many threads, which are called so.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let built =
            Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build();
        Ok(Self(Some(built?)))
    }

    /// What is spawned while this is held runs there.
    pub fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }
}

impl Drop for OwnThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // To wait here would block a task of another runtime, which is not allowed.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_spawned_inside_runs_there_though_the_own_runtime_is_held_up() {
        let threads = OwnThreads::start("apart", 1).unwrap();
        let (said, hears) = std::sync::mpsc::channel();
        let inside = threads.enter();
        let spawned = tokio::spawn(async move {
            let name = std::thread::current().name().map(str::to_owned);
            said.send(name).unwrap();
        });
        drop(inside);
        // This blocks the only thread of the test's own runtime.
        let name = hears.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(name.as_deref(), Some("apart"));
        spawned.await.unwrap();
        drop(threads);
    }
}
