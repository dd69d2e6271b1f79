//! The observation log: append-only rows, one for each batch, and a high-water mark for each agent.
//!
//! Decides that a row and its agent's mark move together, that positions become visible in order (a reader that has
//! seen a position has seen all before it), and how much one call reads or removes. What a payload says is the
//! business of others.

mod append;

use std::collections::HashMap;

use nimbus_protocol::ids::AgentId;

use crate::db::Row;
use crate::sums::{self, LogRow, mark_value};
use crate::{LogBatch, LogSpan, Store, StoreError};

/// Most rows that one [`Store::read_log`] returns.
pub const MAX_LOG_ROWS: u32 = 1_000;
/// Payload bytes at which [`Store::read_log`] stops early; one row is always returned.
const READ_BYTES: i64 = 32 << 20;
/// Most rows that one [`Store::trim_log`] removes, so that it never holds up the writer for long.
pub const MAX_TRIM_ROWS: u32 = 1_000;
/// Whose a row is that is not what was written.
const NOBODY: &str = "agt_00000000000000000000000000000000";

impl Store {
    /// Each agent's highest stored sequence number. A mark whose checksum does not hold is [`StoreError::Corrupt`]: by a wrong
    /// one observations would be dropped as had already.
    pub async fn high_water_marks(&self) -> Result<HashMap<AgentId, u64>, StoreError> {
        let rows = self.db.rows("SELECT agent, mark, since, sum FROM marks", &[]).await?;
        rows.iter().map(mark).collect()
    }

    /// The rows after a position, in order: at most `limit` (and [`MAX_LOG_ROWS`]), fewer when they are large. Empty
    /// only when there is nothing after `after`. A row whose checksum does not hold says nothing: it is nobody's, its payload
    /// is empty and its numbers are 0.
    pub async fn read_log(&self, after: i64, limit: u32) -> Result<Vec<LogBatch>, StoreError> {
        self.log_rows(after, limit).await?.iter().map(batch).collect()
    }

    /// The rows after a position, as [`batch`] and [`damage`] read them, and as many of them as [`Store::read_log`] returns.
    pub(crate) async fn log_rows(&self, after: i64, limit: u32) -> Result<Vec<Row>, StoreError> {
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
        let sql =
            "SELECT position, agent, first_seq, last_seq, items, received_at, payload, sum FROM observations
                   WHERE position > $1 AND position <= $2 ORDER BY position";
        self.db.rows(sql, &[after.into(), until.into()]).await
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

fn mark(row: &Row) -> Result<(AgentId, u64), StoreError> {
    let (name, value): (String, String) = (row.get(0)?, mark_value(row.get(2)?, row.get(1)?));
    sums::compare(row, ("marks", &name, &value), row.get(3)?)?;
    Ok((agent(row, 0)?, row.unsigned(1)?))
}

/// Is a row of the log what was written? A row of an earlier build does not say.
fn is_whole(row: &Row) -> Result<bool, StoreError> {
    let Some(stored) = row.get::<Option<i64>>(7)? else { return Ok(true) };
    let (agent, payload): (String, Vec<u8>) = (row.get(1)?, row.get(6)?);
    let numbers: [i64; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok(LogRow { agent: &agent, numbers, payload: &payload }.sum() == stored)
}

/// What is wrong with a row of the log, as one sentence.
pub(crate) fn damage(row: &Row) -> Result<Option<String>, StoreError> {
    let position: i64 = row.get(0)?;
    let what = match (is_whole(row), agent(row, 1)) {
        (Ok(true), Ok(_)) if position > 0 => return Ok(None),
        (Ok(true), Ok(_)) => "no such position is ever given out".to_owned(),
        (Ok(false), _) => "its checksum does not hold".to_owned(),
        (Err(error @ StoreError::Corrupt { .. }), _) | (Ok(true), Err(error)) => error.to_string(),
        (Err(error), _) => return Err(error),
    };
    Ok(Some(format!("the observation log's row of position {position}: {what}")))
}

fn batch(row: &Row) -> Result<LogBatch, StoreError> {
    if !matches!(is_whole(row), Ok(true)) {
        // Whoever reads on must not decide by it, nor stop at it: agents list everything again.
        let position: i64 = row.get(0)?;
        tracing::error!(position, "a row of the observation log is not what was written and is left out");
        let received_at = jiff::Timestamp::UNIX_EPOCH;
        let agent = NOBODY.parse::<AgentId>();
        let agent = agent.map_err(|error| row.corrupt("an agent's id", &format!("{error}")))?;
        let (first, last, count, payload) = (0, 0, 0, Vec::new());
        return Ok(LogBatch { position, agent, first, last, count, received_at, payload });
    }
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
