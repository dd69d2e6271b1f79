//! Reads all rows of a database as they were in one moment, while a control plane goes on writing.
//!
//! Nothing is written and nothing is migrated: another schema than this build's is refused. SQLite keeps what a reader
//! may still need in its write-ahead log, which therefore grows until the export ends.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use super::{Cell, ColumnKind, RESTORED, Table, names};
use crate::classify::{WAIT_S, classify, io_error};
use crate::db::Row;
use crate::store::OWNER;
use crate::url::Address;
use crate::{StoreError, StoreUrl, migrate, sums};

/// Rows that SQLite reads ahead.
const AHEAD: usize = 8;
const EPOCH: &str = "SELECT name, value, sum FROM counters WHERE name = 'epoch'";
const META: &str = "SELECT name, value, sum FROM meta WHERE name = $1";
const LAST_SQLITE: &str = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'observations'";
/// A sequence that gave nothing out yet says 1 as well.
const LAST_POSTGRES: &str = "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('observations', 'position')::regclass), 0)";

/// A database as it is in one moment.
pub struct Export {
    connection: Reading,
    at: Arc<str>,
}

enum Reading {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl Export {
    /// Opens the database for reading and holds the moment until this is dropped or closed. It has to have this build's
    /// schema, and a control plane has to have started on it once.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let at: Arc<str> = url.to_string().into();
        let connecting = connect(url, &at);
        let Ok(connection) = tokio::time::timeout(Duration::from_secs(WAIT_S), connecting).await else {
            return Err(classify(&at, &sqlx::Error::PoolTimedOut));
        };
        let mut export = Self { connection: connection?, at };
        let found = export.schema().await?;
        migrate::accept(&export.at, found.clone())?;
        match found.0 {
            0 => Err(StoreError::NoHistory { at: export.at.to_string(), found: "an empty database" }),
            schema if schema != migrate::known() => Err(StoreError::Invalid {
                expected: format!(
                    "{} with schema {}, which this version writes; start its control plane once with this version, or \
                     use the `nimbus` of the version that runs",
                    export.at,
                    migrate::known()
                ),
                found: format!("schema {schema}, written by {}", found.1),
            }),
            _ if export.epoch().await? == 0 => {
                Err(StoreError::NoHistory { at: export.at.to_string(), found: "no start of a control plane" })
            }
            _ => Ok(export),
        }
    }

    /// The address, without its password.
    pub fn address(&self) -> &str {
        &self.at
    }

    /// `sqlite` or `postgresql`.
    pub fn kind(&self) -> &'static str {
        match self.connection {
            Reading::Sqlite(_) => "sqlite",
            Reading::Postgres(_) => "postgresql",
        }
    }

    /// The newest epoch that was taken.
    pub async fn epoch(&mut self) -> Result<u64, StoreError> {
        let Some(row) = self.row(EPOCH, None).await? else { return Ok(0) };
        let epoch: i64 = row.get(1)?;
        sums::compare(&row, ("counters", "epoch", &epoch.to_string()), row.get(2)?)?;
        row.unsigned(1)
    }

    /// The SHA-256 of the CA certificate to whose keys the database belongs.
    pub async fn owner(&mut self) -> Result<Option<String>, StoreError> {
        let row = self.row(META, Some(OWNER)).await?;
        row.map(|row| row.get(1)).transpose()
    }

    /// From which backup the database was restored, if it was.
    pub async fn restored(&mut self) -> Result<Option<String>, StoreError> {
        let row = self.row(META, Some(RESTORED)).await?;
        let value: Option<String> = row.map(|row| row.get(1)).transpose()?;
        Ok(value.map(|value| value.split(' ').next().unwrap_or_default().to_owned()))
    }

    /// The last position that the log gave out, also when its rows are gone.
    pub async fn last_position(&mut self) -> Result<i64, StoreError> {
        let sql = match self.connection {
            Reading::Sqlite(_) => LAST_SQLITE,
            Reading::Postgres(_) => LAST_POSTGRES,
        };
        self.row(sql, None).await?.map_or(Ok(0), |row| row.get(0))
    }

    /// Hands every row of a table to `each`, in the order of its key; how many. No more than a few are in memory.
    pub async fn rows<E: From<StoreError>>(
        &mut self,
        table: &Table,
        mut each: impl FnMut(&[Cell]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let key = table.columns.first().map_or("1", |column| column.name);
        let sql = format!("SELECT {} FROM {} ORDER BY {key}", names(table), table.name);
        let at = Arc::clone(&self.at);
        let query = AssertSqlSafe(sql);
        let mut rows = match &mut self.connection {
            Reading::Sqlite(connection) => sqlx::query(query)
                .fetch(connection.as_mut())
                .map_ok(|row| Row::sqlite(vec![row], &at))
                .boxed(),
            Reading::Postgres(connection) => sqlx::query(query)
                .fetch(connection.as_mut())
                .map_ok(|row| Row::postgres(vec![row], &at))
                .boxed(),
        };
        let mut count = 0;
        while let Some(row) = rows.next().await {
            for row in row.map_err(|error| classify(&self.at, &error))? {
                each(&cells(table, &row)?)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Ends the reading.
    pub async fn close(self) -> Result<(), StoreError> {
        let closed = match self.connection {
            Reading::Sqlite(connection) => connection.close().await,
            Reading::Postgres(connection) => connection.close().await,
        };
        closed.map_err(|error| classify(&self.at, &error))
    }

    async fn schema(&mut self) -> Result<migrate::FoundSchema, StoreError> {
        match &mut self.connection {
            Reading::Sqlite(connection) => migrate::read_schema_sqlite(&self.at, connection).await,
            Reading::Postgres(connection) => migrate::read_schema_postgres(&self.at, connection).await,
        }
    }

    async fn row(&mut self, sql: &'static str, value: Option<&str>) -> Result<Option<Row>, StoreError> {
        let rows = match &mut self.connection {
            Reading::Sqlite(connection) => {
                let query = sqlx::query(sql);
                let query = if let Some(value) = value { query.bind(value) } else { query };
                query.fetch_all(connection.as_mut()).await.map(|rows| Row::sqlite(rows, &self.at))
            }
            Reading::Postgres(connection) => {
                let query = sqlx::query(sql);
                let query = if let Some(value) = value { query.bind(value) } else { query };
                query.fetch_all(connection.as_mut()).await.map(|rows| Row::postgres(rows, &self.at))
            }
        };
        Ok(rows.map_err(|error| classify(&self.at, &error))?.into_iter().next())
    }
}

/// A connection in a transaction that only reads, and whose moment is taken.
async fn connect(url: &StoreUrl, at: &str) -> Result<Reading, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    match &url.0 {
        Address::Sqlite(path) => {
            if !path.try_exists().map_err(|error| io_error(at.to_owned(), &error))? {
                return Err(StoreError::NoHistory { at: at.to_owned(), found: "no such file" });
            }
            // Not opened as read-only: after a crash the write-ahead log has to be read back first, which writes.
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(false)
                .busy_timeout(Duration::from_secs(WAIT_S))
                .pragma("query_only", "ON")
                .row_buffer_size(AHEAD)
                .disable_statement_logging();
            let mut connection = SqliteConnection::connect_with(&options).await.map_err(fail)?;
            sqlx::query("BEGIN").execute(&mut connection).await.map_err(fail)?;
            // The moment is that of the first read.
            sqlx::query("SELECT COUNT(*) FROM sqlite_master").execute(&mut connection).await.map_err(fail)?;
            Ok(Reading::Sqlite(Box::new(connection)))
        }
        Address::Postgres(options) => {
            let options = options.as_ref().clone().disable_statement_logging();
            let mut connection = PgConnection::connect_with(&options).await.map_err(fail)?;
            for sql in [
                // A table may take long to read, and the disk that it is written to long to take it.
                "SET statement_timeout = 0",
                "SET idle_in_transaction_session_timeout = '10min'",
                "SET lock_timeout = '10s'",
                "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                "SELECT 1",
            ] {
                sqlx::query(sql).execute(&mut connection).await.map_err(fail)?;
            }
            Ok(Reading::Postgres(Box::new(connection)))
        }
    }
}

fn cells(table: &Table, row: &Row) -> Result<Vec<Cell>, StoreError> {
    let cell = |(at, column): (usize, &super::Column)| match column.kind {
        ColumnKind::Int => row.get::<Option<i64>>(at).map(|value| value.map_or(Cell::Null, Cell::Int)),
        ColumnKind::Text => row.get(at).map(Cell::Text),
        ColumnKind::Blob => row.get(at).map(Cell::Blob),
    };
    table.columns.iter().enumerate().map(cell).collect()
}
