//! One control plane on a database at a time.
//!
//! A SQLite file lies in a data directory that its process has locked. A PostgreSQL server may be reached from
//! anywhere, so there the server holds the lock, for as long as the connection that asked for it lives: also kill -9
//! frees it. When the server itself restarts the lock is gone with it and is not asked for again; the epoch in every
//! job is what keeps a second control plane from acting then.

use std::time::Duration;

use sqlx::PgConnection;

use crate::classify::{WAIT_S, classify};
use crate::db::Pools;
use crate::{Store, StoreError};

/// "nimbus" and 3.
const LOCK: &str = "SELECT pg_try_advisory_lock(1852402005, 3)";
/// Between two tries: the server may not have noticed yet that the one before is gone.
const PAUSE: Duration = Duration::from_millis(100);

/// The right to be the only control plane on a database, until it is dropped.
#[derive(Debug)]
pub struct SoleUse {
    _connection: Option<PgConnection>,
}

impl Store {
    /// Waits at most 10 s until no other control plane runs on this database; [`StoreError::InUse`] after that.
    pub async fn sole_use(&self) -> Result<SoleUse, StoreError> {
        let Pools::Postgres(pool) = &self.db.pools else { return Ok(SoleUse { _connection: None }) };
        let fail = |error: sqlx::Error| classify(&self.db.at, &error);
        let mut connection = pool.acquire().await.map_err(fail)?.detach();
        let until = std::time::Instant::now() + Duration::from_secs(WAIT_S);
        loop {
            let alone: bool = sqlx::query_scalar(LOCK).fetch_one(&mut connection).await.map_err(fail)?;
            if alone {
                return Ok(SoleUse { _connection: Some(connection) });
            }
            if std::time::Instant::now() >= until {
                return Err(StoreError::InUse { at: self.address(), waited_s: WAIT_S });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
