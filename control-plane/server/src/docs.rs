//! The open documents, read together: what a decision needs besides the world.
//!
//! Bounded by what is open: agents, clusters, incidents that are not resolved with their plans and approvals, and
//! the jobs that are not final or still count as attempts. The store refuses to read more than its own bound.

use std::collections::BTreeSet;

use nimbus_control_core::model::{Agent, Approval, Cluster, Incident, Job, Plan, Versioned};
use nimbus_control_core::{Snapshot, World};
use nimbus_protocol::ids::{AgentId, IncidentId, PlanId};
use nimbus_store::StoreError;

use crate::app::App;

/// The open documents as of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Docs {
    /// [`App::revision`] before they were read.
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
    /// Reads them.
    pub(crate) async fn read(app: &App, revision: u64) -> Result<Self, StoreError> {
        let store = &app.store;
        let since = app.settings.jobs_since(app.now());
        let (agents, clusters, incidents, jobs) = tokio::try_join!(
            store.all::<Agent>(),
            store.all::<Cluster>(),
            store.open_incidents(),
            store.jobs_active_or_since(since)
        )?;
        let ids: Vec<IncidentId> = incidents.iter().map(|incident| incident.doc.id.clone()).collect();
        let approvals = if ids.is_empty() { Vec::new() } else { store.open_approvals_of(&ids).await? };
        let wanted: BTreeSet<PlanId> = incidents
            .iter()
            .filter_map(|incident| incident.doc.plan_id.clone())
            .chain(approvals.iter().map(|approval| approval.doc.plan_id.clone()))
            .chain(jobs.iter().filter(|job| !job.doc.state.is_final()).map(|job| job.doc.plan_id.clone()))
            .collect();
        let wanted: Vec<PlanId> = wanted.into_iter().collect();
        let plans = if wanted.is_empty() { Vec::new() } else { store.plans_of(&wanted).await? };
        Ok(Self { revision, agents, clusters, incidents, plans, approvals, jobs })
    }

    /// What a decision is made from: these documents, the world, and who is connected now.
    pub fn snapshot<'a>(&self, app: &'a App, world: &'a World) -> Snapshot<'a> {
        let mut connected = app.sessions.connected();
        app.caught_up.only_current(&mut connected);
        Snapshot {
            world,
            agents: self.agents.clone(),
            clusters: self.clusters.clone(),
            incidents: self.incidents.clone(),
            plans: self.plans.clone(),
            approvals: self.approvals.clone(),
            jobs: self.jobs.clone(),
            connected,
            settings: &app.settings,
        }
    }

    /// An agent.
    pub fn agent(&self, id: &AgentId) -> Option<&Versioned<Agent>> {
        self.agents.iter().find(|agent| &agent.doc.id == id)
    }

    /// Is there anything whose state may change by time alone?
    pub fn has_deadlines(&self) -> bool {
        !self.incidents.is_empty() || self.jobs.iter().any(|job| !job.doc.state.is_final())
    }
}
