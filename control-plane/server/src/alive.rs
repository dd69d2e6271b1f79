//! The control plane's own signs of life, for the service manager that started it: how far its start has come, and from
//! then on that its loops come round.
//!
//! Three loops matter, and none is believed for being polled: the engine comes round after a pass of the decisions, the
//! log's writer after a commit or when it is asked between two, and the look at the database once that has answered, if
//! only with an error. A database that refuses is no reason to start again, and is said elsewhere; one that never answers
//! is, and so is a thread that hangs on the disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nimbus_platform::{Pulse, Sign, monotonic};
use tokio::sync::Notify;

/// Longest time to open the database. A migration of a large one takes minutes in a few statements, which say nothing of
/// how far they are.
const OPENING: Duration = Duration::from_hours(1);
/// Longest time between two parts of the observation log that are read at the start.
const STANDSTILL: Duration = Duration::from_mins(2);

/// How far a start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The database is opened, and migrated where it is an older one.
    Opening,
    /// Another control plane leads, and this one stands by for it.
    StandingBy,
    /// The observation log is read.
    Replaying,
    /// Everything is served.
    Serving,
}

/// Where a start stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// What it does.
    pub phase: Phase,
    /// Since when, by [`monotonic`].
    pub since: Duration,
    /// When it moved on last.
    pub moved: Duration,
}

/// May the service manager be asked at `now` to wait longer for this start?
pub fn may_take_longer(now: Duration, start: &Start) -> bool {
    match start.phase {
        Phase::Opening => now.saturating_sub(start.since) < OPENING,
        Phase::Replaying => now.saturating_sub(start.moved) < STANDSTILL,
        // For as long as the other one lives.
        Phase::StandingBy => true,
        Phase::Serving => false,
    }
}

/// The signs of one control plane.
#[derive(Debug)]
pub struct Alive {
    phase: Mutex<(Phase, Duration)>,
    asked: Notify,
    engine: Pulse,
    log: Pulse,
    database: Pulse,
}

impl Default for Alive {
    /// Those of one that begins to start.
    fn default() -> Self {
        Self {
            phase: Mutex::new((Phase::Opening, monotonic())),
            asked: Notify::new(),
            engine: Pulse::default(),
            log: Pulse::default(),
            database: Pulse::default(),
        }
    }
}

impl Alive {
    /// The start comes to `phase`; its loops are about to run.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase, monotonic());
        for pulse in [&self.engine, &self.log, &self.database] {
            pulse.beat();
        }
    }

    /// Where the start stands.
    pub fn start(&self) -> Start {
        let (phase, since) = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        Start { phase, since, moved: self.engine.last() }
    }

    /// Asks the log's writer for a sign: without observations it has nothing to do.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits for [`Self::ask`].
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The engine; while starting, the part of it that reads the log.
    pub fn engine(&self) -> &Pulse {
        &self.engine
    }

    /// The log's writer.
    pub fn log(&self) -> &Pulse {
        &self.log
    }

    /// The look at the database, once a second.
    pub fn database(&self) -> &Pulse {
        &self.database
    }

    /// All of them, for a watchdog of this time. Statements end after 30 s and waits for a connection after 10 s, so each
    /// loop comes round well within a minute, whatever the database does.
    pub fn signs(&self, watchdog: Duration) -> [Sign; 3] {
        [
            self.engine.sign("the engine", watchdog),
            self.log.sign("the log's writer", watchdog),
            self.database.sign("the look at the database", watchdog),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_may_take_long_while_it_moves_and_a_migration_an_hour() {
        let at = Duration::from_secs;
        let may = |phase, since, moved, now| {
            may_take_longer(at(now), &Start { phase, since: at(since), moved: at(moved) })
        };
        assert!(may(Phase::Opening, 10, 10, 3_609));
        assert!(!may(Phase::Opening, 10, 10, 3_610));
        assert!(may(Phase::Replaying, 10, 9_000, 9_119), "however long it took");
        assert!(!may(Phase::Replaying, 10, 9_000, 9_120));
        assert!(!may(Phase::Serving, 10, 10, 10), "there is nothing to wait for");
    }

    #[tokio::test]
    async fn a_phase_begins_anew_and_a_question_is_kept_until_it_is_heard() {
        let alive = Alive::default();
        assert_eq!(alive.start().phase, Phase::Opening);
        alive.enter(Phase::Replaying);
        let start = alive.start();
        assert!(start.phase == Phase::Replaying && start.since <= monotonic());
        alive.ask();
        alive.ask();
        alive.asked().await;
        let again = tokio::time::timeout(Duration::from_millis(20), alive.asked());
        assert!(again.await.is_err(), "asked twice counts as once");
    }
}
