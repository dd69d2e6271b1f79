//! The observation log: append-only rows, one for each batch, and a high-water mark for each agent.
//!
//! Decides that a row and its agent's mark move together, that positions become visible in order (a reader that has
//! seen a position has seen all before it), and how much one call reads or removes. What a payload says is the
//! business of others.

mod append;

use std::collections::HashMap;

use nimbus_protocol::ids::AgentId;

use crate::db::Row;
use crate::{LogBatch, LogSpan, Store, StoreError};

/// Most rows that one [`Store::read_log`] returns.
pub const MAX_LOG_ROWS: u32 = 1_000;
/// Payload bytes at which [`Store::read_log`] stops early; one row is always returned.
const READ_BYTES: i64 = 32 << 20;
/// Most rows that one [`Store::trim_log`] removes, so that it never holds up the writer for long.
pub const MAX_TRIM_ROWS: u32 = 1_000;

impl Store {
    /// Each agent's highest stored sequence number.
    pub async fn high_water_marks(&self) -> Result<HashMap<AgentId, u64>, StoreError> {
        let rows = self.db.rows("SELECT agent, mark FROM marks", &[]).await?;
        rows.iter().map(|row| Ok((agent(row, 0)?, row.unsigned(1)?))).collect()
    }

    /// The rows after a position, in order: at most `limit` (and [`MAX_LOG_ROWS`]), fewer when they are large. Empty
    /// only when there is nothing after `after`.
    pub async fn read_log(&self, after: i64, limit: u32) -> Result<Vec<LogBatch>, StoreError> {
        let sizes = "SELECT position, CAST(length(payload) AS BIGINT) FROM observations WHERE position > $1
                     ORDER BY position LIMIT $2";
        let limit = limit.clamp(1, MAX_LOG_ROWS);
        let mut until = after;
        let mut bytes = 0;
        for row in self.db.rows(sizes, &[after.into(), limit.into()]).await? {
            bytes += row.get::<i64>(1)?;
            if bytes > READ_BYTES && until != after {
                break;
            }
            until = row.get(0)?;
        }
        if until == after {
            return Ok(Vec::new());
        }
        let sql = "SELECT position, agent, first_seq, last_seq, items, received_at, payload FROM observations
                   WHERE position > $1 AND position <= $2 ORDER BY position";
        self.db.rows(sql, &[after.into(), until.into()]).await?.iter().map(batch).collect()
    }

    /// What the log holds.
    pub async fn log_span(&self) -> Result<LogSpan, StoreError> {
        let sql = "SELECT COUNT(*), COALESCE(MIN(position), 0), COALESCE(MAX(position), 0) FROM observations";
        match self.db.row(sql, &[]).await? {
            Some(row) => Ok(LogSpan { rows: row.unsigned(0)?, first: row.get(1)?, last: row.get(2)? }),
            None => Ok(LogSpan::default()),
        }
    }

    /// Removes rows with a position below `before`, the oldest first, at most [`MAX_TRIM_ROWS`]; how many. Call again
    /// while it returns as many. The marks stay.
    pub async fn trim_log(&self, before: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM observations WHERE position IN
                   (SELECT position FROM observations WHERE position < $1 ORDER BY position LIMIT $2)";
        let outcome = tx.execute(sql, &[before.into(), MAX_TRIM_ROWS.into()]).await;
        tx.finish(outcome).await
    }
}

fn agent(row: &Row, column: usize) -> Result<AgentId, StoreError> {
    row.get::<String>(column)?.parse().map_err(|error| row.corrupt("an agent's id", &format!("{error}")))
}

fn batch(row: &Row) -> Result<LogBatch, StoreError> {
    Ok(LogBatch {
        position: row.get(0)?,
        agent: agent(row, 1)?,
        first: row.unsigned(2)?,
        last: row.unsigned(3)?,
        count: row.unsigned(4)?,
        received_at: row.time(5)?,
        payload: row.get(6)?,
    })
}
