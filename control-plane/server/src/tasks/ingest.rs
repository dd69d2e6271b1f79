//! Follows the observation log: applies observations to the world, and agents' statuses to the documents.
//!
//! Two positions: the world is in memory and is rebuilt from its snapshot and the tail of the log; statuses change
//! documents, and the cursor [`CURSOR`] commits with them. Statuses wait in order until the store has taken them; the log
//! is not read further meanwhile.

use std::collections::VecDeque;

use nimbus_control_core::cluster_binding::{Bindings, Unbound, may_measure};
use nimbus_control_core::directory;
use nimbus_control_core::gateway::CloseReason;
use nimbus_control_core::world::sanitize;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;
use nimbus_store::{LogBatch, StoreError};

use super::pass::{TRIES, log_audit};
use crate::app::App;
use crate::documents::Docs;
use crate::log_payload::unpack;

/// Name of the cursor up to which statuses are in the documents.
pub const CURSOR: &str = "ingest";
/// Rows of the log read at once: at most 64 batches of 4 MiB decompressed one after the other.
const ROWS: u32 = 64;

/// A status that has to become documents: the newest one of its row, which is all that counts.
struct Waiting {
    /// The cursor moves there with it.
    position: i64,
    agent: AgentId,
    status: v1::AgentStatus,
}

/// The reader of the log.
pub struct Ingest {
    /// Rows up to here were read.
    read: i64,
    /// Rows up to here are in the world.
    applied: i64,
    /// Rows up to here are in the documents.
    routed: i64,
    waiting: VecDeque<Waiting>,
    bindings: Bindings,
    /// The revision of the documents that the bindings were taken from.
    bound_at: Option<u64>,
}

impl Ingest {
    /// A reader that goes on after the world's snapshot and the documents' cursor, whichever is earlier.
    pub fn new(app: &App) -> Self {
        let (applied, routed) = (app.view.applied(), app.view.routed());
        Self {
            read: applied.min(routed),
            applied,
            routed,
            waiting: VecDeque::new(),
            bindings: Bindings::default(),
            bound_at: None,
        }
    }

    /// Reads everything that is in the log now; for the start, before anything is decided.
    pub async fn catch_up(&mut self, app: &App) -> Result<(), StoreError> {
        while self.pass(app).await? {}
        Ok(())
    }

    /// Reads the next rows. True when there are more.
    pub async fn pass(&mut self, app: &App) -> Result<bool, StoreError> {
        app.alive.engine().beat();
        self.route(app).await?;
        if !self.waiting.is_empty() || app.view.stored() <= self.read {
            return Ok(false);
        }
        let rows = app.store().read_log(self.read, ROWS).await?;
        if rows.is_empty() {
            self.read = app.view.stored();
            return Ok(false);
        }
        let more = rows.len() >= ROWS as usize;
        let docs = app.docs().await?;
        self.bind(app, &docs);
        for row in &rows {
            self.take(app, row, &docs);
        }
        #[allow(clippy::cast_precision_loss, reason = "a gauge: the last digits do not matter")]
        app.metrics.backlog.set((app.view.stored() - self.read).max(0) as f64);
        drop(docs);
        self.route(app).await?;
        Ok(more || app.view.stored() > self.read)
    }

    /// Takes from the documents which agent may report for which cluster, and lets go of what nobody may report any more.
    /// Nothing waits, so they are as new as the log is read.
    fn bind(&mut self, app: &App, docs: &Docs) {
        if self.bound_at == Some(docs.revision) {
            return;
        }
        self.bound_at = Some(docs.revision);
        self.bindings.follow(&docs.agents);
        let unbound = self.bindings.unbound(&app.view.read(), &docs.clusters, &docs.agents);
        if unbound == Unbound::default() {
            return;
        }
        let mut world = app.view.write();
        for uid in &unbound.clusters {
            world.clear_leader(uid);
        }
        for uid in &unbound.removed {
            world.clusters.remove(uid);
        }
        for agent in &unbound.hosts {
            world.hosts.remove(agent);
        }
    }

    /// One row into the world; its newest status into the queue.
    fn take(&mut self, app: &App, row: &LogBatch, docs: &Docs) {
        self.read = row.position;
        let batch = unpack(&row.payload).unwrap_or_else(|error| {
            // It was packed by this program and is checked by the database: damaged storage, not a peer.
            tracing::error!(%error, position = row.position, "a row of the log does not read and is skipped");
            v1::ObservationBatch::default()
        });
        let mut newest = None;
        {
            let mut world = app.view.write();
            let mut changed = false;
            for mut observation in batch.observations {
                if !sanitize(&mut observation) {
                    tracing::debug!(agent = %row.agent, "an observation that names nothing that can be");
                    continue;
                }
                let cluster = &observation.cluster_uid;
                match observation.body {
                    Some(Body::AgentStatus(status)) => newest = Some(status),
                    _ if row.position <= self.applied => {}
                    _ if !self.bindings.may_report(&docs.agents, row.agent, cluster) => {
                        tracing::debug!(agent = %row.agent, "facts of a cluster that is not the agent's own");
                    }
                    Some(Body::NodeMeasured(ref node))
                        if !may_measure(&docs.agents, world.clusters.get(cluster), row.agent, &node.node) =>
                    {
                        tracing::debug!(agent = %row.agent, "figures of a node that is not the agent's own");
                    }
                    _ => changed |= world.apply(row.agent, &observation, row.received_at),
                }
            }
            if row.position > self.applied {
                self.applied = row.position;
                let current = app.sessions.caught_up.applied_up_to(row.agent, row.last);
                app.view.moved(row.position, changed || current);
            }
        }
        if row.position > self.routed
            && let Some(status) = newest
        {
            self.waiting.push_back(Waiting { position: row.position, agent: row.agent, status });
        }
        if self.waiting.is_empty() {
            self.routed_up_to(app, row.position);
        }
    }

    fn routed_up_to(&mut self, app: &App, position: i64) {
        self.routed = self.routed.max(position);
        app.view.routed_moved(self.routed);
    }

    /// Takes what waits, in order, each in a commit of its own.
    async fn route(&mut self, app: &App) -> Result<(), StoreError> {
        while let Some(waiting) = self.waiting.front() {
            let taken = match take_status(app, waiting).await {
                // The database will not take this one at any time: everybody else goes on. Any other error is the
                // database's own, and what waits is taken once it works again.
                Err(error) if error.is_of_the_row() => {
                    tracing::error!(%error, agent = %waiting.agent, "a status cannot be kept and is skipped");
                    true
                }
                other => other?,
            };
            if !taken {
                tracing::warn!(agent = %waiting.agent, "{TRIES} conflicts in a row; taken at the next look");
                return Ok(());
            }
            let position = waiting.position;
            self.waiting.pop_front();
            self.routed_up_to(app, position);
        }
        self.routed_up_to(app, self.read);
        Ok(())
    }
}

/// Commits what a status changes, with the cursor. False when others were faster each time.
async fn take_status(app: &App, waiting: &Waiting) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        app.alive.engine().beat();
        let docs = app.docs().await?;
        let Some(agent) = docs.agent(waiting.agent) else { return Ok(true) };
        let (mut changes, denied) = directory::status(docs.known(), agent, &waiting.status, app.now());
        if denied.is_some() {
            // It hears why, and makes room in the cluster for an agent that may report for it.
            app.sessions.close(waiting.agent, CloseReason::WrongCluster);
        }
        if changes.is_empty() {
            return Ok(true);
        }
        changes.cursors.push((CURSOR.to_owned(), waiting.position));
        drop(docs);
        match app.commit(&changes).await {
            Ok(_) => {
                log_audit(&changes);
                return Ok(true);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
