//! Keeps the world: a snapshot now and then, so that a restart replays only a short tail of the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_control_core::model::ChangeSet;
use nimbus_store::StoreError;

use super::CURSOR;
use crate::app::App;

/// Rows of the log after which a snapshot is due …
const ROWS: i64 = 5_000;
/// … but not sooner than this after the last one.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// After so long one is due for a single row.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// When the last snapshot was taken, and of which position.
pub struct Snapshots {
    position: i64,
    at: Instant,
}

impl Snapshots {
    /// The world was restored up to `position`.
    pub fn new(position: i64) -> Self {
        Self { position, at: Instant::now() }
    }

    /// Takes a snapshot if one is due (or, with `now`, if anything came since the last). Returns the position up to
    /// which the log is no longer needed.
    pub async fn pass(&mut self, app: &Arc<App>, now: bool) -> Result<Option<i64>, StoreError> {
        let (rows, age) = (app.applied() - self.position, self.at.elapsed());
        let due = (rows >= ROWS && age >= AT_MOST_EVERY) || (rows > 0 && (age >= AT_LEAST_EVERY || now));
        if !due {
            return Ok(None);
        }
        let shared = Arc::clone(app);
        let taken = tokio::task::spawn_blocking(move || {
            let world = shared.world();
            (shared.applied(), world.to_snapshot())
        });
        let Ok((position, bytes)) = taken.await else {
            tracing::error!("the inventory could not be written down");
            return Ok(None);
        };
        let routed = app.routed();
        let cursors = vec![(CURSOR.to_owned(), routed)];
        match app.store.commit(&ChangeSet { cursors, ..ChangeSet::default() }).await {
            // The engine moved it further in between.
            Err(error) if error.is_conflict() => {}
            other => drop(other?),
        }
        let unneeded = app.store.save_snapshot(position, &bytes).await?;
        tracing::debug!(position, bytes = bytes.len(), "inventory snapshot");
        (self.position, self.at) = (position, Instant::now());
        Ok(Some(unneeded.min(routed)))
    }
}
