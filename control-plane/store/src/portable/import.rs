//! Fills an empty database with the rows of a backup, in one transaction together with its schema: afterwards all of it is
//! there, or the database is as empty as before.

use jiff::Timestamp;
use nimbus_control_core::model::AuditDraft;

use super::{Cell, RESTORED, Table, names};
use crate::db::{Db, Sql, Tx, Value};
use crate::{History, Sharing, StoreError, StoreUrl, chain, migrate, sums};

/// Rows in one statement: with nine columns far from what either database takes.
const STATEMENT_ROWS: usize = 200;
/// Bytes of texts and blobs at which a statement is full; one row always fits.
const STATEMENT_BYTES: usize = 4 << 20;

const TABLES_SQLITE: &str = "SELECT COUNT(*) FROM sqlite_master";
const TABLES_POSTGRES: &str = "SELECT COUNT(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')";

/// What is known of a backup when its rows are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration<'a> {
    /// What tells the backup from every other one.
    pub backup: &'a str,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it is restored.
    pub now: Timestamp,
    /// Higher than every epoch that was ever taken with these keys.
    pub epoch: u64,
    /// The last position that the log gave out.
    pub last_position: i64,
}

/// A database that is being filled. Dropped before [`Import::finish`], nothing of it stays.
pub struct Import {
    db: Db,
    tx: Tx,
    pending: Vec<Vec<Cell>>,
    bytes: usize,
    table: Option<Table>,
}

impl Import {
    /// Makes the schema in an empty database; [`StoreError::NotEmpty`] for any other.
    pub async fn begin(url: &StoreUrl) -> Result<Self, StoreError> {
        let db = Db::open(url, (History::MayBegin, Sharing::Alone), None).await?;
        let mut tx = db.begin().await?;
        match prepare(&mut tx).await {
            Ok(()) => Ok(Self { db, tx, pending: Vec::new(), bytes: 0, table: None }),
            Err(error) => {
                let refused = tx.finish(Err(error)).await;
                db.close().await;
                refused
            }
        }
    }

    /// Adds a row; the rows of one table come one after another.
    pub async fn row(&mut self, table: &Table, row: Vec<Cell>) -> Result<(), StoreError> {
        let fits = row.len() == table.columns.len()
            && row.iter().zip(table.columns).all(|(cell, column)| cell.fits(column.kind));
        if !fits {
            return Err(StoreError::Invalid {
                expected: format!("a row of {} with {}", table.name, names(table)),
                found: "values of other kinds".to_owned(),
            });
        }
        if self.table.is_some_and(|before| before != *table) {
            self.flush().await?;
        }
        self.table = Some(*table);
        self.bytes += row.iter().map(size).sum::<usize>();
        self.pending.push(row);
        if self.pending.len() >= STATEMENT_ROWS || self.bytes >= STATEMENT_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Takes the new epoch, says in the audit log and beside the data whence it came, and commits.
    pub async fn finish(mut self, restoration: &Restoration<'_>) -> Result<(), StoreError> {
        let outcome = async {
            self.flush().await?;
            complete(&mut self.tx, restoration).await
        };
        let outcome = outcome.await;
        let finished = self.tx.finish(outcome).await;
        self.db.close().await;
        finished
    }

    /// Gives it up: nothing of it stays.
    pub async fn abandon(self) {
        let given_up = StoreError::Invalid { expected: String::new(), found: String::new() };
        let _ = self.tx.finish::<()>(Err(given_up)).await;
        self.db.close().await;
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.pending);
        self.bytes = 0;
        let Some(table) = self.table.filter(|_| !rows.is_empty()) else { return Ok(()) };
        // The log's positions are given out by the database otherwise.
        let overriding = if self.tx.is_postgres() { " OVERRIDING SYSTEM VALUE" } else { "" };
        let mut sql = Sql::new(format!("INSERT INTO {} ({}){overriding} VALUES ", table.name, names(&table)));
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                sql.push(", ");
            }
            sql.bind_all(row.iter().map(value));
        }
        let text = sql.text();
        self.tx.execute(text, &sql.values).await.map(|_| ())
    }
}

/// The row of `meta` that says whence the database came: the backup, when it was made, and when it was restored, in
/// microseconds.
fn restored_value(restoration: &Restoration<'_>) -> String {
    let micros = nimbus_protocol::to_micros;
    format!("{} {} {}", restoration.backup, micros(restoration.made_at), micros(restoration.now))
}

async fn prepare(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.is_postgres() {
        tx.rows(migrate::MIGRATION_LOCK, &[]).await?;
    }
    let sql = if tx.is_postgres() { TABLES_POSTGRES } else { TABLES_SQLITE };
    let found = tx.row(sql, &[]).await?.map_or(Ok(0), |row| row.get::<i64>(0))?;
    if found > 0 {
        return Err(StoreError::NotEmpty { at: tx.at.to_string(), found });
    }
    while migrate::next(tx).await? {}
    // The first migration's row: the backup brings its own.
    tx.execute("DELETE FROM audit_head", &[]).await.map(|_| ())
}

async fn complete(tx: &mut Tx, restoration: &Restoration<'_>) -> Result<(), StoreError> {
    let epoch = i64::try_from(restoration.epoch).map_err(|_| StoreError::Invalid {
        expected: "an epoch below 2^63".to_owned(),
        found: restoration.epoch.to_string(),
    })?;
    let sql = "INSERT INTO counters (name, value, sum) VALUES ('epoch', $1, $2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum";
    let sum = sums::sum("counters", "epoch", &epoch.to_string());
    tx.execute(sql, &[epoch.into(), sum.into()]).await?;
    // Nobody leads yet, whatever the clock of the database says that was backed up.
    tx.execute("DELETE FROM counters WHERE name = 'lease'", &[]).await?;
    let value = restored_value(restoration);
    let sql = "INSERT INTO meta (name, value, sum) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum";
    let sum = sums::sum("meta", RESTORED, &value);
    tx.execute(sql, &[RESTORED.into(), value.as_str().into(), sum.into()]).await?;
    set_last_position(tx, restoration.last_position).await?;
    let row = AuditDraft {
        at: restoration.now,
        actor: "nimbus backup restore".to_owned(),
        action: "backup.restored".to_owned(),
        subject: restoration.backup.to_owned(),
        cluster: String::new(),
        detail: format!(
            "restored as it was at {}; what happened since is not here; epochs go on after {epoch}",
            restoration.made_at
        ),
    };
    chain::extend(tx, &[row]).await.map(|_| ())
}

/// A position is never given out twice, also when its row was trimmed before the backup.
async fn set_last_position(tx: &mut Tx, noted: i64) -> Result<(), StoreError> {
    let sql = "SELECT COALESCE(MAX(position), 0) FROM
               (SELECT position FROM observations UNION ALL SELECT position FROM snapshots
                UNION ALL SELECT position FROM cursors) AS known";
    let known: i64 = tx.row(sql, &[]).await?.map_or(Ok(0), |row| row.get(0))?;
    let last = noted.max(known);
    if last < 1 {
        return Ok(());
    }
    if tx.is_postgres() {
        let sql = "SELECT setval(pg_get_serial_sequence('observations', 'position'), $1)";
        tx.rows(sql, &[last.into()]).await?;
    } else {
        tx.execute("DELETE FROM sqlite_sequence WHERE name = 'observations'", &[]).await?;
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('observations', $1)";
        tx.execute(sql, &[last.into()]).await?;
    }
    Ok(())
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Int(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) => bytes.len(),
    }
}

fn value(cell: &Cell) -> Value<'_> {
    match cell {
        Cell::Null => Value::NoInt,
        Cell::Int(value) => (*value).into(),
        Cell::Text(text) => text.as_str().into(),
        Cell::Blob(bytes) => bytes.as_slice().into(),
    }
}
