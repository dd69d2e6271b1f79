//! Looks whether what is stored is still what was written.
//!
//! A disk may give back other bits than it was given. That is found by what each part has of its own: the structure of the
//! file and its indexes by SQLite's integrity check, or by PostgreSQL's page checksums where they are on; documents by
//! the checksum in their row, which is also compared whenever a decision reads them; the inventory's snapshots by their
//! SHA-256; the audit log by its chain ([`Store::verify_audit`]); marks, cursors, counters, named values and the observation
//! log by the checksum in their row (`sums`).
//!
//! Not found are a row's position in the log, which the database gives out, where the order of the rows still holds, and
//! SQLite's own note of the last one.

use sqlx::AssertSqlSafe;

use crate::db::{Pools, Row, Value};
use crate::document::checksum;
use crate::log::damage;
use crate::migrate::DOCUMENTS;
use crate::state;
use crate::sums::{SMALL, Small, sum};
use crate::{Store, StoreError};

/// Most findings that are named; further ones are not looked for.
const MAX_FOUND: usize = 20;
/// Rows that are read at once.
const ROWS: u32 = 200;

impl Store {
    /// Is the file's structure whole, and does each index agree with its table? What does not, one sentence each, at
    /// most 20. Reads the whole file; nobody waits for it. PostgreSQL checks its pages by itself as it reads them.
    pub async fn check_structure(&self) -> Result<Vec<String>, StoreError> {
        if matches!(self.db.pools, Pools::Postgres(_)) {
            return Ok(Vec::new());
        }
        let rows = self.db.rows("PRAGMA integrity_check(20)", &[]).await?;
        let said = rows.iter().map(|row| row.get::<String>(0)).collect::<Result<Vec<_>, _>>()?;
        Ok(said.into_iter().filter(|text| text != "ok").take(MAX_FOUND).collect())
    }

    /// Does the server check its pages by checksums of its own? `None` for SQLite, which has none.
    pub async fn page_checksums(&self) -> Result<Option<bool>, StoreError> {
        if matches!(self.db.pools, Pools::Sqlite { .. }) {
            return Ok(None);
        }
        let row = self.db.row("SELECT current_setting('data_checksums')", &[]).await?;
        row.map(|row| Ok(row.get::<String>(0)? == "on")).transpose()
    }

    /// Are all documents, snapshots, small rows and the observation log what was written? What is not, one sentence each, at
    /// most 20. A row of a build that wrote no checksum gets one now; but of the log, which is trimmed anyway.
    pub async fn check_rows(&self) -> Result<Vec<String>, StoreError> {
        let mut found = self.damaged_snapshots().await?;
        for small in SMALL {
            self.check_small(small, &mut found).await?;
        }
        self.check_log(&mut found).await?;
        for table in DOCUMENTS {
            let mut after = String::new();
            loop {
                let sql = format!(
                    "SELECT version, doc, id, created_at, updated_at, state, cluster, key, sum FROM {table}
                     WHERE id > $1 ORDER BY id LIMIT $2"
                );
                let values: [Value<'_>; 2] = [after.as_str().into(), ROWS.into()];
                let rows = self.db.rows(AssertSqlSafe(sql), &values).await?;
                for row in &rows {
                    after = row.get(2)?;
                    match self.check_row(table, row).await? {
                        Some(damage) if found.len() < MAX_FOUND => found.push(damage),
                        Some(_) => return Ok(found),
                        None => {}
                    }
                }
                if rows.len() < ROWS as usize {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn check_row(&self, table: &'static str, row: &Row) -> Result<Option<String>, StoreError> {
        let (found, stored) = (checksum(table, row)?, row.get::<Option<i64>>(8)?);
        if let Some(stored) = stored {
            let id: String = row.get(2)?;
            return Ok((stored != found).then(|| format!("{table} {id}: its checksum does not hold")));
        }
        let mut tx = self.begin().await?;
        let sql = format!("UPDATE {table} SET sum = $3 WHERE id = $1 AND version = $2 AND sum IS NULL");
        let (version, id): (i64, String) = (row.get(0)?, row.get(2)?);
        let values: [Value<'_>; 3] = [id.as_str().into(), version.into(), found.into()];
        let outcome = tx.execute(AssertSqlSafe(sql), &values).await;
        tx.finish(outcome).await.map(|_| None)
    }

    async fn check_small(&self, small: &Small, found: &mut Vec<String>) -> Result<(), StoreError> {
        let Small { table, key, value } = small;
        let mut after = String::new();
        loop {
            let sql =
                format!("SELECT {key}, {value}, sum FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT $2");
            let values: [Value<'_>; 2] = [after.as_str().into(), ROWS.into()];
            let rows = self.db.rows(AssertSqlSafe(sql), &values).await?;
            for row in &rows {
                after = row.get(0)?;
                let said: String = row.get(1)?;
                let right = sum(table, &after, &said);
                match row.get::<Option<i64>>(2)? {
                    Some(stored) if stored == right => {}
                    Some(_) if found.len() < MAX_FOUND => {
                        found.push(format!("{table} {after}: its checksum does not hold"));
                    }
                    Some(_) => return Ok(()),
                    None => self.sum_up(small, (&after, &said), right).await?,
                }
            }
            if rows.len() < ROWS as usize {
                return Ok(());
            }
        }
    }

    /// Gives a small row of an earlier build its checksum, if it still says what was read.
    async fn sum_up(
        &self,
        Small { table, key, value }: &Small,
        (name, said): (&str, &str),
        right: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = format!("UPDATE {table} SET sum = $3 WHERE {key} = $1 AND {value} = $2 AND sum IS NULL");
        let values: [Value<'_>; 3] = [name.into(), said.into(), right.into()];
        let outcome = tx.execute(AssertSqlSafe(sql), &values).await;
        tx.finish(outcome).await.map(|_| ())
    }

    async fn check_log(&self, found: &mut Vec<String>) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            let rows = self.log_rows(after, ROWS).await?;
            for row in &rows {
                after = row.get(0)?;
                match damage(row)? {
                    Some(damage) if found.len() < MAX_FOUND => found.push(damage),
                    Some(_) => return Ok(()),
                    None => {}
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn damaged_snapshots(&self) -> Result<Vec<String>, StoreError> {
        let rows =
            self.db.rows("SELECT position, sha256, bytes FROM snapshots ORDER BY position", &[]).await?;
        let mut found = Vec::new();
        for row in &rows {
            let (position, expected, bytes): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if state::checksum(&bytes) != expected {
                found.push(format!(
                    "the inventory's snapshot of position {position}: its checksum does not hold"
                ));
            }
        }
        Ok(found)
    }
}
