//! Reads the observation log: facts into the world, reports and statuses into the documents.
//!
//! Two positions: the world is in memory and is rebuilt from its snapshot and the tail of the log; reports and
//! statuses change documents, and the cursor [`CURSOR`] commits with them, so that each report is taken exactly
//! once. Reports wait in order until the store has taken them; the log is not read further meanwhile.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use nimbus_control_core::heal;
use nimbus_control_core::model::{AgentKind, ChangeSet, Job, Versioned};
use nimbus_control_core::world::{World, tame};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::{sha256, v1};
use nimbus_store::{LogBatch, StoreError};
use prost::Message as _;

use super::pass::{TRIES, said};
use super::strays::Strays;
use crate::app::{App, Cut, Docs};
use crate::{claims, directory, failpoint, gateway, sign};

/// Name of the cursor up to which reports and statuses are in the documents.
pub const CURSOR: &str = "ingest";
/// Rows of the log read at once: at most 64 batches of 4 MiB inflated one after the other.
const ROWS: u32 = 64;

/// A report or a status that has to become documents.
struct Item {
    position: i64,
    /// The last of its row: the cursor moves with it.
    last: bool,
    agent: AgentId,
    said: Said,
}

enum Said {
    Report(v1::JobReport),
    Status(v1::AgentStatus),
}

/// The reader of the log.
pub struct Ingest {
    /// Rows up to here were read.
    read: i64,
    /// Rows up to here are in the world.
    applied: i64,
    /// Rows up to here are in the documents.
    routed: i64,
    waiting: VecDeque<Item>,
    /// The cluster that each agent may speak for: as the documents say, or until they do the first one it named.
    speaks_for: HashMap<AgentId, String>,
    /// The revision of the documents that this was taken from.
    entitled: Option<u64>,
    /// Reports on jobs that are not the agent's, this minute.
    strays: Strays,
}

impl Ingest {
    /// A reader that goes on after the world's snapshot and the documents' cursor, whichever is earlier.
    pub fn new(app: &App) -> Self {
        let (applied, routed) = (app.applied(), app.routed());
        Self {
            read: applied.min(routed),
            applied,
            routed,
            waiting: VecDeque::new(),
            speaks_for: HashMap::new(),
            entitled: None,
            strays: Strays::default(),
        }
    }

    /// Reads everything that is in the log now; for the start, before anything is decided.
    pub async fn catch_up(&mut self, app: &App) -> Result<(), StoreError> {
        while self.pass(app).await? {}
        Ok(())
    }

    /// Reads the next rows. True when there are more.
    pub async fn pass(&mut self, app: &App) -> Result<bool, StoreError> {
        self.route(app).await?;
        if !self.waiting.is_empty() || app.stored() <= self.read {
            return Ok(false);
        }
        let rows = app.store.read_log(self.read, ROWS).await?;
        if rows.is_empty() {
            self.read = app.stored();
            return Ok(false);
        }
        let more = rows.len() >= ROWS as usize;
        let docs = app.docs().await?;
        self.entitle(app, &docs);
        for row in &rows {
            self.take(app, row, &docs);
        }
        #[allow(clippy::cast_precision_loss, reason = "a gauge: the last digits do not matter")]
        app.metrics.backlog.set((app.stored() - self.read).max(0) as f64);
        self.route(app).await?;
        Ok(more || app.stored() > self.read)
    }

    /// Takes from the documents which agent speaks for which cluster. Nothing waits, so they are as new as the log is
    /// read. Where they give an agent no claim yet, the first cluster that its facts named stands, unless another
    /// agent has the claim by now.
    fn entitle(&mut self, app: &App, docs: &Docs) {
        if self.entitled == Some(docs.revision) {
            return;
        }
        self.entitled = Some(docs.revision);
        for agent in &docs.agents {
            let known = self.speaks_for.entry(agent.doc.id.clone()).or_default();
            match agent.doc.claim.as_ref().filter(|_| agent.doc.kind == AgentKind::Cluster) {
                Some(uid) => known.clone_from(uid),
                None if !known.is_empty() && claims::may_speak(&docs.agents, &agent.doc, known).is_err() => {
                    known.clear();
                }
                None => {}
            }
        }
        let (usurped, gone) = self.no_longer_heard(&app.world(), docs);
        if usurped.is_empty() && gone.is_empty() {
            return;
        }
        let mut world = app.world_mut();
        for uid in &usurped {
            world.depose(uid);
        }
        for agent in &gone {
            world.hosts.remove(agent);
        }
    }

    /// Clusters that an agent without a claim to them leads, and hosts whose agent was revoked.
    fn no_longer_heard(&self, world: &World, docs: &Docs) -> (Vec<String>, Vec<AgentId>) {
        let revoked: HashSet<&AgentId> =
            docs.agents.iter().map(|a| &a.doc).filter(|a| a.revoked_at.is_some()).map(|a| &a.id).collect();
        let no_right = |uid: &String, leader: &AgentId| {
            revoked.contains(leader) || self.speaks_for.get(leader) != Some(uid)
        };
        let clusters = world.clusters.iter();
        let usurped = clusters.filter(|(uid, known)| known.leader.as_ref().is_some_and(|l| no_right(uid, l)));
        let gone = world.hosts.keys().filter(|agent| revoked.contains(agent));
        (usurped.map(|(uid, _)| uid.clone()).collect(), gone.cloned().collect())
    }

    /// One row into the world; its reports and statuses into the queue.
    fn take(&mut self, app: &App, row: &LogBatch, docs: &Docs) {
        self.read = row.position;
        let may_claim = |uid: &str| {
            let agent = docs.agent(&row.agent);
            agent.is_some_and(|agent| claims::may_speak(&docs.agents, &agent.doc, uid).is_ok())
        };
        let batch = match gateway::unpack(&row.payload) {
            Ok(batch) => batch,
            Err(error) => {
                // It was packed by this program and is checked by the database: damaged storage, not a peer.
                tracing::error!(%error, position = row.position, "a row of the log does not read and is skipped");
                v1::ObservationBatch::default()
            }
        };
        let mut items = Vec::new();
        {
            let mut world = app.world_mut();
            let mut changed = false;
            for mut observation in batch.observations {
                if !tame(&mut observation) {
                    tracing::debug!(agent = %row.agent, "an observation that names nothing that can be");
                    continue;
                }
                match observation.body {
                    Some(Body::AgentStatus(said)) => items.push(Said::Status(said)),
                    Some(Body::JobReport(said)) => items.push(Said::Report(said)),
                    _ if row.position <= self.applied => {}
                    _ if !self.may_say(&row.agent, &observation.cluster_uid, may_claim) => {
                        tracing::debug!(agent = %row.agent, "facts of a cluster that is not the agent's own");
                    }
                    _ => changed |= world.apply(&row.agent, &observation, row.received_at),
                }
            }
            if row.position > self.applied {
                self.applied = row.position;
                let current = app.caught_up.heard(&row.agent, row.last);
                app.world_moved(row.position, changed || current);
            }
        }
        self.queue(app, row, items);
    }

    /// Facts of its own host, always; of a cluster, only of the one that it watches. Its first facts may come before
    /// it has said which one that is: then they say it.
    fn may_say(&mut self, agent: &AgentId, cluster_uid: &str, may_claim: impl Fn(&str) -> bool) -> bool {
        if cluster_uid.is_empty() {
            return true;
        }
        let known = self.speaks_for.entry(agent.clone()).or_default();
        if known.is_empty() && may_claim(cluster_uid) {
            cluster_uid.clone_into(known);
        }
        known == cluster_uid
    }

    fn queue(&mut self, app: &App, row: &LogBatch, mut items: Vec<Said>) {
        if row.position <= self.routed {
            return;
        }
        // Of several statuses the newest is all that counts.
        let newest = items.iter().rposition(|said| matches!(said, Said::Status(_)));
        let mut at = 0;
        items.retain(|said| {
            at += 1;
            matches!(said, Said::Report(_)) || Some(at - 1) == newest
        });
        let count = items.len();
        for (at, said) in items.into_iter().enumerate() {
            let (position, agent) = (row.position, row.agent.clone());
            self.waiting.push_back(Item { position, last: at + 1 == count, agent, said });
        }
        if self.waiting.is_empty() {
            self.routed = row.position;
            app.routed_moved(row.position);
        }
    }

    /// Takes what waits, in order, each in a commit of its own.
    async fn route(&mut self, app: &App) -> Result<(), StoreError> {
        while let Some(item) = self.waiting.front() {
            let cursor = if item.last { item.position } else { item.position - 1 };
            let cursor = cursor.max(self.routed);
            let done = match take_item(app, item, cursor, &mut self.strays).await {
                // The database will not take this one at any time: everybody else goes on.
                Err(error @ (StoreError::Database { .. } | StoreError::Invalid { .. })) => {
                    tracing::error!(%error, agent = %item.agent, "what an agent said cannot be kept and is skipped");
                    true
                }
                other => other?,
            };
            if !done {
                tracing::warn!(agent = %item.agent, "{TRIES} conflicts in a row; taken at the next look");
                return Ok(());
            }
            self.routed = cursor;
            app.routed_moved(self.routed);
            self.waiting.pop_front();
        }
        if self.routed < self.read {
            self.routed = self.read;
            app.routed_moved(self.read);
        }
        Ok(())
    }
}

/// A report on an envelope that the agent could not read names no job; the envelope's digest does, if it is one that
/// was sent from here.
fn named<'a>(docs: &Docs, report: &'a v1::JobReport) -> Cow<'a, v1::JobReport> {
    let digest_of = |job: &Job| sign::from_document(&job.envelope).ok().map(|e| sha256(&e.encode_to_vec()));
    let sent =
        |job: &&Versioned<Job>| digest_of(&job.doc).is_some_and(|d| d[..] == report.envelope_sha256[..]);
    if !report.job_id.is_empty() || report.envelope_sha256.is_empty() {
        return Cow::Borrowed(report);
    }
    let job_id = docs.jobs.iter().find(sent).map(|job| job.doc.id.to_string()).unwrap_or_default();
    Cow::Owned(v1::JobReport { job_id, ..report.clone() })
}

/// Is this about no job that was given to this agent?
fn is_stray(docs: &Docs, agent: &AgentId, report: &v1::JobReport) -> bool {
    let report = named(docs, report);
    !docs.jobs.iter().any(|job| job.doc.id.as_str() == report.job_id && &job.doc.agent_id == agent)
}

/// Commits what one item changes, with the cursor. False when others were faster each time.
async fn take_item(app: &App, item: &Item, cursor: i64, strays: &mut Strays) -> Result<bool, StoreError> {
    if let Said::Report(report) = &item.said
        && is_stray(&*app.docs().await?, &item.agent, report)
        && !strays.may_be_audited(&item.agent, app.now())
    {
        return Ok(true);
    }
    for _ in 0..TRIES {
        let docs = app.docs().await?;
        let now = app.now();
        let mut changes = match &item.said {
            Said::Status(said) => docs.agent(&item.agent).map_or_else(ChangeSet::default, |agent| {
                let (changes, denied) = directory::status(&docs, agent, said, now);
                if denied.is_some() {
                    // It hears why, and makes room in the cluster for an agent that may speak for it.
                    app.sessions.cut(&item.agent, Cut::WrongCluster);
                }
                changes
            }),
            Said::Report(report) => {
                let report = named(&docs, report);
                let world = app.world();
                heal::report(&docs.snapshot(app, &world), &item.agent, &report, now)
            }
        };
        if changes.is_empty() {
            return Ok(true);
        }
        changes.cursors.push((CURSOR.to_owned(), cursor));
        let report = matches!(item.said, Said::Report(_));
        if report {
            failpoint::hit("cp::report");
        }
        match app.commit(&changes).await {
            Ok(_) => {
                said(&changes);
                if report {
                    failpoint::hit("cp::reported");
                }
                return Ok(true);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
