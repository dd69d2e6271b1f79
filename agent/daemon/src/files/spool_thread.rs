//! The thread that owns the spool. Watchers on blocking threads wait until their observations are on disk, so the spool
//! must not itself need one of those threads.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// One thread that does one piece of disk work after the other; it ends with this value. Its queue is bounded by who
/// asks: the session's loop waits for each answer before it asks again.
#[derive(Debug)]
pub struct SpoolThread(mpsc::Sender<Work>);

impl SpoolThread {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (send, receive) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("nimbus-spool".to_owned()).stack_size(1 << 20).spawn(move || {
            for work in receive {
                work();
            }
        })?;
        Ok(Self(send))
    }

    /// Does `work` there; `None` only where the thread ended, with whatever `work` had taken.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (send, receive) = oneshot::channel();
        let work = move || {
            let _ = send.send(work());
        };
        self.0.send(Box::new(work)).ok()?;
        receive.await.ok()
    }
}
