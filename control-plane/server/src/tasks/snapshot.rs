//! Takes snapshots of the world at intervals, so that a restart replays only a short tail of the log.

use std::sync::{Arc, RwLockWriteGuard};
use std::time::{Duration, Instant};

use nimbus_control_core::model::{ChangeSet, RevisionHistory};
use nimbus_store::StoreError;

use super::{CURSOR, Histories};
use crate::app::App;

/// Rows of the log after which a snapshot is due …
const ROWS: i64 = 5_000;
/// … but not sooner than this after the last one.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// After so long one is due for a single row.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// Replayed rows after which a start takes a snapshot before it serves.
const LONG_REPLAY: i64 = 250;

/// When the last snapshot was taken, and of which position.
pub struct Snapshots {
    position: i64,
    at: Instant,
    histories: Histories,
}

impl Snapshots {
    /// The world was restored up to `position`, with these histories.
    pub fn new(position: i64, histories: Histories) -> Self {
        Self { position, at: Instant::now(), histories }
    }

    /// Takes a snapshot if one is due (or, with `now`, if anything came since the last). Returns the position up to
    /// which the log is no longer needed.
    pub async fn pass(&mut self, app: &Arc<App>, now: bool) -> Result<Option<i64>, StoreError> {
        let (rows, age) = (app.view.applied() - self.position, self.at.elapsed());
        let due = (rows >= ROWS && age >= AT_MOST_EVERY) || (rows > 0 && (age >= AT_LEAST_EVERY || now));
        let due = app.take_snapshot_due() || due;
        let taken = if due { self.take(app).await } else { Ok(None) };
        if taken.is_err() {
            app.snapshot_is_due();
        }
        taken
    }

    /// After a start: when it replayed a long part of the log, a snapshot at once, so that a process that is killed again
    /// and again does not replay more each time. Nothing is trimmed here.
    pub async fn after_replay(&mut self, app: &Arc<App>) -> Result<(), StoreError> {
        let rows = app.view.applied() - self.position;
        if rows >= LONG_REPLAY {
            let taken = self.take(app).await?;
            tracing::info!(rows, kept = taken.is_some(), "replayed a long part of the log; took a snapshot");
        }
        Ok(())
    }

    /// Takes a snapshot now. Returns the position up to which neither the snapshots nor the documents need the log any
    /// more; `None` when the world could not be read.
    async fn take(&mut self, app: &Arc<App>) -> Result<Option<i64>, StoreError> {
        let shared = Arc::clone(app);
        let taken = tokio::task::spawn_blocking(move || {
            let mut world = shared.view.write();
            // Of the same moment as the snapshot: what was made of later observations is taken with the next one.
            let histories = world.take_unstored_histories();
            let world = RwLockWriteGuard::downgrade(world);
            (histories, shared.view.applied(), world.to_snapshot())
        });
        let Ok((histories, position, bytes)) = taken.await else {
            tracing::error!("the inventory could not be written down");
            return Ok(None);
        };
        let unneeded = self.store(app, &histories, position, &bytes).await;
        if unneeded.is_err() {
            app.view.write().histories_not_stored(histories);
        }
        let unneeded = unneeded?;
        (self.position, self.at) = (position, Instant::now());
        tracing::debug!(position, bytes = bytes.len(), "inventory snapshot");
        Ok(Some(unneeded))
    }

    async fn store(
        &mut self,
        app: &App,
        histories: &[RevisionHistory],
        position: i64,
        bytes: &[u8],
    ) -> Result<i64, StoreError> {
        // First: no later start reads again the observations from which they were made.
        self.histories.store(app.store(), histories).await?;
        let routed = app.view.routed();
        let cursors = vec![(CURSOR.to_owned(), routed)];
        match app.store().commit(&ChangeSet { cursors, ..ChangeSet::default() }).await {
            // The engine moved it further in between.
            Err(error) if error.is_conflict() => {}
            other => drop(other?),
        }
        Ok(app.store().save_snapshot(position, bytes).await?.min(routed))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test]
    async fn a_jump_of_the_clock_is_in_the_next_snapshot_though_nothing_was_observed_since() {
        let dir = tempfile::tempdir().unwrap();
        let app = crate::app::testing::app(dir.path()).await;
        let mut snapshots = Snapshots::new(0, Histories::default());
        assert_eq!(snapshots.pass(&app, true).await.unwrap(), None, "nothing came");
        app.world_clock_jumped(SignedDuration::from_hours(48));
        assert!(snapshots.pass(&app, false).await.unwrap().is_some());
        assert_eq!(snapshots.pass(&app, false).await.unwrap(), None, "once");
        app.store().close().await;
    }
}
