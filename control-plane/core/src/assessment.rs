//! The findings and storm figures of each cluster and host, computed again only where something changed.
//!
//! Holds findings and figures; what counts as a finding is decided by the causes.

use std::collections::BTreeMap;
use std::sync::Arc;

use nimbus_protocol::ids::AgentId;

use crate::model::{IncidentKind, ObjectRef, Scope, Workload};
use crate::settings::StormLimits;
use crate::world::{HostFacts, Inventory, Pod, World};

/// What one cause found at one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which cause.
    pub kind: IncidentKind,
    /// Where.
    pub scope: Scope,
    /// The object that shows it: a pod, Deployment, node or file.
    pub object: ObjectRef,
    /// The workload that it belongs to; `None` for a node or a file.
    pub workload: Option<Workload>,
    /// For a pod or node the node's name; empty otherwise.
    pub node: String,
    /// For a pod the container that shows it; empty otherwise.
    pub container: String,
    /// For a pod the restarts of that container.
    pub restarts: u32,
    /// What it is, for a title; empty where its kind says enough.
    pub what: String,
    /// What shows it, one sentence each.
    pub evidence: Vec<String>,
}

impl Finding {
    /// A finding on `object`, without workload, node or container.
    pub(crate) fn new(kind: IncidentKind, scope: Scope, object: ObjectRef, evidence: Vec<String>) -> Self {
        Self {
            kind,
            scope,
            object,
            workload: None,
            node: String::new(),
            container: String::new(),
            restarts: 0,
            what: String::new(),
            evidence,
        }
    }

    /// What it belongs to, for a title: its workload, otherwise the object itself.
    pub(crate) fn subject(&self) -> String {
        self.workload.as_ref().map_or_else(|| self.object.to_string(), ToString::to_string)
    }
}

/// A part of the world that causes look at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A cluster, by its UID.
    Cluster(&'a str, &'a Inventory),
    /// The host of an agent.
    Host(AgentId, &'a HostFacts),
}

/// What the causes see in one cluster, and the version of the cluster that this was made from.
#[derive(Debug, Clone)]
struct Assessed {
    version: u64,
    findings: Vec<Finding>,
    figures: Figures,
}

/// The findings of every cause in every cluster and on every host.
///
/// A pure function of the world and the settings; it keeps what it made of a cluster or host for as
/// long as that does not change. One value belongs to one [`World`] and one set of settings.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    clusters: BTreeMap<String, Arc<Assessed>>,
    /// Of the hosts where something is found.
    hosts: BTreeMap<AgentId, Vec<Finding>>,
    /// The turn of the hosts up to which they were looked at.
    hosts_seen: u64,
}

impl Assessment {
    /// Looks again, by way of `detect`, at every cluster and host that changed since the last time.
    pub(crate) fn refresh(&mut self, world: &World, detect: impl Fn(Place<'_>) -> Vec<Finding>) {
        self.clusters.retain(|uid, _| world.clusters.contains_key(uid));
        for (uid, inventory) in &world.clusters {
            let version = inventory.version();
            if self.clusters.get(uid).is_none_or(|known| known.version != version) {
                let place = Place::Cluster(uid, inventory);
                let figures = Figures::of(inventory);
                self.clusters
                    .insert(uid.clone(), Arc::new(Assessed { version, findings: detect(place), figures }));
            }
        }
        // There may be many thousand hosts, and each decision asks: none is looked at that did not change.
        self.hosts.retain(|agent, _| world.hosts.contains_key(agent));
        for (agent, facts) in world.hosts.changed_since(self.hosts_seen) {
            let findings = detect(Place::Host(agent, facts));
            if findings.is_empty() {
                self.hosts.remove(&agent);
            } else {
                self.hosts.insert(agent, findings);
            }
        }
        self.hosts_seen = world.hosts.turn();
    }

    /// Every finding, in a stable order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let of_clusters = self.clusters.values().flat_map(|assessed| &assessed.findings);
        of_clusters.chain(self.hosts.values().flatten())
    }

    /// How many pods and nodes of a cluster are unwell; `None` where nothing is known of it.
    pub(crate) fn figures(&self, cluster_uid: &str) -> Option<Figures> {
        self.clusters.get(cluster_uid).map(|assessed| assessed.figures)
    }
}

/// How many pods and nodes of a cluster are unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pods: u64,
    unhealthy: u64,
    nodes: u64,
    not_ready: u64,
}

impl Figures {
    /// Of a cluster.
    fn of(inventory: &Inventory) -> Self {
        let ready = inventory.readiness();
        let lost = |pod: &Pod| !pod.ready && ready.get(pod.node.as_str()) == Some(&false);
        let unhealthy = |pod: &&Pod| pod.is_active() && (pod.is_unhealthy() || lost(pod));
        Self {
            pods: inventory.active_pods(),
            unhealthy: inventory.possibly_unhealthy_pods().filter(unhealthy).count() as u64,
            nodes: inventory.nodes.len() as u64,
            not_ready: inventory.nodes.values().filter(|node| !node.is_ready()).count() as u64,
        }
    }

    /// The limits (divided by `divisor`) that are reached, each with its figure.
    pub(crate) fn over(&self, incidents: u64, limits: &StormLimits, divisor: u64) -> Vec<String> {
        let mut over = Vec::new();
        let share = |part: u64, whole: u64, percent: u32, least: u32| {
            whole >= u64::from(least).max(1) && part * 100 * divisor >= whole * u64::from(percent)
        };
        if share(self.unhealthy, self.pods, limits.pod_percent, limits.min_pods) {
            let percent = self.unhealthy * 100 / self.pods.max(1);
            over.push(format!(
                "{} of {} pods unhealthy ({percent} %, limit {} %)",
                self.unhealthy, self.pods, limits.pod_percent
            ));
        }
        if share(self.not_ready, self.nodes, limits.node_percent, limits.min_nodes) {
            let percent = self.not_ready * 100 / self.nodes.max(1);
            over.push(format!(
                "{} of {} nodes not ready ({percent} %, limit {} %)",
                self.not_ready, self.nodes, limits.node_percent
            ));
        }
        if self.nodes > 1 && self.not_ready == self.nodes {
            over.push(format!(
                "all {} nodes are not ready at once: that is the network or the API server, not the nodes",
                self.nodes
            ));
        }
        if incidents * divisor >= u64::from(limits.incidents) {
            over.push(format!(
                "{} incidents within {} s (limit {})",
                incidents, limits.window_s, limits.incidents
            ));
        }
        over
    }

    /// The figures, for people.
    pub(crate) fn describe(&self, incidents: u64) -> String {
        format!(
            "{} of {} pods unhealthy, {} of {} nodes not ready, {} recent incidents",
            self.unhealthy, self.pods, self.not_ready, self.nodes, incidents
        )
    }
}
