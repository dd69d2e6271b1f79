//! Epochs: each start of a control plane takes the next number, and from then on only the newest may write.
//!
//! The lock of [`Store::exclusive_use`] lives in a connection, which can be lost without its holder noticing: the server
//! restarts, a limit for idle sessions ends it, a pooler gives it to somebody else. Another control plane may start
//! then, and the earlier one would go on deciding on a world that no longer moves. So every transaction that writes
//! compares: a store that took an epoch writes only while that is the newest. One that never took any (a test, a
//! tool) writes as it likes.

use std::sync::atomic::Ordering;

use crate::db::{Row, Tx};
use crate::{Store, StoreError, sums};

const NEWEST: &str = "SELECT value, sum FROM counters WHERE name = 'epoch'";
/// The same for a transaction in PostgreSQL: held until its end, so that a later epoch is taken before it or after it,
/// never in between. In SQLite there is one writer at a time.
const NEWEST_HELD: &str = "SELECT value, sum FROM counters WHERE name = 'epoch' FOR SHARE";
/// Which counter it is.
const EPOCH: &str = "epoch";

impl Store {
    /// The next epoch, on disk before this returns: each start gets a higher one than every start before it. This store
    /// and its clones write from now on only while no later one is taken.
    pub async fn next_epoch(&self) -> Result<u64, StoreError> {
        self.epoch_after(0).await
    }

    /// As [`Self::next_epoch`], and higher than `taken`: a database that was restored from a backup does not know the
    /// epochs that were taken since, and agents refuse what is older than what they have seen.
    pub async fn epoch_after(&self, taken: u64) -> Result<u64, StoreError> {
        // Not compared: whoever takes an epoch begins anew.
        let mut tx = self.db.begin().await?;
        let outcome = take(&mut tx, taken).await;
        let epoch = tx.finish(outcome).await?;
        self.epoch.store(epoch, Ordering::Release);
        Ok(epoch)
    }

    /// Is the epoch that this store took still the newest? [`StoreError::Superseded`] when another control plane
    /// started since. For whoever has nothing to write and wants to know all the same.
    pub async fn check_epoch(&self) -> Result<(), StoreError> {
        let row = self.db.row(NEWEST, &[]).await?;
        self.compare(row.as_ref())
    }

    /// Begins a transaction that may write; [`StoreError::Superseded`] once a later epoch was taken.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        let mut tx = self.db.begin().await?;
        if self.epoch.load(Ordering::Acquire) == 0 {
            return Ok(tx);
        }
        let sql = if tx.is_postgres() { NEWEST_HELD } else { NEWEST };
        let newest = tx.row(sql, &[]).await;
        match newest.and_then(|row| self.compare(row.as_ref())) {
            Ok(()) => Ok(tx),
            Err(error) => tx.finish(Err(error)).await,
        }
    }

    fn compare(&self, newest: Option<&Row>) -> Result<(), StoreError> {
        let own = self.epoch.load(Ordering::Acquire);
        if own == 0 {
            return Ok(());
        }
        let found = newest.map_or(Ok(0), newest_of)?;
        if found == own {
            return Ok(());
        }
        Err(StoreError::Superseded { at: self.address(), own, found })
    }
}

/// The next epoch, above every one that is known. A damaged one is no ground to count on from: agents would refuse whoever
/// is started on a backup after that.
pub(crate) async fn take(tx: &mut Tx, taken: u64) -> Result<u64, StoreError> {
    if let Some(row) = tx.row(NEWEST, &[]).await? {
        newest_of(&row)?;
    }
    let least = i64::try_from(taken).unwrap_or(i64::MAX).saturating_add(1);
    let sql = "INSERT INTO counters (name, value) VALUES ('epoch', $1)
               ON CONFLICT (name) DO UPDATE SET value = CASE WHEN counters.value >= $1 THEN counters.value + 1
               ELSE $1 END RETURNING value";
    let row = tx.row(sql, &[least.into()]).await?.ok_or_else(|| StoreError::Database {
        at: tx.at.to_string(),
        detail: "an upsert of the epoch returned no row".to_owned(),
    })?;
    let epoch: u64 = row.unsigned(0)?;
    // The database chose the number: its checksum is known only now. The row is held until the end of this transaction.
    let sum = sums::sum("counters", EPOCH, &epoch.to_string());
    tx.execute("UPDATE counters SET sum = $1 WHERE name = 'epoch'", &[sum.into()]).await?;
    Ok(epoch)
}

/// The epoch in a row of [`NEWEST`].
fn newest_of(row: &Row) -> Result<u64, StoreError> {
    let epoch: i64 = row.get(0)?;
    sums::compare(row, ("counters", EPOCH, &epoch.to_string()), row.get(1)?)?;
    row.unsigned(0)
}
