//! The [`Store`] itself: opening, health check, closing. Its other methods are in the modules beside this one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::db::Db;
use crate::{StoreError, StoreUrl, migrate};

/// Whether a database may be without a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// One that is empty, or not there yet, is made.
    MayBegin,
    /// It was there before: one that is empty now, or gone, has lost it.
    Expected,
}

/// Who else may use a database at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// No other control plane.
    Alone,
    /// Other control planes that stand by for each other; see `lease`.
    Beside,
}

/// Name of the row that says to which keys a database belongs.
pub(crate) const OWNER: &str = "owner_sha256";

/// An open database; cheap to clone, every clone uses the same connections.
///
/// Calls may be dropped at any point: an unfinished transaction is rolled back.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Db,
    /// The file of a SQLite database.
    pub(crate) file: Option<Arc<Path>>,
    /// The epoch that this store or a clone of it took; 0 while none was.
    pub(crate) epoch: Arc<AtomicU64>,
}

impl Store {
    /// Opens a database, makes it when it is an empty one, and brings an older schema up to date. The directory of a
    /// SQLite file must exist; the file gets mode 0600.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let db = Db::open(url, (History::MayBegin, Sharing::Alone), None).await?;
        let store = Self { db, file: url.path().map(Arc::from), epoch: Arc::default() };
        match store.upgrade().await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// As [`Self::open`] for the keys with this fingerprint (empty: none yet), with the schema left as it is:
    /// [`Self::upgrade`] has to follow once nobody else uses it. A database that holds no history yet is made, or refused
    /// with [`StoreError::NoHistory`]; one of other keys is refused with [`StoreError::OtherKeys`].
    pub async fn open_for(
        url: &StoreUrl,
        history: History,
        sharing: Sharing,
        keys: &str,
    ) -> Result<Self, StoreError> {
        let db = Db::open(url, (history, sharing), Some(keys)).await?;
        let store = Self { db, file: url.path().map(Arc::from), epoch: Arc::default() };
        if history == History::Expected && !store.has_history().await? {
            store.close().await;
            return Err(StoreError::NoHistory { at: store.address(), found: "an empty database" });
        }
        Ok(store)
    }

    /// Makes the tables of an empty database, and brings an older schema up to date.
    pub async fn upgrade(&self) -> Result<(), StoreError> {
        migrate::run(&self.db).await
    }

    /// Can control planes decide by this schema who leads? Not in an empty database, nor in one of a version that had no
    /// lease; then nobody leads by one either.
    pub async fn has_leases(&self) -> Result<bool, StoreError> {
        migrate::has_leases(&self.db).await
    }

    /// From now on the database belongs to these keys; one that belongs to others already is left alone.
    pub async fn belong_to(&self, keys: &str) -> Result<(), StoreError> {
        match self.meta_get(OWNER).await? {
            Some(found) if found == keys => Ok(()),
            Some(found) => {
                Err(StoreError::OtherKeys { at: self.address(), expected: keys.to_owned(), found })
            }
            None => self.meta_set(OWNER, keys).await,
        }
    }

    /// Did a control plane ever start on this database?
    async fn has_history(&self) -> Result<bool, StoreError> {
        let row = self.db.row("SELECT COUNT(*) FROM counters WHERE name = 'epoch'", &[]).await?;
        row.map_or(Ok(false), |row| Ok(row.get::<i64>(0)? > 0))
    }

    /// Does the database answer? Bounded by the wait for a connection (10 s).
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.rows("SELECT 1", &[]).await.map(|_| ())
    }

    /// The address, without its password.
    pub fn address(&self) -> String {
        self.db.at.to_string()
    }

    /// Waits for the calls under way and closes every connection. Later calls find the store unreachable.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
