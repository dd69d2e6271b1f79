//! The data that several views need, read together: the open documents, the connected agents, and how well each cluster
//! is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use nimbus_control_core::Snapshot;
use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_control_core::model::{Agent, Incident, IncidentState, Scope};
use nimbus_control_core::remediation::{self, Pace};
use nimbus_control_core::world::{Inventory, Node};
use nimbus_protocol::ObjectKind;
use nimbus_protocol::ids::AgentId;

use crate::app::App;
use crate::documents::Docs;
use crate::rest::error::ApiError;

/// The kinds of which [`Counts`] says anything.
const COUNTED: [ObjectKind; 3] = [ObjectKind::Pod, ObjectKind::Deployment, ObjectKind::Node];

/// Objects of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub nodes: u32,
    pub nodes_ready: u32,
    pub pods: u32,
    pub pods_ready: u32,
    pub deployments: u32,
}

/// How well one cluster is known.
#[derive(Debug, Clone)]
pub struct ClusterOverview {
    /// Its objects, or why they are unknown.
    pub counts: Result<Counts, String>,
    /// The agent that acts there, or why there is none.
    pub actor: Result<Agent, String>,
}

/// The fleet at one moment.
pub struct Fleet {
    /// The open documents.
    pub docs: Arc<Docs>,
    /// Agents with a session.
    pub connected: ConnectedAgents,
    overviews: BTreeMap<String, ClusterOverview>,
    paces: BTreeMap<AgentId, Pace>,
    transports: BTreeMap<AgentId, &'static str>,
}

impl Fleet {
    /// Reads it.
    pub async fn read(app: &App) -> Result<Self, ApiError> {
        let docs = app.docs().await?;
        let connected = app.sessions.connected();
        let (overviews, paces) = app.with_snapshot_as(&docs, &connected, |s| {
            let uids = docs.clusters.iter().map(|cluster| &cluster.doc.uid);
            let overviews = uids.map(|uid| (uid.clone(), overview(s, uid))).collect();
            (overviews, remediation::paces(s, app.now()))
        });
        let transports = app.sessions.transports();
        Ok(Self { docs, connected, overviews, paces, transports })
    }

    /// How many jobs an agent takes.
    pub fn pace(&self, agent: &Agent) -> nimbus_api::Pace {
        let pace = self.paces.get(&agent.id).copied().unwrap_or_default();
        nimbus_api::Pace {
            jobs_per_hour: pace.jobs_per_hour,
            jobs_left: pace.left,
            at_once: pace.at_once,
            job_seconds: pace.file_ms.div_ceil(1_000),
        }
    }

    /// On which way an agent is connected. That a proxy is between, only the agent knows.
    pub fn transport(&self, agent: &Agent) -> Option<String> {
        let word = *self.transports.get(&agent.id).filter(|_| self.connected.contains(&agent.id))?;
        let through_proxy = agent.transport == "tcp through proxy" && word == "tcp";
        Some(if through_proxy { agent.transport.clone() } else { word.to_owned() })
    }

    /// How well a cluster is known.
    pub fn overview(&self, uid: &str) -> ClusterOverview {
        self.overviews.get(uid).cloned().unwrap_or_else(|| {
            let why = || format!("unknown: no agent has reported cluster {uid} yet");
            ClusterOverview { counts: Err(why()), actor: Err(why()) }
        })
    }

    /// The name of a cluster; its UID where it has none.
    pub fn cluster_name(&self, uid: &str) -> String {
        let found = self.docs.clusters.iter().find(|cluster| cluster.doc.uid == uid);
        found.map_or_else(|| uid.to_owned(), |cluster| cluster.doc.name.clone())
    }

    /// The incidents of a cluster that are neither resolved nor silenced.
    pub fn unsilenced_incidents<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Incident> {
        let incidents = self.docs.incidents.iter().map(|incident| &incident.doc);
        incidents.filter(move |incident| {
            incident.scope.cluster_uid() == Some(uid) && incident.state != IncidentState::Silenced
        })
    }
}

fn overview(snapshot: &Snapshot<'_>, uid: &str) -> ClusterOverview {
    let scope = Scope::Cluster(uid.to_owned());
    let inventory = snapshot.inventory(&scope);
    ClusterOverview {
        counts: snapshot.known(&scope, &COUNTED).map(|()| inventory.map(count).unwrap_or_default()),
        actor: snapshot.actor(&scope).cloned(),
    }
}

/// Pods that ran to their end are left out: they are neither ready nor wanted.
fn count(inventory: &Inventory) -> Counts {
    let pods = inventory.pods.values().filter(|pod| pod.phase != "Succeeded");
    let (pods, pods_ready) = count_ready(pods.map(|pod| pod.ready));
    let (nodes, nodes_ready) = count_ready(inventory.nodes.values().map(Node::is_ready));
    Counts { nodes, nodes_ready, pods, pods_ready, deployments: number(inventory.deployments.len()) }
}

fn count_ready(ready: impl Iterator<Item = bool>) -> (u32, u32) {
    ready.fold((0, 0), |(all, good), ready| (all + 1, good + u32::from(ready)))
}

/// A count as it is shown; the bounds of what is kept are far below four billion.
pub fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
