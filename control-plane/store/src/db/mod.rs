//! Runs a statement on either database, SQLite or PostgreSQL.
//!
//! Decides how values go in, how rows come out and how a transaction begins and ends; which statements there are is
//! the business of the modules above. `$1` is a placeholder in both dialects, times are BIGINT microseconds, so
//! that nearly every statement is written once.

mod value;

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{PgPool, Postgres, SqlSafeStr, SqlStr, Sqlite, SqlitePool, Transaction};

use crate::StoreError;
use crate::classify::classify;

pub(crate) use value::{Row, Sql, Value};

/// The pools. SQLite has one connection that writes, so that writers queue here and not in the file's lock.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    Sqlite { write: SqlitePool, read: SqlitePool },
    Postgres(PgPool),
}

/// A database that is open.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pub(crate) pools: Pools,
    /// Its address, without the password.
    pub(crate) at: Arc<str>,
}

/// A transaction that writes. Dropped, it is rolled back (for SQLite by the pool, see `open`).
pub(crate) struct Tx {
    pub(crate) inner: TxInner,
    pub(crate) at: Arc<str>,
}

pub(crate) enum TxInner {
    // Begun and ended by statements of our own: SQLite rolls back by itself when the disk is full, which the driver's
    // transaction does not notice; its next ROLLBACK fails and the connection can never begin another.
    Sqlite(PoolConnection<Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// Begins a transaction that may write. Waits at most [`crate::classify::WAIT_S`] for its turn.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.pools {
            Pools::Sqlite { write, .. } => begin_sqlite(write).await.map(TxInner::Sqlite),
            Pools::Postgres(pool) => {
                pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map(TxInner::Postgres)
            }
        };
        let inner = inner.map_err(|error| classify(&self.at, &error))?;
        Ok(Tx { inner, at: self.at.clone() })
    }

    /// Reads outside a transaction.
    pub(crate) async fn rows(
        &self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into_sql_str();
        let rows = match &self.pools {
            Pools::Sqlite { read, .. } => {
                sqlite_query(sql, values).fetch_all(read).await.map(|rows| Row::sqlite(rows, &self.at))
            }
            Pools::Postgres(pool) => {
                postgres_query(sql, values).fetch_all(pool).await.map(|rows| Row::postgres(rows, &self.at))
            }
        };
        rows.map_err(|error| classify(&self.at, &error))
    }

    /// Reads at most one row outside a transaction.
    pub(crate) async fn row(
        &self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }
}

impl Tx {
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.inner, TxInner::Postgres(_))
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into_sql_str();
        let changed = match &mut self.inner {
            TxInner::Sqlite(tx) => {
                sqlite_query(sql, values).execute(&mut **tx).await.map(|r| r.rows_affected())
            }
            TxInner::Postgres(tx) => {
                postgres_query(sql, values).execute(&mut **tx).await.map(|r| r.rows_affected())
            }
        };
        changed.map_err(|error| classify(&self.at, &error))
    }

    /// Runs a statement that returns rows.
    pub(crate) async fn rows(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into_sql_str();
        let rows = match &mut self.inner {
            TxInner::Sqlite(tx) => {
                sqlite_query(sql, values).fetch_all(&mut **tx).await.map(|rows| Row::sqlite(rows, &self.at))
            }
            TxInner::Postgres(tx) => postgres_query(sql, values)
                .fetch_all(&mut **tx)
                .await
                .map(|rows| Row::postgres(rows, &self.at)),
        };
        rows.map_err(|error| classify(&self.at, &error))
    }

    /// Runs a statement that returns at most one row.
    pub(crate) async fn row(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Commits what came out well; rolls back otherwise and hands the error on.
    pub(crate) async fn finish<T>(self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let at = self.at;
        let ended = match (self.inner, &outcome) {
            (TxInner::Sqlite(mut tx), outcome) => {
                let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
                sqlx::query(end).execute(&mut *tx).await.map(|_| ())
            }
            (TxInner::Postgres(tx), Ok(_)) => tx.commit().await,
            (TxInner::Postgres(tx), Err(_)) => tx.rollback().await,
        };
        match (outcome, ended) {
            (Ok(_), Err(error)) => Err(classify(&at, &error)),
            // Where a rollback fails there was nothing left to roll back, or the connection is closed.
            (outcome, _) => outcome,
        }
    }
}

async fn begin_sqlite(write: &SqlitePool) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
    let mut connection = write.acquire().await?;
    // IMMEDIATE takes the write lock now: a transaction that starts reading could be refused it later.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    Ok(connection)
}

fn sqlite_query<'q>(sql: SqlStr, values: &[Value<'_>]) -> Query<'q, Sqlite, SqliteArguments> {
    let mut query = sqlx::query::<Sqlite>(sql);
    for value in values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::NoInt => query.bind(None::<i64>),
            Value::Text(value) => query.bind(value.as_ref()),
            Value::Blob(value) => query.bind(*value),
        };
    }
    query
}

fn postgres_query<'q>(sql: SqlStr, values: &[Value<'_>]) -> Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query::<Postgres>(sql);
    for value in values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::NoInt => query.bind(None::<i64>),
            Value::Text(value) => query.bind(value.as_ref()),
            Value::Blob(value) => query.bind(*value),
        };
    }
    query
}
