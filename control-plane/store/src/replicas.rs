//! The rows of the control planes that stand by for each other on one PostgreSQL database: who there is. For people alone; who
//! leads is decided in `lease`.
//!
//! Times are microseconds by the database's own clock. Nothing of it is in a backup: it is about processes, and not about
//! what they know.

use jiff::Timestamp;
use nimbus_control_core::leadership::replicas::{GONE, MOST};

use crate::db::{Pools, Tx};
use crate::{Store, StoreError};

/// An older version that leads has not made the table yet.
const IS_THERE: &str = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('replicas')";
const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
/// One after the other, so that they neither wait for each other's rows crosswise nor are too many. "nimbus" and 5.
const TAKE_TURNS: &str = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(1852402005, 5)) AS turn";

/// How a control plane calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaName {
    /// Of this process alone.
    pub id: String,
    /// Its host's name; a pod's is the pod's own.
    pub name: String,
    /// Where it serves operators.
    pub address: String,
    /// Its version.
    pub build: String,
}

/// A control plane that was there lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// How it calls itself.
    pub name: ReplicaName,
    /// The epoch that it took; 0: none, it stands by.
    pub epoch: u64,
    /// Since when it does what it does.
    pub since: Timestamp,
    /// When it was last there.
    pub seen: Timestamp,
}

impl Store {
    /// Says that this control plane is there, with the epoch that this store took, and drops the rows of those that are not.
    /// Not fenced: whoever stands by has no epoch, and the row is its own. Nothing is written where the table is not there
    /// yet, or where it is full.
    pub async fn note_replica(&self, own: &ReplicaName) -> Result<(), StoreError> {
        self.is_postgres("other control planes")?;
        let epoch = self.epoch.load(std::sync::atomic::Ordering::Acquire);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let mut tx = self.db.begin().await?;
        let outcome = note(&mut tx, own, epoch).await;
        tx.finish(outcome).await
    }

    /// This control plane ends: its row goes.
    pub async fn forget_replica(&self, own: &ReplicaName) -> Result<(), StoreError> {
        self.is_postgres("other control planes")?;
        let mut tx = self.db.begin().await?;
        let outcome = async {
            if is_there(&mut tx).await? {
                tx.execute("DELETE FROM replicas WHERE id = $1", &[own.id.as_str().into()]).await?;
            }
            Ok(())
        };
        let outcome = outcome.await;
        tx.finish(outcome).await
    }

    /// The control planes that were there lately, who leads first, then in the order in which they came; none on SQLite, where
    /// one runs alone.
    pub async fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        if matches!(self.db.pools, Pools::Sqlite { .. }) {
            return Ok(Vec::new());
        }
        let now = self.db.row(CLOCK, &[]).await?.map_or(Ok(0_i64), |row| row.get(0))?;
        let sql = "SELECT id, name, address, build, epoch, since, seen FROM replicas WHERE seen >= $1
                   ORDER BY epoch DESC, since, id LIMIT $2";
        let rows = self.db.rows(sql, &[gone(now).into(), MOST.into()]).await?;
        let read = |row: &crate::db::Row| {
            let at = |column| -> Result<Timestamp, StoreError> {
                let micros: i64 = row.get(column)?;
                Timestamp::from_microsecond(micros).map_err(|error| row.corrupt("a time", &error.to_string()))
            };
            let name =
                ReplicaName { id: row.get(0)?, name: row.get(1)?, address: row.get(2)?, build: row.get(3)? };
            let epoch = u64::try_from(row.get::<i64>(4)?).unwrap_or(0);
            Ok(Replica { name, epoch, since: at(5)?, seen: at(6)? })
        };
        rows.iter().map(read).collect()
    }
}

async fn note(tx: &mut Tx, own: &ReplicaName, epoch: i64) -> Result<(), StoreError> {
    if !is_there(tx).await? {
        return Ok(());
    }
    tx.row(TAKE_TURNS, &[]).await?;
    let now = tx.row(CLOCK, &[]).await?.map_or(Ok(0_i64), |row| row.get(0))?;
    tx.execute("DELETE FROM replicas WHERE seen < $1", &[gone(now).into()]).await?;
    let renew = "UPDATE replicas SET seen = $2, since = CASE WHEN epoch = $3 THEN since ELSE $2 END, epoch = $3 WHERE id = $1";
    if tx.execute(renew, &[own.id.as_str().into(), now.into(), epoch.into()]).await? > 0 {
        return Ok(());
    }
    let kept = tx.row("SELECT COUNT(*) FROM replicas", &[]).await?.map_or(Ok(0_i64), |row| row.get(0))?;
    if kept >= MOST {
        return Ok(());
    }
    let add = "INSERT INTO replicas (id, name, address, build, epoch, since, seen) VALUES ($1, $2, $3, $4, $5, $6, $6)";
    let texts = [&own.id, &own.name, &own.address, &own.build].map(|text| text.as_str().into());
    let [id, name, address, build] = texts;
    tx.execute(add, &[id, name, address, build, epoch.into(), now.into()]).await.map(|_| ())
}

async fn is_there(tx: &mut Tx) -> Result<bool, StoreError> {
    tx.row(IS_THERE, &[]).await?.map_or(Ok(false), |row| Ok(row.get::<i64>(0)? > 0))
}

fn gone(now: i64) -> i64 {
    now.saturating_sub(i64::try_from(GONE.as_micros()).unwrap_or(i64::MAX))
}
