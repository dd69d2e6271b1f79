//! Access to the stored documents: the only way to change them, and a cache of the open ones, which is valid until the
//! next change.
//!
//! What is open is bounded: agents, clusters, incidents that are not resolved with their plans and approvals, and the jobs
//! that are not final or still count as attempts. The store refuses to read more than its own bound.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use nimbus_control_core::directory::Known;
use nimbus_control_core::model::{
    ActionKind, Agent, Approval, ChangeSet, Cluster, Incident, Job, Mode, Plan, Versioned,
};
use nimbus_protocol::ids::{AgentId, IncidentId, PlanId};
use nimbus_store::{Committed, Store, StoreError};
use tokio::sync::{Mutex, watch};

/// A cluster's UID and the actions that are enabled in it.
pub type EnabledCluster = (String, Vec<ActionKind>);

/// The open documents as of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Docs {
    /// [`Documents::revision`] before they were read.
    pub revision: u64,
    /// All agents.
    pub agents: Vec<Versioned<Agent>>,
    /// All clusters.
    pub clusters: Vec<Versioned<Cluster>>,
    /// The incidents that are not resolved.
    pub incidents: Vec<Versioned<Incident>>,
    /// Their plans, and those of their approvals and unfinished jobs.
    pub plans: Vec<Versioned<Plan>>,
    /// Their approvals that wait for an answer or were granted.
    pub approvals: Vec<Versioned<Approval>>,
    /// Jobs that are not final or finished not long ago.
    pub jobs: Vec<Versioned<Job>>,
}

impl Docs {
    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&Versioned<Agent>> {
        self.agents.iter().find(|agent| agent.doc.id == id)
    }

    /// The agent of this name that is not revoked.
    pub fn named(&self, name: &str) -> Option<&Agent> {
        let mut agents = self.agents.iter().map(|agent| &agent.doc);
        agents.find(|agent| agent.name == name && agent.revoked_at.is_none())
    }

    /// What is known of agents and clusters.
    pub fn known(&self) -> Known<'_> {
        Known { agents: &self.agents, clusters: &self.clusters }
    }

    /// Is there anything whose state may change by time alone?
    pub fn has_deadlines(&self) -> bool {
        !self.incidents.is_empty() || self.jobs.iter().any(|job| !job.doc.state.is_final())
    }
}

/// The documents in the store.
pub struct Documents {
    store: Store,
    revision: AtomicU64,
    open: Mutex<Option<Arc<Docs>>>,
    enabled: watch::Sender<Vec<EnabledCluster>>,
}

impl Documents {
    /// The documents in `store`.
    pub fn new(store: Store) -> Self {
        let enabled = watch::channel(Vec::new()).0;
        Self { store, revision: AtomicU64::new(1), open: Mutex::default(), enabled }
    }

    /// The store itself, to read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Commits a change set. After a conflict the caller reads again.
    pub async fn commit(&self, changes: &ChangeSet) -> Result<Committed, StoreError> {
        let committed = self.store.commit(changes).await;
        // Also after an error: a commit whose answer was lost may have taken effect.
        self.revision.fetch_add(1, Ordering::AcqRel);
        committed
    }

    /// The open documents, with the jobs that finished since `jobs_since`; read again only when something was committed
    /// since they were read last.
    pub async fn open(&self, jobs_since: Timestamp) -> Result<Arc<Docs>, StoreError> {
        let mut cached = self.open.lock().await;
        // Taken before reading: a commit in between leaves the cache old, never wrong.
        let revision = self.revision();
        if let Some(docs) = cached.as_ref().filter(|docs| docs.revision == revision) {
            return Ok(Arc::clone(docs));
        }
        let docs = Arc::new(self.read(revision, jobs_since).await?);
        self.publish_enabled(&docs.clusters);
        *cached = Some(Arc::clone(&docs));
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

    async fn read(&self, revision: u64, jobs_since: Timestamp) -> Result<Docs, StoreError> {
        let store = &self.store;
        let (agents, clusters, incidents, jobs) = tokio::try_join!(
            store.all::<Agent>(),
            store.all::<Cluster>(),
            store.open_incidents(),
            store.jobs_active_or_since(jobs_since)
        )?;
        let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.doc.id).collect();
        let approvals = store.open_approvals_of(&ids).await?;
        let wanted: BTreeSet<PlanId> = incidents
            .iter()
            .filter_map(|incident| incident.doc.plan_id)
            .chain(approvals.iter().map(|approval| approval.doc.plan_id))
            .chain(jobs.iter().filter(|job| !job.doc.state.is_final()).map(|job| job.doc.plan_id))
            .collect();
        let plans = store.many::<Plan>(wanted).await?;
        Ok(Docs { revision, agents, clusters, incidents, plans, approvals, jobs })
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
