//! Appends to the observation log: many batches of many agents in one transaction, with each agent's high-water mark.
//!
//! PostgreSQL gets whole columns as arrays, a few round trips for any number of batches; SQLite is in the same
//! process, where one prepared statement for each row costs less than putting arrays together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use nimbus_protocol::frame::MAX_DECOMPRESSED;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::to_micros;

use crate::classify::classify;
use crate::db::{Tx, TxInner, Value};
use crate::sums::{batch_sum, mark_value, sum};
use crate::{NewBatch, Store, StoreError};

/// Rows in one statement to PostgreSQL.
const STATEMENT_ROWS: usize = 1_000;
/// Payload bytes in one statement to PostgreSQL.
const STATEMENT_BYTES: usize = 16 << 20;

/// Held until the commit: positions become visible in the order in which they are given out. "nimbus" and 2.
const LOG_LOCK: &str = "SELECT pg_advisory_xact_lock(1852402005, 2)";

/// Moves a mark only if the append begins above it: the rows changed say whether it did.
const MOVE_MARK: &str = "
    INSERT INTO marks (agent, since, mark, sum) VALUES ($1, $2, $3, $4)
    ON CONFLICT (agent) DO UPDATE SET since = excluded.since, mark = excluded.mark, sum = excluded.sum
    WHERE marks.mark < excluded.since";
const MOVE_MARKS: &str = "
    INSERT INTO marks (agent, since, mark, sum)
    SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    ON CONFLICT (agent) DO UPDATE SET since = excluded.since, mark = excluded.mark, sum = excluded.sum
    WHERE marks.mark < excluded.since";
const ADD_ROW: &str = "
    INSERT INTO observations (agent, first_seq, last_seq, items, received_at, payload, sum)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ADD_ROWS: &str = "
    WITH added AS (
        INSERT INTO observations (agent, first_seq, last_seq, items, received_at, payload, sum)
        SELECT agent, first_seq, last_seq, items, received_at, payload, sum
        FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[])
             WITH ORDINALITY AS batch (agent, first_seq, last_seq, items, received_at, payload, sum, place)
        ORDER BY place
        RETURNING position)
    SELECT MAX(position) FROM added";

/// One agent's part of an append: its first and its last sequence number.
type Marks = BTreeMap<AgentId, (i64, i64)>;

impl Store {
    /// Appends batches and moves their agents' marks, all of it or nothing; returns the last position. When this
    /// returns, the batches are on disk: they may be acknowledged.
    ///
    /// Refuses with [`StoreError::Conflict`] on table `marks` when an agent's batches do not all lie above its stored
    /// mark, or overlap one another: the caller's idea of the mark is stale.
    /// After [`StoreError::Unreachable`] the batches may or may not be stored: read the marks again.
    pub async fn append(&self, batches: &[NewBatch]) -> Result<i64, StoreError> {
        if batches.is_empty() {
            return Ok(self.log_span().await?.last);
        }
        let marks = marks(batches)?;
        let mut tx = self.begin().await?;
        let outcome = write(&mut tx, batches, &marks).await;
        match tx.finish(outcome).await {
            Err(error) if error.is_conflict() => Err(self.explain(&marks).await?.unwrap_or(error)),
            other => other,
        }
    }

    /// Which agent's mark stood in the way, read after the rollback.
    async fn explain(&self, marks: &Marks) -> Result<Option<StoreError>, StoreError> {
        for (agent, mark) in self.high_water_marks().await? {
            let mark = number(mark)?;
            if let Some((since, _)) = marks.get(&agent).filter(|(since, _)| mark >= *since) {
                return Ok(Some(overlap(agent, *since, mark)));
            }
        }
        Ok(None)
    }
}

async fn write(tx: &mut Tx, batches: &[NewBatch], marks: &Marks) -> Result<i64, StoreError> {
    if tx.is_postgres() {
        tx.rows(LOG_LOCK, &[]).await?;
    }
    move_marks(tx, marks).await?;
    let at = tx.at.clone();
    let added = match &mut tx.inner {
        TxInner::Sqlite(tx) => {
            let mut last = 0;
            for batch in batches {
                let query = sqlx::query(ADD_ROW)
                    .bind(batch.agent.to_string())
                    .bind(number(batch.first)?)
                    .bind(number(batch.last)?)
                    .bind(i64::from(batch.count))
                    .bind(to_micros(batch.received_at))
                    .bind(batch.payload.as_slice())
                    .bind(batch_sum(batch));
                last = query.execute(&mut **tx).await.map_err(|e| classify(&at, &e))?.last_insert_rowid();
            }
            Ok(last)
        }
        TxInner::Postgres(tx) => {
            let mut last = Ok(0);
            for part in parts(batches) {
                let query = sqlx::query_scalar::<_, i64>(ADD_ROWS)
                    .bind(part.iter().map(|b| b.agent.to_string()).collect::<Vec<_>>())
                    .bind(part.iter().map(|b| number(b.first)).collect::<Result<Vec<_>, _>>()?)
                    .bind(part.iter().map(|b| number(b.last)).collect::<Result<Vec<_>, _>>()?)
                    .bind(part.iter().map(|b| i64::from(b.count)).collect::<Vec<_>>())
                    .bind(part.iter().map(|b| to_micros(b.received_at)).collect::<Vec<_>>())
                    .bind(part.iter().map(|b| b.payload.as_slice()).collect::<Vec<_>>())
                    .bind(part.iter().map(batch_sum).collect::<Vec<_>>());
                last = query.fetch_one(&mut **tx).await;
                if last.is_err() {
                    break;
                }
            }
            last
        }
    };
    added.map_err(|error| classify(&at, &error))
}

async fn move_marks(tx: &mut Tx, marks: &Marks) -> Result<(), StoreError> {
    let at = tx.at.clone();
    let moved = match &mut tx.inner {
        TxInner::Sqlite(_) => {
            let mut moved = 0;
            for (agent, (since, mark)) in marks {
                let agent = agent.to_string();
                let sum = mark_sum(&agent, *since, *mark);
                let values: [Value<'_>; 4] = [agent.into(), (*since).into(), (*mark).into(), sum.into()];
                moved += tx.execute(MOVE_MARK, &values).await?;
            }
            moved
        }
        TxInner::Postgres(tx) => sqlx::query(MOVE_MARKS)
            .bind(marks.keys().map(ToString::to_string).collect::<Vec<_>>())
            .bind(marks.values().map(|(since, _)| *since).collect::<Vec<_>>())
            .bind(marks.values().map(|(_, mark)| *mark).collect::<Vec<_>>())
            .bind(
                marks
                    .iter()
                    .map(|(agent, (since, mark))| mark_sum(&agent.to_string(), *since, *mark))
                    .collect::<Vec<_>>(),
            )
            .execute(&mut **tx)
            .await
            .map_err(|error| classify(&at, &error))?
            .rows_affected(),
    };
    if moved == marks.len() as u64 {
        return Ok(());
    }
    let detail = "expected batches above the stored marks, found one below".to_owned();
    Err(StoreError::Conflict { table: "marks", id: String::new(), detail })
}

fn mark_sum(agent: &str, since: i64, mark: i64) -> i64 {
    sum("marks", agent, &mark_value(since, mark))
}

fn overlap(agent: AgentId, first: i64, mark: i64) -> StoreError {
    StoreError::Conflict {
        table: "marks",
        id: agent.to_string(),
        detail: format!("expected batches above the stored mark {mark}, found one from {first}"),
    }
}

/// Checks the batches among themselves; the database checks them against the marks.
fn marks(batches: &[NewBatch]) -> Result<Marks, StoreError> {
    let mut marks = Marks::new();
    for batch in batches {
        let (first, last) = (number(batch.first)?, number(batch.last)?);
        let room = last.checked_sub(first).and_then(|n| n.checked_add(1)).unwrap_or(0);
        if first < 1 || batch.count == 0 || i64::from(batch.count) > room {
            return Err(StoreError::Invalid {
                expected:
                    "a batch whose 1 or more observations fit between its first and last sequence number"
                        .to_owned(),
                found: format!("{} from {first} to {last} of {}", batch.count, batch.agent),
            });
        }
        if batch.payload.len() > MAX_DECOMPRESSED {
            return Err(StoreError::Invalid {
                expected: format!("a payload of at most {MAX_DECOMPRESSED} bytes"),
                found: format!("{} bytes of {}", batch.payload.len(), batch.agent),
            });
        }
        match marks.entry(batch.agent) {
            Entry::Vacant(free) => {
                free.insert((first, last));
            }
            Entry::Occupied(taken) if taken.get().1 >= first => {
                return Err(overlap(batch.agent, first, taken.get().1));
            }
            Entry::Occupied(mut taken) => taken.get_mut().1 = last,
        }
    }
    Ok(marks)
}

/// Cuts batches into statements.
fn parts(batches: &[NewBatch]) -> impl Iterator<Item = &[NewBatch]> {
    let mut rest = batches;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |batch: &&NewBatch| {
            bytes += batch.payload.len();
            bytes <= STATEMENT_BYTES
        };
        let count = rest.iter().take(STATEMENT_ROWS).take_while(fits).count().max(1).min(rest.len());
        let (part, after) = rest.split_at(count);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Invalid {
        expected: format!("a sequence number of at most {}", i64::MAX),
        found: value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, last: u64, bytes: usize) -> NewBatch {
        NewBatch {
            agent: "agt_00000000000000000000000000000001".parse().unwrap(),
            first,
            last,
            count: 1,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            payload: vec![0; bytes],
        }
    }

    #[test]
    fn statements_stay_within_rows_and_bytes_and_lose_nothing() {
        let small: Vec<_> = (1..=2_500).map(|n| batch(n, n, 10)).collect();
        assert_eq!(parts(&small).map(<[_]>::len).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        let large: Vec<_> = (1..=10).map(|n| batch(n, n, 3 << 20)).collect();
        assert_eq!(parts(&large).map(<[_]>::len).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(parts(&[]).count(), 0);
    }

    #[test]
    fn a_batch_that_cannot_be_is_refused_before_the_database() {
        for bad in
            [batch(0, 3, 1), batch(5, 4, 1), batch(u64::MAX, u64::MAX, 1), batch(1, 1, MAX_DECOMPRESSED + 1)]
        {
            assert!(matches!(marks(&[bad]), Err(StoreError::Invalid { .. })));
        }
        assert!(matches!(marks(&[batch(1, 5, 1), batch(5, 6, 1)]), Err(StoreError::Conflict { .. })));
        let good = [batch(1, 5, 1), batch(9, 9, 1)];
        assert_eq!(marks(&good).unwrap().values().collect::<Vec<_>>(), [&(1, 9)]);
    }
}
