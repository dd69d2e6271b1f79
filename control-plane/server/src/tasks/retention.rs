//! Trims what is no longer needed: log rows before the older snapshot, and documents that ended long ago. Audit rows
//! are never trimmed.

use std::time::{Duration, Instant};

use nimbus_store::StoreError;

use super::clock::CLOCK;
use crate::app::App;

/// How long resolved incidents with all that belongs to them, spent join tokens, and the revision histories of workloads
/// that are gone, are kept.
const KEEP: Duration = Duration::from_hours(90 * 24);
/// How long the agents of pods that are gone are kept: a token of theirs, which holds an hour, has long ended by then.
const KEEP_GONE: Duration = Duration::from_hours(25);
/// How often documents are trimmed.
const EVERY: Duration = Duration::from_hours(1);
/// Calls for the log, and for gone agents, in one pass, each of a bounded number of rows; the rest follows in the next pass.
const CALLS: usize = 100;

/// When documents were trimmed last.
#[derive(Debug, Default)]
pub struct Retention {
    documents: Option<Instant>,
}

impl Retention {
    /// Removes the rows of the log up to and including `unneeded`.
    pub async fn log(&self, app: &App, unneeded: i64) -> Result<(), StoreError> {
        let mut removed = 0;
        for _ in 0..CALLS {
            match app.store().trim_log(unneeded + 1).await? {
                0 => break,
                rows => removed += rows,
            }
        }
        if removed > 0 {
            tracing::debug!(removed, unneeded, "trimmed the log");
        }
        Ok(())
    }

    /// Removes documents that have been over for [`KEEP`], once in a while.
    pub async fn documents(&mut self, app: &App) -> Result<(), StoreError> {
        if self.documents.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        // By a clock that was wrong a moment ago, everything may look as if it had been over for years.
        if app.notices.is_recent(CLOCK, Instant::now()) {
            return Ok(());
        }
        self.documents = Some(Instant::now());
        self.gone_agents(app).await?;
        let Ok(before) = app.now().checked_sub(KEEP) else { return Ok(()) };
        let trimmed = app.documents.trim(before).await?;
        if trimmed != nimbus_store::Trimmed::default() {
            tracing::info!(?trimmed, "removed what has been over for 90 days");
        }
        Ok(())
    }

    /// Removes the agents of pods that have been gone for [`KEEP_GONE`].
    async fn gone_agents(&self, app: &App) -> Result<(), StoreError> {
        let Ok(before) = app.now().checked_sub(KEEP_GONE) else { return Ok(()) };
        let mut removed = 0;
        for _ in 0..CALLS {
            match app.documents.trim_gone_agents(before).await? {
                0 => break,
                agents => removed += agents,
            }
        }
        if removed > 0 {
            tracing::info!(removed, "removed the agents of pods that have been gone for a day");
        }
        Ok(())
    }
}
