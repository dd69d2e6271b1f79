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

/// Replayed rows after which a start takes a snapshot before it serves.
const LONG_REPLAY: i64 = 250;

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
        let Some(taken) = take(app).await? else { return Ok(None) };
        (self.position, self.at) = (taken.position, Instant::now());
        Ok(Some(taken.unneeded))
    }
}

/// A snapshot that is in the store.
struct Taken {
    position: i64,
    /// Up to here neither the snapshots nor the documents need the log any more.
    unneeded: i64,
}

/// Takes a snapshot now. `None` when the world could not be read.
async fn take(app: &Arc<App>) -> Result<Option<Taken>, StoreError> {
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
    Ok(Some(Taken { position, unneeded: unneeded.min(routed) }))
}

/// After a start that replayed the log from `from` on: when that was long, a snapshot at once, so that a process that
/// is killed again and again does not replay more each time. Nothing is trimmed here.
pub async fn after_replay(app: &Arc<App>, from: i64) -> Result<(), StoreError> {
    let rows = app.applied() - from;
    if rows < LONG_REPLAY {
        return Ok(());
    }
    let taken = take(app).await?;
    tracing::info!(rows, kept = taken.is_some(), "replayed a long part of the log; took a snapshot");
    Ok(())
}
