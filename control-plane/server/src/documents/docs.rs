//! What is open, as one reading of the store or the change sets since then have it.
//!
//! It is bounded: agents, clusters, incidents that are not resolved with their plans and approvals, and the jobs that are
//! not final or still count as attempts. The store refuses to read more than its own bound.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use nimbus_control_core::directory::Known;
use nimbus_control_core::model::{
    Agent, Agents, Approval, Cluster, Document, Incident, Job, Pause, Plan, Versioned,
};
use nimbus_control_core::rulebook::{Book, Rule};
use nimbus_protocol::ids::{AgentId, IncidentId, PlanId};
use nimbus_protocol::to_micros;
use nimbus_store::{Store, StoreError};

/// The open documents as of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Docs {
    /// [`Documents::revision`] before they were read.
    pub revision: u64,
    /// All agents.
    pub agents: Agents,
    /// All clusters.
    pub clusters: Vec<Versioned<Cluster>>,
    /// All pauses.
    pub pauses: Vec<Versioned<Pause>>,
    /// The rules that people set, shared: their conditions are compiled once.
    pub rules: Arc<Book>,
    /// The incidents that are not resolved.
    pub incidents: Vec<Versioned<Incident>>,
    /// Their plans, also refused ones that are asked for again, and those of their approvals and unfinished jobs.
    pub plans: Vec<Versioned<Plan>>,
    /// Their approvals that wait for an answer or were granted.
    pub approvals: Vec<Versioned<Approval>>,
    /// Jobs that are not final or finished not long ago.
    pub jobs: Vec<Versioned<Job>>,
}

impl Docs {
    /// Reads everything that is open.
    pub(super) async fn read(
        store: &Store,
        revision: u64,
        jobs_since: Timestamp,
    ) -> Result<Self, StoreError> {
        let (agents, clusters, pauses, rules, incidents, jobs) = tokio::try_join!(
            store.all::<Agent>(),
            store.all::<Cluster>(),
            store.all::<Pause>(),
            store.all::<Rule>(),
            store.open_incidents(),
            store.jobs_active_or_since(jobs_since)
        )?;
        let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.doc.id).collect();
        let approvals = store.open_approvals_of(&ids).await?;
        let agents = agents.into_iter().collect();
        let rules = Arc::new(Book::of(rules));
        let plans = Vec::new();
        let mut docs = Self { revision, agents, clusters, pauses, rules, incidents, plans, approvals, jobs };
        docs.plans = store.many::<Plan>(docs.plans_needed()).await?;
        // The store has an order for each part that it reads at once.
        in_order(&mut docs.plans);
        in_order(&mut docs.approvals);
        Ok(docs)
    }

    /// The plans that a decision may ask for: of what is open.
    pub(super) fn plans_needed(&self) -> BTreeSet<PlanId> {
        let of_jobs = self.jobs.iter().filter(|job| !job.doc.state.is_final()).map(|job| job.doc.plan_id);
        let of_approvals = self.approvals.iter().map(|approval| approval.doc.plan_id);
        self.incidents
            .iter()
            .flat_map(|incident| [incident.doc.plan_id, incident.doc.refused.map(|refused| refused.plan_id)])
            .flatten()
            .chain(of_approvals)
            .chain(of_jobs)
            .collect()
    }

    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&Versioned<Agent>> {
        self.agents.get(id).map(AsRef::as_ref)
    }

    /// The agent of this name that is not revoked.
    pub fn named(&self, name: &str) -> Option<&Agent> {
        self.agents.named(name).next().map(|agent| &agent.doc)
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

/// The store's order: oldest first, then by id.
pub(super) fn order<T: Document>(document: &T) -> (i64, String) {
    (to_micros(document.columns().created_at), document.id())
}

fn in_order<T: Document>(documents: &mut [Versioned<T>]) {
    documents.sort_by_cached_key(|it| order(&it.doc));
}
