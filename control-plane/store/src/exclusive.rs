//! The lock that allows only one control plane at a time on a database.
//!
//! A data directory is locked by its process, but one SQLite file can be named in several of them: a file beside it is
//! locked too. A PostgreSQL server may be reached from anywhere, so there the server holds the lock, for as long as the
//! connection that asked for it lives. Either way also kill -9 frees it. A lock that its holder lost without noticing
//! is not asked for again; what holds then is the comparison of epochs in each transaction, see `epoch`. Control planes
//! that stand by for each other hold it together, see `lease`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use crate::classify::{WAIT_S, classify, io_error};
use crate::db::Pools;
use crate::{Store, StoreError};

/// "nimbus" and 3.
const LOCK: &str = "SELECT pg_try_advisory_lock(1852402005, 3)";
/// The same lock, held beside others that hold it in this way, and by none of them beside one that holds it alone.
const LOCK_BESIDE: &str = "SELECT pg_try_advisory_lock_shared(1852402005, 3)";
/// Between two tries: the server may not have noticed yet that the one before is gone.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for a file's lock, seconds: the system frees it in the moment in which its process is gone.
const FILE_WAIT_S: u64 = 1;

/// The right to be the only control plane on a database, until it is dropped.
#[derive(Debug)]
pub struct ExclusiveUse {
    _connection: Option<PgConnection>,
    _file: Option<File>,
}

impl Store {
    /// Waits until no other control plane runs on this database, at most 10 s for a server and 1 s for a file;
    /// [`StoreError::InUse`] after that.
    pub async fn exclusive_use(&self) -> Result<ExclusiveUse, StoreError> {
        match (&self.db.pools, &self.file) {
            (Pools::Postgres(pool), _) => {
                let held = self.lock_server(pool, LOCK).await?;
                self.wait_for_lease().await?;
                Ok(held)
            }
            (Pools::Sqlite { .. }, Some(file)) => self.lock_beside(file).await,
            (Pools::Sqlite { .. }, None) => Ok(ExclusiveUse { _connection: None, _file: None }),
        }
    }

    /// Waits until nobody holds the lease: those who stand by may have lost their locks with a server that was started anew.
    async fn wait_for_lease(&self) -> Result<(), StoreError> {
        if !self.has_leases().await? {
            return Ok(());
        }
        let until = Instant::now() + Duration::from_secs(WAIT_S);
        while self.is_leased().await? {
            if Instant::now() >= until {
                return Err(StoreError::InUse { at: self.address(), waited_s: WAIT_S });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The right to use this database beside other control planes that all called this, and beside none that called
    /// [`Self::exclusive_use`]. Which of them leads is decided by the lease. Waits as that one does; refused with
    /// [`StoreError::Invalid`] for SQLite, whose lock holds no longer than the process and needs nobody to stand by.
    pub async fn use_beside(&self) -> Result<ExclusiveUse, StoreError> {
        self.is_postgres("to stand by")?;
        match &self.db.pools {
            Pools::Postgres(pool) => self.lock_server(pool, LOCK_BESIDE).await,
            Pools::Sqlite { .. } => Ok(ExclusiveUse { _connection: None, _file: None }),
        }
    }

    /// Refuses `what` on a database that is not PostgreSQL.
    pub(crate) fn is_postgres(&self, what: &str) -> Result<(), StoreError> {
        match &self.db.pools {
            Pools::Postgres(_) => Ok(()),
            Pools::Sqlite { .. } => Err(StoreError::Invalid {
                expected: format!(
                    "a PostgreSQL database {what}, which several machines reach (--database postgres://...)"
                ),
                found: format!("{}, a file of one machine", self.address()),
            }),
        }
    }

    async fn lock_server(&self, pool: &PgPool, lock: &'static str) -> Result<ExclusiveUse, StoreError> {
        let fail = |error: sqlx::Error| classify(&self.db.at, &error);
        let mut connection = pool.acquire().await.map_err(fail)?.detach();
        let until = Instant::now() + Duration::from_secs(WAIT_S);
        loop {
            let alone: bool = sqlx::query_scalar(lock).fetch_one(&mut connection).await.map_err(fail)?;
            if alone {
                return Ok(ExclusiveUse { _connection: Some(connection), _file: None });
            }
            if Instant::now() >= until {
                return Err(StoreError::InUse { at: self.address(), waited_s: WAIT_S });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A file of its own, because opening and closing the database's would free the locks that SQLite holds on it.
    async fn lock_beside(&self, database: &Path) -> Result<ExclusiveUse, StoreError> {
        let fail = |error: io::Error| io_error(self.address(), &error);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = beside(database).and_then(|path| options.open(path)).map_err(fail)?;
        let until = Instant::now() + Duration::from_secs(FILE_WAIT_S);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(ExclusiveUse { _connection: None, _file: Some(file) }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::InUse { at: self.address(), waited_s: FILE_WAIT_S });
                }
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
    }
}

/// `<file>.lock` beside the database itself, whatever name or link led to it.
fn beside(database: &Path) -> io::Result<PathBuf> {
    let mut path = database.canonicalize()?.into_os_string();
    path.push(".lock");
    Ok(path.into())
}
