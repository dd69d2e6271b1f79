//! What a decision is made from: one immutable value.
//!
//! The server reads the documents with their versions, borrows the world, and hands this over. It also answers
//! the question that comes before every decision: is this part of the world known well enough?

use std::collections::BTreeSet;

use nimbus_protocol::ids::{AgentId, ApprovalId, IncidentId, JobId, PlanId};

use crate::model::{Agent, Approval, Cluster, Incident, Job, Plan, Versioned};
use crate::settings::Settings;
use crate::world::World;

/// Where something is: in a cluster or on an agent's host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A cluster, by UID.
    Cluster(String),
    /// The host of an agent.
    Host(AgentId),
}

/// Everything that a decision may depend on, besides `now`.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// What is known of clusters and hosts.
    pub world: &'a World,
    /// All agents.
    pub agents: Vec<Versioned<Agent>>,
    /// All clusters.
    pub clusters: Vec<Versioned<Cluster>>,
    /// The incidents that are not resolved.
    pub incidents: Vec<Versioned<Incident>>,
    /// Their plans.
    pub plans: Vec<Versioned<Plan>>,
    /// Their approvals.
    pub approvals: Vec<Versioned<Approval>>,
    /// Jobs that are not final, and those that finished since [`Settings::jobs_since`].
    pub jobs: Vec<Versioned<Job>>,
    /// Agents with a live session.
    pub connected: BTreeSet<AgentId>,
    /// The figures.
    pub settings: &'a Settings,
}

impl Snapshot<'_> {
    /// An incident.
    pub fn incident(&self, id: &IncidentId) -> Option<&Versioned<Incident>> {
        self.incidents.iter().find(|i| &i.doc.id == id)
    }

    /// A plan.
    pub fn plan(&self, id: &PlanId) -> Option<&Plan> {
        self.plans.iter().map(|p| &p.doc).find(|p| &p.id == id)
    }

    /// An approval.
    pub fn approval(&self, id: &ApprovalId) -> Option<&Versioned<Approval>> {
        self.approvals.iter().find(|a| &a.doc.id == id)
    }

    /// A job.
    pub fn job(&self, id: &JobId) -> Option<&Versioned<Job>> {
        self.jobs.iter().find(|j| &j.doc.id == id)
    }

    /// An agent.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.iter().map(|a| &a.doc).find(|a| &a.id == id)
    }

    /// A cluster.
    pub fn cluster(&self, uid: &str) -> Option<&Cluster> {
        self.clusters.iter().map(|c| &c.doc).find(|c| c.uid == uid)
    }

    /// The name that an operator knows a cluster or host by.
    pub fn name_of(&self, scope: &Scope) -> String {
        match scope {
            Scope::Cluster(uid) => self.cluster(uid).map_or_else(|| uid.clone(), |c| c.name.clone()),
            Scope::Host(id) => self.agent(id).map_or_else(|| id.to_string(), |a| a.name.clone()),
        }
    }

    /// Jobs that are not final.
    pub fn in_flight(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().map(|j| &j.doc).filter(|j| !j.state.is_final())
    }

    /// Is this part of the world known well enough to conclude anything from it? If not, why.
    ///
    /// Missing data reads unknown, never healthy: nothing is opened, resolved, planned or dispatched from it.
    pub fn known(&self, scope: &Scope) -> Result<(), String> {
        match scope {
            Scope::Host(id) => {
                if !self.connected.contains(id) {
                    return Err(format!("unknown: agent {} is not connected", self.name_of(scope)));
                }
                if !self.world.hosts.contains_key(id) {
                    return Err(format!("unknown: agent {} has not reported yet", self.name_of(scope)));
                }
                Ok(())
            }
            Scope::Cluster(uid) => self.cluster_known(uid, &self.name_of(scope)),
        }
    }

    fn cluster_known(&self, uid: &str, name: &str) -> Result<(), String> {
        let none = || format!("unknown: no agent has reported cluster {name} yet");
        let inventory = self.world.clusters.get(uid).ok_or_else(none)?;
        let leader = inventory.leader.as_ref().ok_or_else(none)?;
        if !self.connected.contains(leader) {
            let agent = self.name_of(&Scope::Host(leader.clone()));
            return Err(format!("unknown: agent {agent}, which watches cluster {name}, is not connected"));
        }
        // It may have turned to another cluster, or to none, or lost its lease with nobody to take over.
        let leads = |agent: &Agent| agent.leading && agent.cluster_uid.as_deref() == Some(uid);
        if !self.agent(leader).is_some_and(leads) {
            return Err(format!("unknown: no connected agent leads cluster {name}; its last picture is old"));
        }
        let unlisted = inventory.unlisted();
        if !unlisted.is_empty() {
            let kinds = unlisted.join(", ");
            return Err(format!(
                "unknown: the full listing of cluster {name} has not ended ({kinds} missing)"
            ));
        }
        if inventory.not_kept > 0 {
            let most = crate::world::MAX_OBJECTS;
            return Err(format!("unknown: cluster {name} has more than {most} objects of one kind"));
        }
        Ok(())
    }

    /// The agent that acts in a cluster: connected, leading, of the highest lease term; its own agent for a host.
    pub fn actor(&self, scope: &Scope) -> Result<&Agent, String> {
        let name = self.name_of(scope);
        match scope {
            Scope::Host(id) => self
                .agent(id)
                .filter(|a| a.revoked_at.is_none() && self.connected.contains(id))
                .ok_or_else(|| format!("agent {name} is not connected")),
            Scope::Cluster(uid) => self
                .agents
                .iter()
                .map(|a| &a.doc)
                .filter(|a| a.leading && a.revoked_at.is_none() && a.cluster_uid.as_ref() == Some(uid))
                .filter(|a| self.connected.contains(&a.id))
                .max_by_key(|a| a.lease_term)
                .ok_or_else(|| format!("no connected agent leads cluster {name}")),
        }
    }
}

impl Incident {
    /// Where it is.
    pub fn scope(&self) -> Option<Scope> {
        match (&self.cluster_uid, &self.agent_id) {
            (Some(uid), _) => Some(Scope::Cluster(uid.clone())),
            (None, Some(agent)) => Some(Scope::Host(agent.clone())),
            (None, None) => None,
        }
    }
}

impl Plan {
    /// Where it acts.
    pub fn scope(&self) -> Option<Scope> {
        match (&self.cluster_uid, &self.agent_id) {
            (Some(uid), _) => Some(Scope::Cluster(uid.clone())),
            (None, Some(agent)) => Some(Scope::Host(agent.clone())),
            (None, None) => None,
        }
    }
}
