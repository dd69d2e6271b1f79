//! Small state: cursors into the log, named values, and snapshots of the inventory.

use crate::{Store, StoreError, sums};

/// Snapshots that are kept: the newest, and one more in case the newest is damaged.
const SNAPSHOTS: i64 = 2;

impl Store {
    /// How far the reader called `name` has read the log; 0 when it never has. Moved by
    /// [`nimbus_control_core::model::ChangeSet::cursors`].
    pub async fn cursor(&self, name: &str) -> Result<i64, StoreError> {
        let row = self.db.row("SELECT position, sum FROM cursors WHERE name = $1", &[name.into()]).await?;
        let Some(row) = row else { return Ok(0) };
        let position: i64 = row.get(0)?;
        sums::compare(&row, ("cursors", name, &position.to_string()), row.get(1)?)?;
        Ok(position)
    }

    /// A named value.
    pub async fn meta_get(&self, name: &str) -> Result<Option<String>, StoreError> {
        let row = self.db.row("SELECT value, sum FROM meta WHERE name = $1", &[name.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let value: String = row.get(0)?;
        sums::compare(&row, ("meta", name, &value), row.get(1)?)?;
        Ok(Some(value))
    }

    /// Sets a named value. Not for secrets: the database is no place for them.
    pub async fn meta_set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "INSERT INTO meta (name, value, sum) VALUES ($1, $2, $3)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum";
        let sum = sums::sum("meta", name, value);
        let outcome = tx.execute(sql, &[name.into(), value.into(), sum.into()]).await.map(|_| ());
        tx.finish(outcome).await
    }

    /// Keeps a snapshot of the inventory as it was after the log's row at `position`, and the one before it. Returns
    /// the position up to which (inclusive) neither of the two needs the log any more; 0 while there is only one.
    pub async fn save_snapshot(&self, position: i64, bytes: &[u8]) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = save(&mut tx, position, bytes).await;
        tx.finish(outcome).await
    }

    /// The newest snapshot whose checksum holds; `None` when there never was one. When there were some and all are
    /// damaged, [`StoreError::Corrupt`]: the log before them is gone, the agents have to send everything again.
    pub async fn load_snapshot(&self) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT position, sha256, bytes FROM snapshots ORDER BY position DESC";
        let rows = self.db.rows(sql, &[]).await?;
        for row in &rows {
            let (position, expected, bytes): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if checksum(&bytes) == expected {
                return Ok(Some((position, bytes)));
            }
            tracing::warn!(database = %self.db.at, position, "a snapshot's checksum does not hold, trying the one before");
        }
        match rows.first() {
            None => Ok(None),
            Some(row) => Err(row.corrupt("a snapshot whose checksum holds", "none of those kept")),
        }
    }
}

async fn save(tx: &mut crate::db::Tx, position: i64, bytes: &[u8]) -> Result<i64, StoreError> {
    let sum = checksum(bytes);
    tx.execute(
        "INSERT INTO snapshots (position, sha256, bytes) VALUES ($1, $2, $3)
         ON CONFLICT (position) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes",
        &[position.into(), sum.into(), bytes.into()],
    )
    .await?;
    tx.execute(
        "DELETE FROM snapshots WHERE position NOT IN (SELECT position FROM snapshots ORDER BY position DESC LIMIT $1)",
        &[SNAPSHOTS.into()],
    )
    .await?;
    let kept = tx.rows("SELECT position FROM snapshots ORDER BY position DESC", &[]).await?;
    match kept.get(1) {
        Some(older) => older.get(0),
        None => Ok(0),
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    nimbus_protocol::to_hex(&nimbus_protocol::sha256(bytes))
}
