//! The snapshot that decisions are made from: one immutable value that borrows the world and the open documents.
//!
//! The server reads the documents with their versions, borrows the world, and hands this over. It also answers
//! the question that comes before every decision: is this part of the world known well enough?

mod facts;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::ids::{AgentId, ApprovalId, IncidentId, JobId, PlanId};

use crate::assessment::Assessment;
use crate::calendar::{Calendar, Held};
use crate::connected_agents::ConnectedAgents;
use crate::model::{
    ActionKind, Agent, Agents, Approval, Cluster, Incident, Job, Mode, Passed, Pause, Plan, Scope, Versioned,
};
use crate::quorum;
use crate::rulebook::Book;
use crate::settings::Settings;
use crate::world::{Inventory, World};

/// Everything that a decision may depend on.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The moment of the decision.
    pub now: Timestamp,
    /// What is known of clusters and hosts.
    pub world: &'a World,
    /// What is wrong in that world, as the causes see it.
    pub assessment: &'a Assessment,
    /// All agents.
    pub agents: &'a Agents,
    /// All clusters.
    pub clusters: &'a [Versioned<Cluster>],
    /// All pauses.
    pub pauses: &'a [Versioned<Pause>],
    /// The rules that people set.
    pub rules: &'a Book,
    /// The incidents that are not resolved.
    pub incidents: &'a [Versioned<Incident>],
    /// Their plans.
    pub plans: &'a [Versioned<Plan>],
    /// Their approvals.
    pub approvals: &'a [Versioned<Approval>],
    /// Jobs that are not final, and those that finished since [`Settings::jobs_since`].
    pub jobs: &'a [Versioned<Job>],
    /// Jobs that this very decision has made and that are not stored yet: they count against every cap.
    pub unstored_jobs: &'a [Versioned<Job>],
    /// Agents with a live session, whose observations have all arrived.
    pub connected: &'a ConnectedAgents,
    /// The figures.
    pub settings: &'a Settings,
}

impl<'a> Snapshot<'a> {
    /// An incident.
    pub fn incident(&self, id: IncidentId) -> Option<&'a Versioned<Incident>> {
        self.incidents.iter().find(|i| i.doc.id == id)
    }

    /// A plan.
    pub fn plan(&self, id: PlanId) -> Option<&'a Plan> {
        self.plans.iter().map(|p| &p.doc).find(|p| p.id == id)
    }

    /// An approval.
    pub fn approval(&self, id: ApprovalId) -> Option<&'a Versioned<Approval>> {
        self.approvals.iter().find(|a| a.doc.id == id)
    }

    /// A stored job.
    pub fn job(&self, id: JobId) -> Option<&'a Versioned<Job>> {
        self.jobs.iter().find(|j| j.doc.id == id)
    }

    /// Every job, also those that this decision has made.
    pub fn all_jobs(&self) -> impl Iterator<Item = &'a Job> + use<'a> {
        self.jobs.iter().chain(self.unstored_jobs).map(|j| &j.doc)
    }

    /// Jobs that are not final.
    pub fn in_flight(&self) -> impl Iterator<Item = &'a Job> + use<'a> {
        self.all_jobs().filter(|j| !j.state.is_final())
    }

    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&'a Agent> {
        self.agents.get(id).map(|agent| &agent.doc)
    }

    /// A cluster.
    pub fn cluster(&self, uid: &str) -> Option<&'a Cluster> {
        self.clusters.iter().map(|c| &c.doc).find(|c| c.uid == uid)
    }

    /// The pause that holds in a scope: the fleet's, or that of its cluster, to which also belongs what an agent of it watches on
    /// its host.
    pub fn paused(&self, scope: &Scope) -> Option<&'a Pause> {
        let agent = scope.host().and_then(|id| self.agent(id));
        self.pauses.iter().map(|pause| &pause.doc).find(|pause| pause.covers(scope, agent))
    }

    /// Is it a cluster of whose state nothing is to be made?
    pub fn is_off(&self, scope: &Scope) -> bool {
        let cluster = scope.cluster_uid().and_then(|uid| self.cluster(uid));
        cluster.is_some_and(|cluster| match cluster.mode {
            Mode::Off => true,
            Mode::Observe | Mode::Recommend | Mode::Act => false,
        })
    }

    /// What is known of the cluster of a scope; `None` on a host, and where nothing was reported.
    pub fn inventory(&self, scope: &Scope) -> Option<&'a Inventory> {
        self.world.clusters.get(scope.cluster_uid()?)
    }

    /// Whose words an action for this incident needs, by the settings; empty: one person's at most.
    pub(crate) fn needs(&self, action: Option<ActionKind>, incident: &Incident) -> Vec<Vec<String>> {
        if self.settings.quorum.is_empty() {
            return Vec::new();
        }
        let places = self.places(incident);
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        quorum::needs(&self.settings.quorum, action, &places)
    }

    /// What of the settings' windows and blackouts holds back now what would be begun by this action for an incident, but for what a
    /// broken glass has `passed` by.
    pub fn held_by_calendar(
        &self,
        action: Option<ActionKind>,
        incident: &Incident,
        passed: &[Passed],
    ) -> Option<Held> {
        if !self.settings.has_calendar() {
            return None;
        }
        let calendar = Calendar::at(self.settings, self.now);
        self.in_calendar(incident, |places| calendar.held(action, places, passed))
    }

    /// What is so in the place of an incident, whose names and ids are handed over.
    pub(crate) fn in_calendar<R>(&self, incident: &Incident, look: impl FnOnce(&[&str]) -> R) -> R {
        let places = self.places(incident);
        look(&places.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Every name and id by which the settings can mean the place of an incident.
    pub(crate) fn places(&self, incident: &Incident) -> Vec<String> {
        let mut places = vec![incident.cluster.clone(), self.name_of(&incident.scope)];
        match &incident.scope {
            Scope::Cluster(uid) => places.push(uid.clone()),
            Scope::Host(id) => {
                places.push(id.to_string());
                let agent = self.agent(*id);
                // The files of a cluster's node are that cluster's, too.
                if let Some(uid) = agent.and_then(|it| it.bound_cluster.as_ref().or(it.cluster_uid.as_ref()))
                {
                    places.push(uid.clone());
                    places.extend(self.cluster(uid).map(|cluster| cluster.name.clone()));
                }
            }
        }
        places
    }

    /// The name that an operator knows a cluster or host by.
    pub fn name_of(&self, scope: &Scope) -> String {
        match scope {
            Scope::Cluster(uid) => self.cluster(uid).map_or_else(|| uid.clone(), |c| c.name.clone()),
            Scope::Host(id) => self.agent(*id).map_or_else(|| id.to_string(), |a| a.name.clone()),
        }
    }

    /// Is this part of the world known well enough to conclude anything that depends on objects of `kinds`? If not,
    /// why.
    ///
    /// Missing data reads unknown, never healthy: nothing is opened, resolved, planned or dispatched from it. An agent
    /// that does not list one kind leaves unknown what needs that kind, and nothing else.
    pub fn known(&self, scope: &Scope, kinds: &[ObjectKind]) -> Result<(), String> {
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
            Scope::Cluster(uid) => self.cluster_known(uid, &self.name_of(scope), kinds),
        }
    }

    fn cluster_known(&self, uid: &str, name: &str, kinds: &[ObjectKind]) -> Result<(), String> {
        let none = || {
            let is_bound = |agent: &&Agent| agent.bound_cluster.as_deref() == Some(uid);
            let mut of_it = self.agents.iter().map(|agent| &agent.doc).filter(is_bound).peekable();
            if of_it.peek().is_some() && of_it.all(|agent| agent.revoked_at.is_some()) {
                return format!(
                    "unknown: every agent of cluster {name} is revoked or gone; install one again, or forget the cluster with \
                     `nimbus clusters remove {name}`"
                );
            }
            format!("unknown: no agent has reported cluster {name} yet")
        };
        let inventory = self.world.clusters.get(uid).ok_or_else(none)?;
        let leader = inventory.leader.ok_or_else(none)?;
        if !self.connected.contains(&leader) {
            let agent = self.name_of(&Scope::Host(leader));
            return Err(format!("unknown: agent {agent}, which watches cluster {name}, is not connected"));
        }
        // It may have turned to another cluster, or to none, lost its lease with nobody to take over, or lead again under a
        // new lease and have listed nothing since.
        let leads = |agent: &Agent| {
            agent.leading
                && agent.cluster_uid.as_deref() == Some(uid)
                && agent.lease_term == inventory.lease_term
        };
        if !self.agent(leader).is_some_and(leads) {
            return Err(format!(
                "unknown: no connected agent leads cluster {name}; what was reported of it is old"
            ));
        }
        let unlisted: Vec<&str> =
            kinds.iter().filter(|kind| !inventory.is_listed(**kind)).map(|kind| kind.as_str()).collect();
        if !unlisted.is_empty() {
            return Err(format!(
                "unknown: the full listing of cluster {name} has not ended ({} missing)",
                unlisted.join(", ")
            ));
        }
        match kinds.iter().find(|kind| inventory.not_kept(**kind) > 0) {
            None => Ok(()),
            Some(kind) => {
                let most = crate::world::MAX_OBJECTS;
                Err(format!("unknown: cluster {name} has more than {most} objects of kind {kind}"))
            }
        }
    }

    /// The agent that acts in a cluster: connected, leading, of the highest lease term; its own agent for a host.
    pub fn actor(&self, scope: &Scope) -> Result<&'a Agent, String> {
        let name = self.name_of(scope);
        match scope {
            Scope::Host(id) => self
                .agent(*id)
                .filter(|a| a.revoked_at.is_none() && self.connected.contains(id))
                .ok_or_else(|| format!("agent {name} is not connected")),
            Scope::Cluster(uid) => self
                .agents
                .bound_to(uid)
                .map(|a| &a.doc)
                .filter(|a| a.leading && a.revoked_at.is_none() && a.cluster_uid.as_ref() == Some(uid))
                .filter(|a| self.connected.contains(&a.id))
                .max_by_key(|a| (a.lease_term, a.created_at, a.id))
                .ok_or_else(|| format!("no connected agent leads cluster {name}")),
        }
    }
}
