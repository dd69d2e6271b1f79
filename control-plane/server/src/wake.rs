//! Wakes the tasks when there may be something to do. A wake-up is never needed for correctness: each task also
//! looks by itself once a second.

use tokio::sync::Notify;

/// One bell for each loop. A ring while the loop is busy is kept until it looks again; many rings are one.
#[derive(Debug, Default)]
pub struct Wakers {
    engine: Notify,
    keeper: Notify,
}

impl Wakers {
    /// Observations were stored, documents changed, or an agent came or went.
    pub fn engine(&self) {
        self.engine.notify_one();
    }

    /// The log grew enough for a snapshot.
    pub fn keeper(&self) {
        self.keeper.notify_one();
    }

    /// Waits for [`Self::engine`].
    pub async fn engine_rung(&self) {
        self.engine.notified().await;
    }

    /// Waits for [`Self::keeper`].
    pub async fn keeper_rung(&self) {
        self.keeper.notified().await;
    }
}
