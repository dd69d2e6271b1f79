//! The lease of the control planes that stand by for each other on one PostgreSQL database. What it means, and why two
//! never hold it at once, is decided in [`leadership`].
//!
//! Who leads is whoever took the newest epoch; the counter `lease` says until when, in microseconds by the database's own
//! clock. So the fence of `epoch` is also the lease's: a leader that was superseded writes nothing. A transaction that it left
//! open, because its process stands still or its connection is cut, holds the epoch's row; the server ends it (see
//! `POSTGRES_SESSION`), and only then the lease is taken.

use nimbus_control_core::leadership;

use crate::db::Tx;
use crate::{Store, StoreError, epoch, sums};

const LEASE: &str = "lease";
const UNTIL: &str = "SELECT value, sum FROM counters WHERE name = 'lease'";
const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
/// Those who would take the lease, one after the other: a new database has no row yet that they could wait for. "nimbus" and 4.
const TAKE_TURNS: &str = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(1852402005, 4)) AS turn";
/// Waits for every transaction that writes under the newest epoch.
const HOLD_EPOCH: &str = "SELECT 1 FROM counters WHERE name = 'epoch' FOR UPDATE";

impl Store {
    /// Takes the lease and the next epoch, which is higher than `noted`, if the lease is over; `None` when another control
    /// plane holds it. As after [`Self::epoch_after`], this store writes from now on only while no later one is taken.
    pub async fn take_lease(&self, noted: u64) -> Result<Option<u64>, StoreError> {
        self.is_postgres("a lease")?;
        // First without a lock: a look four times a second must hold up nobody who writes.
        if self.is_leased().await? {
            return Ok(None);
        }
        let mut tx = self.db.begin().await?;
        let outcome = take(&mut tx, noted).await;
        let taken = tx.finish(outcome).await?;
        if let Some(epoch) = taken {
            self.epoch.store(epoch, std::sync::atomic::Ordering::Release);
        }
        Ok(taken)
    }

    /// Does a control plane hold the lease now?
    pub(crate) async fn is_leased(&self) -> Result<bool, StoreError> {
        let Some(row) = self.db.row(UNTIL, &[]).await? else { return Ok(false) };
        let until: i64 = row.get(0)?;
        sums::compare(&row, ("counters", LEASE, &until.to_string()), row.get(1)?)?;
        let now = self.db.row(CLOCK, &[]).await?.map_or(Ok(0), |row| row.get(0))?;
        Ok(!leadership::is_over(Some(until), now))
    }

    /// Renews the lease; [`StoreError::Superseded`] once a later epoch was taken.
    pub async fn renew_lease(&self) -> Result<(), StoreError> {
        self.is_postgres("a lease")?;
        let mut tx = self.begin().await?;
        let outcome = async {
            let now = clock(&mut tx).await?;
            write(&mut tx, leadership::until(now)).await
        };
        let outcome = outcome.await;
        tx.finish(outcome).await
    }

    /// Gives the lease up, so that another control plane takes it at once. The caller writes nothing after this.
    pub async fn give_up_lease(&self) -> Result<(), StoreError> {
        self.is_postgres("a lease")?;
        let mut tx = self.begin().await?;
        let outcome = write(&mut tx, 0).await;
        tx.finish(outcome).await
    }
}

async fn take(tx: &mut Tx, noted: u64) -> Result<Option<u64>, StoreError> {
    tx.row(TAKE_TURNS, &[]).await?;
    tx.row(HOLD_EPOCH, &[]).await?;
    // Read only now: a renewal that the lock waited for has moved it.
    let now = clock(tx).await?;
    let until: Option<i64> = match tx.row(UNTIL, &[]).await? {
        Some(row) => {
            let until: i64 = row.get(0)?;
            sums::compare(&row, ("counters", LEASE, &until.to_string()), row.get(1)?)?;
            Some(until)
        }
        None => None,
    };
    if !leadership::is_over(until, now) {
        return Ok(None);
    }
    let epoch = epoch::take(tx, noted).await?;
    write(tx, leadership::until(now)).await?;
    Ok(Some(epoch))
}

async fn clock(tx: &mut Tx) -> Result<i64, StoreError> {
    let row = tx.row(CLOCK, &[]).await?;
    row.ok_or_else(|| StoreError::Database {
        at: tx.at.to_string(),
        detail: "the clock returned no row".to_owned(),
    })?
    .get(0)
}

async fn write(tx: &mut Tx, until: i64) -> Result<(), StoreError> {
    let sum = sums::sum("counters", LEASE, &until.to_string());
    let sql = "INSERT INTO counters (name, value, sum) VALUES ('lease', $1, $2)
               ON CONFLICT (name) DO UPDATE SET value = $1, sum = $2";
    tx.execute(sql, &[until.into(), sum.into()]).await.map(|_| ())
}
