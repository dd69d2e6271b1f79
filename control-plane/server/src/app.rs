//! What the gateway, the tasks and REST share: the store, the keys, who is connected, the picture of the world.
//!
//! It decides nothing. Every change of a document goes through [`App::commit`], so that the tasks hear of it and
//! cached documents are read again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use nimbus_control_core::model::{ActionKind, ChangeSet, Cluster, Mode, Versioned};
use nimbus_control_core::{Settings, World};
use nimbus_store::{Committed, Store, StoreError};
use tokio::sync::watch;

pub use crate::docs::Docs;
pub use crate::sessions::{Cut, SessionInfo, Sessions};
pub use crate::wake::Wakers;

use crate::ca::Authority;
use crate::caught_up::CaughtUp;
use crate::clock;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::operator::OperatorToken;
use crate::sign::Signer;

/// A cluster's UID and the actions that are enabled in it.
pub type EnabledCluster = (String, Vec<ActionKind>);

/// Shared by everything in the process.
pub struct App {
    /// Every document and the observation log.
    pub store: Store,
    /// The figures of the decisions.
    pub settings: Settings,
    /// Signs jobs.
    pub signer: Signer,
    /// Issues certificates.
    pub ca: Arc<Authority>,
    /// The operator's token.
    pub operator: OperatorToken,
    /// Who is connected.
    pub sessions: Sessions,
    /// Whose observations are all in the world.
    pub caught_up: CaughtUp,
    /// Wakes the tasks.
    pub wake: Wakers,
    /// Whether this process can do its work.
    pub health: Health,
    /// The figures behind `/metrics`.
    pub metrics: Metrics,
    /// Grows with each start; in every job.
    pub epoch: u64,
    /// When this process started.
    pub started_at: Timestamp,
    world: RwLock<World>,
    world_version: AtomicU64,
    applied: AtomicI64,
    stored: AtomicI64,
    routed: AtomicI64,
    needs_listing: AtomicBool,
    revision: AtomicU64,
    docs: tokio::sync::Mutex<Option<Arc<Docs>>>,
    enabled: watch::Sender<Vec<EnabledCluster>>,
    quic: OnceLock<SocketAddr>,
}

/// What an [`App`] is made of.
pub(crate) struct Parts {
    pub store: Store,
    pub settings: Settings,
    pub signer: Signer,
    pub ca: Arc<Authority>,
    pub operator: OperatorToken,
    pub epoch: u64,
    /// The world as of log position `applied`.
    pub world: World,
    pub applied: i64,
    /// Last position of the log.
    pub stored: i64,
    /// Every report and status up to this log position is in the documents.
    pub routed: i64,
    /// The world could not be restored: agents are asked to list everything again.
    pub needs_listing: bool,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            settings: parts.settings,
            signer: parts.signer,
            ca: parts.ca,
            operator: parts.operator,
            sessions: Sessions::default(),
            caught_up: CaughtUp::default(),
            wake: Wakers::default(),
            health: Health::default(),
            metrics: Metrics::default(),
            epoch: parts.epoch,
            started_at: clock::now(),
            world: RwLock::new(parts.world),
            world_version: AtomicU64::new(1),
            applied: AtomicI64::new(parts.applied),
            stored: AtomicI64::new(parts.stored),
            routed: AtomicI64::new(parts.routed),
            needs_listing: AtomicBool::new(parts.needs_listing),
            revision: AtomicU64::new(1),
            docs: tokio::sync::Mutex::default(),
            enabled: watch::channel(Vec::new()).0,
            quic: OnceLock::new(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        clock::now()
    }

    /// The source of new ids.
    pub fn ids(&self) -> clock::Ids {
        clock::Ids
    }

    /// Commits a change set and wakes the tasks. After a conflict the caller reads again.
    pub async fn commit(&self, changes: &ChangeSet) -> Result<Committed, StoreError> {
        let committed = self.store.commit(changes).await;
        // Also after an error: a commit whose answer was lost may have taken effect.
        self.revision.fetch_add(1, Ordering::AcqRel);
        match &committed {
            Ok(_) => self.wake.engine(),
            Err(error) if error.is_conflict() => self.metrics.conflicts.increment(1),
            Err(_) => {}
        }
        committed
    }

    /// The open documents, read again only when something was committed since they were read last.
    pub async fn docs(&self) -> Result<Arc<Docs>, StoreError> {
        let mut cached = self.docs.lock().await;
        // Taken before reading: a commit in between leaves the cache old, never wrong.
        let revision = self.revision();
        if let Some(docs) = cached.as_ref().filter(|docs| docs.revision == revision) {
            return Ok(Arc::clone(docs));
        }
        let docs = Arc::new(Docs::read(self, revision).await?);
        self.publish_enabled(&docs.clusters);
        *cached = Some(Arc::clone(&docs));
        Ok(docs)
    }

    /// Moves with every commit.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The picture of the world. Never hold it across an `.await`.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves whenever the world changed.
    pub fn world_version(&self) -> u64 {
        self.world_version.load(Ordering::Acquire)
    }

    /// The last log position in the world. Hold [`Self::world`] to read both of one moment.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The last log position in the store.
    pub fn stored(&self) -> i64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Every report and status up to this log position is in the documents.
    pub fn routed(&self) -> i64 {
        self.routed.load(Ordering::Acquire)
    }

    /// Was the world not restored at this start, so that agents have to list everything again when they connect?
    pub fn needs_listing(&self) -> bool {
        self.needs_listing.load(Ordering::Acquire)
    }

    /// The clusters in which something is enabled, for whoever keeps an agent's local policy in step.
    pub fn enabled_clusters(&self) -> watch::Receiver<Vec<EnabledCluster>> {
        self.enabled.subscribe()
    }

    /// Where agents are served, as an agent's `--server` takes it; empty before the gateway is up.
    pub fn quic_address(&self) -> String {
        self.quic.get().map(SocketAddr::to_string).unwrap_or_default()
    }

    pub(crate) fn set_quic_address(&self, address: SocketAddr) {
        // Set once, at the start.
        let _ = self.quic.set(address);
    }

    /// The world, to change it; `applied` and the version are moved by [`Self::world_moved`] under this guard.
    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world now holds everything up to `position`.
    pub(crate) fn world_moved(&self, position: i64, changed: bool) {
        self.applied.store(position, Ordering::Release);
        if changed {
            self.world_version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The log now reaches to `position`.
    pub(crate) fn log_moved(&self, position: i64) {
        self.stored.fetch_max(position, Ordering::AcqRel);
        self.wake.engine();
    }

    /// Reports and statuses are in the documents up to `position`.
    pub(crate) fn routed_moved(&self, position: i64) {
        self.routed.fetch_max(position, Ordering::AcqRel);
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
