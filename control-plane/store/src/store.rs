//! The [`Store`] itself: opening, health check, closing. Its other methods are in the modules beside this one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::db::Db;
use crate::{StoreError, StoreUrl};

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
        let db = Db::open(url).await?;
        Ok(Self { db, file: url.path().map(Arc::from), epoch: Arc::default() })
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
