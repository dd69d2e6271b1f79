//! Access to the stored documents: the only way to change them, and a cache of the open ones, which follows each commit.
//!
//! What a commit costs does not grow with what is open: the cache takes the change set in, and is read again only where that
//! is not possible ([`Docs::follow`]) or the commit failed.

mod docs;
mod follow;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use nimbus_control_core::model::{ActionKind, ChangeSet, Cluster, Mode, Versioned};
use nimbus_store::{Committed, Store, StoreError, Trimmed};
use tokio::sync::{Mutex, watch};

pub use docs::Docs;

/// A cluster's UID and the actions that are enabled in it.
pub type EnabledCluster = (String, Vec<ActionKind>);

/// The open documents, and which reading of the store they go back to.
struct Cached {
    docs: Arc<Docs>,
    reading: u64,
}

/// The documents in the store.
pub struct Documents {
    store: Store,
    revision: AtomicU64,
    readings: AtomicU64,
    /// Held for the time of a commit: change sets are taken in one after the other, in the order of their commits.
    turn: Mutex<()>,
    open: Mutex<Option<Cached>>,
    enabled: watch::Sender<Vec<EnabledCluster>>,
}

impl Documents {
    /// The documents in `store`.
    pub fn new(store: Store) -> Self {
        let enabled = watch::channel(Vec::new()).0;
        let (revision, readings) = (AtomicU64::new(1), AtomicU64::new(0));
        Self { store, revision, readings, turn: Mutex::default(), open: Mutex::default(), enabled }
    }

    /// The store itself, to read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Commits a change set. After a conflict the caller reads again. Jobs that finished before `jobs_since` are let go of.
    pub async fn commit(&self, changes: &ChangeSet, jobs_since: Timestamp) -> Result<Committed, StoreError> {
        let _turn = self.turn.lock().await;
        // What was read before the commit began does not hold it; of what is read meanwhile nobody can say.
        let before = self.open.lock().await.as_ref().map(|cached| (cached.reading, cached.docs.revision));
        let committed = self.store.commit(changes).await;
        let mut cached = self.open.lock().await;
        // Also after an error: a commit whose answer was lost may have taken effect.
        let revision = self.revision.fetch_add(1, Ordering::AcqRel);
        if let Some(entry) = cached.as_mut()
            && committed.is_ok()
            && before == Some((entry.reading, revision))
        {
            let docs = Arc::make_mut(&mut entry.docs);
            docs.revision = revision + 1;
            if docs.follow(changes, jobs_since) {
                self.publish_enabled(&docs.clusters);
                #[cfg(debug_assertions)]
                self.check(docs, jobs_since).await;
            } else {
                *cached = None;
            }
        }
        committed
    }

    /// Removes what was over before a moment, and lets go of what may be gone.
    pub async fn trim(&self, before: Timestamp) -> Result<Trimmed, StoreError> {
        let _turn = self.turn.lock().await;
        let trimmed = self.store.trim_documents(before).await;
        if trimmed.as_ref().map_or(true, |trimmed| *trimmed != Trimmed::default()) {
            *self.open.lock().await = None;
        }
        trimmed
    }

    /// In development builds, so in every test: what was followed is what another reading gives. It is a fault of this
    /// program if it is not, and a release would go on with documents that conflict.
    #[cfg(debug_assertions)]
    async fn check(&self, followed: &Docs, jobs_since: Timestamp) {
        // A store that does not answer shows with the next commit.
        if let Ok(read) = Docs::read(&self.store, followed.revision, jobs_since).await {
            assert_eq!(*followed, read, "the documents as they were followed, and as they are stored");
        }
    }

    /// The open documents, with the jobs that finished since `jobs_since`; read again only when something was committed
    /// that the cache could not follow.
    pub async fn open(&self, jobs_since: Timestamp) -> Result<Arc<Docs>, StoreError> {
        let mut cached = self.open.lock().await;
        // Taken before reading: a commit in between leaves the cache old, never wrong.
        let revision = self.revision();
        if let Some(entry) = cached.as_ref().filter(|entry| entry.docs.revision == revision) {
            return Ok(Arc::clone(&entry.docs));
        }
        let docs = Arc::new(Docs::read(&self.store, revision, jobs_since).await?);
        self.publish_enabled(&docs.clusters);
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        *cached = Some(Cached { docs: Arc::clone(&docs), reading });
        Ok(docs)
    }

    /// Moves with every commit.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The clusters in which something is enabled, for whoever keeps an agent's local policy in step.
    pub fn enabled_clusters(&self) -> watch::Receiver<Vec<EnabledCluster>> {
        self.enabled.subscribe()
    }

    fn publish_enabled(&self, clusters: &[Versioned<Cluster>]) {
        let enabled: Vec<EnabledCluster> = clusters
            .iter()
            .filter(|cluster| cluster.doc.mode == Mode::Act && !cluster.doc.enabled.is_empty())
            .map(|cluster| (cluster.doc.uid.clone(), cluster.doc.enabled.clone()))
            .collect();
        self.enabled.send_if_modified(|current| {
            let changed = *current != enabled;
            *current = enabled;
            changed
        });
    }
}
