//! Access to the stored documents: the only way to change them, and a cache of the open ones, which follows each commit.
//!
//! What a commit costs does not grow with what is open: the cache takes the change set in, and is read again only where that
//! is not possible ([`Docs::follow`]) or the commit failed.

mod docs;
mod follow;
mod paused;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nimbus_control_core::model::{ActionKind, ChangeSet, Cluster, Mode, Versioned};
use nimbus_protocol::ids::AgentId;
use nimbus_store::{Committed, Store, StoreError, Trimmed};
use tokio::sync::{Mutex, watch};

pub use docs::Docs;
pub use paused::Paused;

/// A cluster's UID and the actions that are enabled in it.
pub type EnabledCluster = (String, Vec<ActionKind>);

/// How old a reading may be that is still followed. What a commit whose answer was lost wrote after the next reading, for
/// example, is missing no longer than that.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a commit waits for the one before it, as a database does for another's lock.
const WAIT: Duration = Duration::from_secs(10);

/// The open documents, and which reading of the store they go back to.
struct Cached {
    docs: Arc<Docs>,
    reading: u64,
    /// [`LONGEST`] after it, by the monotonic clock.
    until: Duration,
    /// Jobs that finished before are not in it.
    jobs_since: Timestamp,
}

impl Cached {
    /// Is it of use for whoever needs the jobs since then? Not after the clock went back, nor when it is too old.
    fn serves(&self, jobs_since: Timestamp) -> bool {
        let lacking = self.jobs_since.duration_since(jobs_since);
        lacking < SignedDuration::from_mins(1) && nimbus_platform::monotonic() < self.until
    }
}

/// The documents in the store.
pub struct Documents(Arc<Kept>);

struct Kept {
    store: Store,
    revision: AtomicU64,
    readings: AtomicU64,
    /// Held for the time of a commit: change sets are taken in one after the other, in the order of their commits.
    turn: Arc<Mutex<()>>,
    open: Mutex<Option<Cached>>,
    enabled: watch::Sender<Vec<EnabledCluster>>,
    /// `None` until the documents were read once: nobody is told that there is no pause before that is known.
    paused: watch::Sender<Option<Arc<Paused>>>,
}

impl Documents {
    /// The documents in `store`.
    pub fn new(store: Store) -> Self {
        let enabled = watch::channel(Vec::new()).0;
        let paused = watch::channel(None).0;
        let (revision, readings) = (AtomicU64::new(1), AtomicU64::new(0));
        let (turn, open) = (Arc::default(), Mutex::default());
        Self(Arc::new(Kept { store, revision, readings, turn, open, enabled, paused }))
    }

    /// The store itself, to read.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Commits a change set. After a conflict the caller reads again. Jobs that finished before `jobs_since` are let go of.
    ///
    /// Once it is its turn it goes on when the caller goes away, as an agent's connection may: a commit that nobody took in
    /// would be missing from the cache. [`StoreError::Locked`] when the one before it takes longer than [`WAIT`].
    pub async fn commit(&self, changes: &ChangeSet, jobs_since: Timestamp) -> Result<Committed, StoreError> {
        let turn = Arc::clone(&self.0.turn).lock_owned();
        let turn = tokio::time::timeout(WAIT, turn).await.map_err(|_| StoreError::Locked {
            at: self.0.store.address(),
            waited_s: WAIT.as_secs(),
            detail: "another commit of this control plane waits for its answer".to_owned(),
        })?;
        let (kept, changes) = (Arc::clone(&self.0), changes.clone());
        let commit = async move {
            let committed = kept.commit(&changes, jobs_since).await;
            drop(turn);
            committed
        };
        match tokio::spawn(commit).await {
            Ok(committed) => committed,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and whoever waits here with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Removes what was over before a moment, and lets go of what may be gone.
    pub async fn trim(&self, before: Timestamp) -> Result<Trimmed, StoreError> {
        let _turn = self.0.turn.lock().await;
        let trimmed = self.0.store.trim_documents(before).await;
        if trimmed.as_ref().map_or(true, |trimmed| *trimmed != Trimmed::default()) {
            *self.0.open.lock().await = None;
        }
        trimmed
    }

    /// Removes the agents of pods that were gone before a moment, as many as one call of the store does.
    pub async fn trim_gone_agents(&self, before: Timestamp) -> Result<u64, StoreError> {
        let _turn = self.0.turn.lock().await;
        let trimmed = self.0.store.trim_gone_agents(before).await;
        if !matches!(trimmed, Ok(0)) {
            *self.0.open.lock().await = None;
        }
        trimmed
    }

    /// The open documents, with the jobs that finished since `jobs_since`; read again only when something was committed
    /// that the cache could not follow.
    pub async fn open(&self, jobs_since: Timestamp) -> Result<Arc<Docs>, StoreError> {
        self.0.open(jobs_since).await
    }

    /// Moves with every commit.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// The clusters in which something is enabled, for whoever keeps an agent's local policy in step.
    pub fn enabled_clusters(&self) -> watch::Receiver<Vec<EnabledCluster>> {
        self.0.enabled.subscribe()
    }

    /// Is this agent paused, by the last that was stored or read?
    pub fn is_paused(&self, agent: AgentId) -> bool {
        self.0.paused.borrow().as_ref().is_some_and(|paused| paused.holding(agent).is_some())
    }

    /// Who is paused, for whoever tells the agents; `None` until it is known.
    pub fn paused(&self) -> watch::Receiver<Option<Arc<Paused>>> {
        self.0.paused.subscribe()
    }
}

impl Kept {
    /// In turn.
    async fn commit(&self, changes: &ChangeSet, jobs_since: Timestamp) -> Result<Committed, StoreError> {
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
            let serves = entry.serves(jobs_since);
            entry.jobs_since = entry.jobs_since.max(jobs_since);
            let docs = Arc::make_mut(&mut entry.docs);
            docs.revision = revision + 1;
            if serves && docs.follow(changes, entry.jobs_since) {
                self.publish(docs);
                #[cfg(debug_assertions)]
                self.check(docs, entry.jobs_since).await;
            } else {
                *cached = None;
            }
        }
        committed
    }

    /// In development builds, so in every test: what was followed is what another reading gives. It is a fault of this
    /// program if it is not, and a release would go on with documents that conflict.
    #[cfg(debug_assertions)]
    async fn check(&self, followed: &Docs, jobs_since: Timestamp) {
        // Each look reads all agents: with many, one in sixteen commits is looked at.
        if followed.agents.len() > 200 && !followed.revision.is_multiple_of(16) {
            return;
        }
        // A store that does not answer, or that is another control plane's by now, shows with the next commit.
        if let Ok(read) = Docs::read(&self.store, followed.revision, jobs_since).await
            && self.store.check_epoch().await.is_ok()
        {
            assert_eq!(*followed, read, "the documents as they were followed, and as they are stored");
        }
    }

    async fn open(&self, jobs_since: Timestamp) -> Result<Arc<Docs>, StoreError> {
        let mut cached = self.open.lock().await;
        // Taken before reading: a commit in between leaves the cache old, never wrong.
        let revision = self.revision.load(Ordering::Acquire);
        let is_now = |entry: &&Cached| entry.docs.revision == revision && entry.serves(jobs_since);
        if let Some(entry) = cached.as_ref().filter(is_now) {
            return Ok(Arc::clone(&entry.docs));
        }
        let until = nimbus_platform::monotonic() + LONGEST;
        let docs = Arc::new(Docs::read(&self.store, revision, jobs_since).await?);
        self.publish(&docs);
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        *cached = Some(Cached { docs: Arc::clone(&docs), reading, until, jobs_since });
        Ok(docs)
    }

    fn publish(&self, docs: &Docs) {
        self.publish_enabled(&docs.clusters);
        let paused = Paused::of(&docs.pauses, &docs.agents);
        self.paused.send_if_modified(|current| {
            let changed = current.as_deref() != Some(&paused);
            if changed {
                *current = Some(Arc::new(paused));
            }
            changed
        });
    }

    fn publish_enabled(&self, clusters: &[Versioned<Cluster>]) {
        let enabled: Vec<EnabledCluster> = clusters
            .iter()
            .filter(|cluster| match cluster.doc.mode {
                Mode::Recommend | Mode::Act => !cluster.doc.enabled.is_empty(),
                Mode::Off | Mode::Observe => false,
            })
            .map(|cluster| (cluster.doc.uid.clone(), cluster.doc.enabled.clone()))
            .collect();
        self.enabled.send_if_modified(|current| {
            let changed = *current != enabled;
            *current = enabled;
            changed
        });
    }
}
