//! Wakes the tasks when there may be something to do. No wake-up is needed for correctness: each task also runs by
//! itself once a second.

use tokio::sync::Notify;

/// A notification for each loop. One that comes while the loop is busy is kept until its next pass; many count as one.
#[derive(Debug, Default)]
pub struct Wakers {
    engine: Notify,
    maintenance: Notify,
}

impl Wakers {
    /// Observations were stored, documents changed, or an agent came or went.
    pub fn engine(&self) {
        self.engine.notify_one();
    }

    /// The log grew enough for a snapshot.
    pub fn maintenance(&self) {
        self.maintenance.notify_one();
    }

    /// Waits for [`Self::engine`].
    pub async fn engine_woken(&self) {
        self.engine.notified().await;
    }

    /// Waits for [`Self::maintenance`].
    pub async fn maintenance_woken(&self) {
        self.maintenance.notified().await;
    }
}
