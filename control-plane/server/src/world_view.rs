//! The shared world of this process, its assessment, and how far it has followed the observation log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nimbus_control_core::assessment::Assessment;
use nimbus_control_core::{Settings, World, causes};

/// How far the log was followed at a start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Positions {
    /// Everything up to here is in the world.
    pub applied: i64,
    /// The last position of the log.
    pub stored: i64,
    /// Every status up to here is in the documents.
    pub routed: i64,
}

/// The picture, and its positions in the log.
pub struct WorldView {
    world: RwLock<World>,
    assessment: Mutex<Assessment>,
    version: AtomicU64,
    applied: AtomicI64,
    stored: AtomicI64,
    routed: AtomicI64,
    needs_listing: bool,
}

impl WorldView {
    /// The picture as it was restored. With `needs_listing` it could not be, and agents are asked to list everything again.
    pub fn new(world: World, positions: Positions, needs_listing: bool) -> Self {
        Self {
            world: RwLock::new(world),
            assessment: Mutex::default(),
            version: AtomicU64::new(1),
            applied: AtomicI64::new(positions.applied),
            stored: AtomicI64::new(positions.stored),
            routed: AtomicI64::new(positions.routed),
            needs_listing,
        }
    }

    /// The picture. Never hold it across an `.await`.
    pub fn read(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture, to change it; [`Self::moved`] is called under this guard.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong in `world`, which is this one's: looked at again where it changed. Never hold it across an `.await`.
    pub(crate) fn assess(&self, world: &World, settings: &Settings) -> MutexGuard<'_, Assessment> {
        let mut assessment = self.assessment.lock().unwrap_or_else(PoisonError::into_inner);
        causes::refresh(&mut assessment, world, settings);
        assessment
    }

    /// Moves whenever the picture changed.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The last log position in the picture. Hold [`Self::read`] to have both of one moment.
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The last log position in the store.
    pub fn stored(&self) -> i64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Every status up to this log position is in the documents.
    pub fn routed(&self) -> i64 {
        self.routed.load(Ordering::Acquire)
    }

    /// Was the picture not restored at this start, so that agents have to list everything again when they connect?
    pub fn needs_listing(&self) -> bool {
        self.needs_listing
    }

    /// The picture now holds everything up to `position`.
    pub(crate) fn moved(&self, position: i64, changed: bool) {
        self.applied.store(position, Ordering::Release);
        if changed {
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The log now reaches to `position`.
    pub(crate) fn log_moved(&self, position: i64) {
        self.stored.fetch_max(position, Ordering::AcqRel);
    }

    /// Statuses are in the documents up to `position`.
    pub(crate) fn routed_moved(&self, position: i64) {
        self.routed.fetch_max(position, Ordering::AcqRel);
    }
}
