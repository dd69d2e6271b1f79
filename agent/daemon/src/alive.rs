//! The agent's own signs of life, for the watchdog of the service manager that started it.
//!
//! Two loops matter, and each shows more than that its task is polled: the session loop answers after work of the spool's
//! thread came back, and the executor's loop after the journal was looked at on a blocking thread. So a thread that hangs
//! on the disk, a lock that is never given back and a runtime without a free thread each end the signs. A watcher that
//! hangs does not: what it watches may hang (a network file system), and everything else goes on without it.

use std::time::Duration;

use nimbus_platform::{Pulse, Sign};
use tokio::sync::Notify;

/// Within this time the executor comes round, however short the watchdog's time is: by itself it does so every 5 s.
const EXECUTOR: Duration = Duration::from_secs(30);

/// The signs of one agent.
#[derive(Debug, Default)]
pub struct Alive {
    asked: Notify,
    session: Pulse,
    jobs: Pulse,
}

impl Alive {
    /// Asks the session loop for a sign: at rest it has nothing to do for up to a minute.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits for [`Self::ask`].
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The session loop, with the spool's thread.
    pub fn session(&self) -> &Pulse {
        &self.session
    }

    /// The executor's loop, with the journal and the blocking threads.
    pub fn jobs(&self) -> &Pulse {
        &self.jobs
    }

    /// Both, for a watchdog of this time. The executor has twice of it, and never less than 30 s: it waits its turn
    /// for one of four blocking threads, behind passes over files and the resolver's lookups, which take long where no name
    /// server answers.
    pub fn signs(&self, watchdog: Duration) -> [Sign; 2] {
        let executor = (watchdog * 2).max(EXECUTOR);
        [self.session.sign("the session loop", watchdog), self.jobs.sign("the executor", executor)]
    }
}
