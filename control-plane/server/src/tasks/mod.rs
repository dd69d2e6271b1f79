//! The background tasks that run the decisions. They are level-triggered: each pass looks at the store and the world as
//! they are, so a restart, a missed wake-up and the steady state take the same path.
//!
//! The *engine* runs, in order: clock, ingest, reports, expire, gone pods (once a second), incidents, plans, dispatch. One loop, so that they never compete
//! with each other for a document; a conflict comes only from an operator, and is read again. It runs when it is woken
//! and once a second; when nothing changed and nothing waits for a time, a pass is skipped, and one that found nothing to do is
//! followed by a rest. The *maintenance* takes
//! snapshots of the world and trims what is no longer needed.

mod clock;
mod dispatch;
mod histories;
mod ingest;
pub mod integrity;
mod pass;
mod pods;
mod reports;
mod retention;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_control_core::remediation;
use nimbus_platform::{DoublingWait, jittered};
use nimbus_store::StoreError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use histories::Histories;
pub use ingest::{CURSOR, Ingest};
pub use snapshot::Snapshots;

use crate::app::App;
use crate::health::Part;
use pass::decide;

/// How often the loops look without being woken.
const TICK: Duration = Duration::from_secs(1);
/// How often everything is decided anew although nothing changed: what a detector concludes may depend on time.
const QUIET_TICKS: u32 = 5;
/// Rounds until the decisions must have settled; beyond it the engine rests for [`RESTLESS`].
const MAX_ROUNDS: u32 = 16;
/// A pass that found nothing to do rests so many times as long as it took: agents that come and go by the thousand wake it each
/// time, and find a fifth of a core taken by passes over all the others, as long as a pass takes 12 ms and less …
const REST: u32 = 4;
/// … but not longer than this.
const LONGEST_REST: Duration = Duration::from_millis(50);
/// Pause after decisions that did not settle.
const RESTLESS: Duration = Duration::from_millis(200);

/// The loop that decides.
pub struct Engine {
    app: Arc<App>,
    ingest: Ingest,
    reports: reports::Reports,
    clock: clock::Clock,
    dispatch: dispatch::Dispatch,
    /// World version, revision of the documents and generation of the sessions of the last decision.
    seen: (u64, u64, u64),
    ticks: u32,
    /// Nobody has looked yet since the last tick which agents' pods are gone: each look goes over all agents, and one that
    /// comes must not pay for all that are there.
    pods_due: bool,
    /// Something was decided without that look: the next tick takes it, also where nothing has changed since.
    pods_unlooked: bool,
    /// Something was decided since the last rest.
    acted: bool,
}

impl Engine {
    /// The engine, with an ingest that has caught up.
    pub fn new(app: Arc<App>, ingest: Ingest) -> Self {
        Self {
            app,
            ingest,
            reports: reports::Reports::default(),
            clock: clock::Clock::default(),
            dispatch: dispatch::Dispatch::default(),
            seen: (0, 0, 0),
            ticks: 0,
            pods_due: true,
            pods_unlooked: false,
            acted: false,
        }
    }

    /// Runs until `stop` is cancelled. While the store does not answer it retries with growing pauses, says so
    /// once, and the process is not ready.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retry = DoublingWait::new(Duration::from_millis(250), Duration::from_secs(5));
        loop {
            let ticked = tokio::select! {
                () = stop.cancelled() => return,
                () = self.app.wake.engine_woken() => false,
                _ = tick.tick() => true,
            };
            let started = Instant::now();
            let applied = self.app.view.applied();
            let settled = self.round(ticked).await;
            let took = started.elapsed();
            self.app.metrics.pass_seconds.record(took.as_secs_f64());
            let acted = std::mem::take(&mut self.acted);
            let has_done = acted || self.app.view.applied() != applied;
            if matches!(settled, Ok(true)) && !has_done {
                tokio::select! {
                    () = stop.cancelled() => return,
                    // A wake-up meanwhile is kept.
                    () = tokio::time::sleep((took * REST).min(LONGEST_REST)) => {}
                }
            }
            let pause = match settled {
                Ok(settled) => {
                    retry.reset();
                    if self.app.health.works(Part::Tasks) {
                        tracing::info!("the tasks work again");
                    }
                    if settled { Duration::ZERO } else { jittered(RESTLESS) }
                }
                Err(error) => {
                    if self.app.health.failed(Part::Tasks, error.to_string()) {
                        tracing::error!(%error, "nothing is decided or dispatched until the store answers");
                    }
                    self.seen = (0, 0, 0);
                    retry.next()
                }
            };
            if !pause.is_zero() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                // Wake-ups during the pause are handled now.
                self.app.wake.engine();
            }
        }
    }

    /// Decides until nothing changes any more. False when that did not come about.
    async fn round(&mut self, ticked: bool) -> Result<bool, StoreError> {
        let app = &self.app;
        self.clock.pass(app).await?;
        let mut due = false;
        if ticked {
            self.ticks = self.ticks.wrapping_add(1);
            self.pods_due = true;
            due = self.ticks.is_multiple_of(QUIET_TICKS)
                || self.pods_unlooked
                || app.docs().await?.has_deadlines();
        }
        for _ in 0..MAX_ROUNDS {
            app.alive.engine().beat();
            let more = self.ingest.pass(app).await? | self.reports.pass(app).await?;
            let sight = (app.view.version(), app.documents.revision(), app.sessions.generation());
            if sight == self.seen && !due {
                if !more {
                    return Ok(true);
                }
                continue;
            }
            due = false;
            self.acted |= decide(app, "expire", |s, now, _| remediation::expire(s, now)).await?;
            self.pods_unlooked = true;
            if self.pods_due {
                self.pods_due = pods::pass(app).await?;
                self.pods_unlooked = self.pods_due;
            }
            self.acted |= decide(app, "incidents", |s, now, ids| remediation::incidents(s, now, ids)).await?;
            if decide(app, "plans", |s, now, ids| remediation::plans(s, now, ids)).await? {
                self.acted = true;
                nimbus_platform::reached("cp::planned");
            }
            self.dispatch.pass(app).await?;
            self.seen = sight;
        }
        // With a full log this is the normal case: go on at once.
        if app.view.stored() > app.view.applied() {
            app.wake.engine();
            return Ok(true);
        }
        tracing::debug!("decisions did not settle; resting");
        Ok(false)
    }
}

/// Reads everything that the log holds beyond the world's snapshot, before anything is decided or served.
pub async fn catch_up(app: &Arc<App>, histories: Histories) -> Result<(Ingest, Snapshots), StoreError> {
    let mut snapshots = Snapshots::new(app.view.applied(), histories);
    let mut ingest = Ingest::new(app);
    ingest.catch_up(app).await?;
    for (agent, mark) in app.store().high_water_marks().await? {
        app.sessions.caught_up.applied_up_to(agent, mark);
    }
    if let Err(error) = snapshots.after_replay(app).await {
        tracing::warn!(%error, "no snapshot after a long replay: the next start replays it again");
    }
    Ok((ingest, snapshots))
}

/// Runs snapshots and retention until `stop` is cancelled, then takes a last snapshot.
pub async fn keep(app: Arc<App>, mut snapshots: Snapshots, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retention = retention::Retention::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.wake.maintenance_woken() => {}
            _ = tick.tick() => {}
        }
        app.metrics.upkeep();
        let kept = async {
            if let Some(unneeded) = snapshots.pass(&app, false).await? {
                retention.log(&app, unneeded).await?;
            }
            retention.documents(&app).await
        };
        if let Err(error) = kept.await {
            // The log only grows until it succeeds; whoever writes to the store makes the process unready.
            tracing::warn!(%error, "the inventory snapshot or the trimming failed; tried again later");
        }
    }
    if let Err(error) = snapshots.pass(&app, true).await {
        tracing::warn!(%error, "no last snapshot: the next start replays a longer part of the log");
    }
}
