//! Nodes as lists and their own page show them: whether each is ready as far as anybody watches it, and what is on it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_api as api;
use nimbus_control_core::model::{Cluster, Incident};
use nimbus_control_core::world::{Inventory, Node, Pod, Taint};
use nimbus_protocol::ObjectKind;

use super::node::of_node;
use super::{Fleet, agents_of, incident, number};

/// The nodes of a cluster, by name.
pub fn nodes_of(cluster: &Cluster, inventory: &Inventory, fleet: &Fleet, now: Timestamp) -> Vec<api::Node> {
    let on = Occupied::of(cluster, inventory, fleet);
    let mut nodes: Vec<&Node> = inventory.nodes.values().collect();
    nodes.sort_by(|a, b| (&a.meta.name, &a.meta.uid).cmp(&(&b.meta.name, &b.meta.uid)));
    nodes.into_iter().map(|node| on.node(node, now)).collect()
}

/// One node by its name, with what is on it.
pub fn node_detail(
    cluster: &Cluster,
    inventory: &Inventory,
    name: &str,
    fleet: &Fleet,
    now: Timestamp,
) -> Option<api::NodeDetail> {
    let node = inventory.nodes.values().find(|node| node.meta.name == name)?;
    let on = Occupied::of(cluster, inventory, fleet);
    let facts = node.facts.as_ref();
    let mut incidents: Vec<&Incident> = on.incidents.get(name).into_iter().flatten().copied().collect();
    incidents.sort_by_key(|incident| std::cmp::Reverse((incident.created_at, incident.id)));
    let mut pods: Vec<api::NodePod> = on.pods.get(name).into_iter().flatten().map(|pod| shown(pod)).collect();
    pods.sort_by(|a, b| (a.ready, &a.namespace, &a.name).cmp(&(b.ready, &b.namespace, &b.name)));
    let pods_left_out = number(pods.len().saturating_sub(api::SHOWN_PODS));
    pods.truncate(api::SHOWN_PODS);
    let mut agents = agents_of(&cluster.uid, fleet);
    agents.retain(|agent| agent.node == name);
    Some(api::NodeDetail {
        node: on.node(node, now),
        taints: facts.map(|facts| facts.taints.iter().map(taint).collect()),
        marks: facts.map(|facts| facts.marks.clone()).unwrap_or_default(),
        held_until: facts.and_then(|facts| facts.held_until),
        cpu_milli: facts.map(|facts| facts.cpu_milli),
        memory_bytes: facts.map(|facts| facts.memory_bytes),
        most_pods: facts.map(|facts| facts.pods),
        agents,
        incidents: incidents.into_iter().map(incident).collect(),
        pods_on_it: pods,
        pods_left_out,
    })
}

/// What is on the nodes of one cluster.
struct Occupied<'a> {
    cluster: &'a Cluster,
    inventory: &'a Inventory,
    /// Why nothing is known of now; `None` while an agent watches.
    unknown: Option<String>,
    pods: BTreeMap<&'a str, Vec<&'a Pod>>,
    incidents: BTreeMap<&'a str, Vec<&'a Incident>>,
}

impl<'a> Occupied<'a> {
    fn of(cluster: &'a Cluster, inventory: &'a Inventory, fleet: &'a Fleet) -> Self {
        let mut pods: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        let mut node_of: BTreeMap<&str, &str> = BTreeMap::new();
        for pod in inventory.pods.values().filter(|pod| !pod.node.is_empty()) {
            node_of.insert(&pod.meta.uid, &pod.node);
            // One that ran to its end is neither ready nor wanted.
            if pod.phase != "Succeeded" {
                pods.entry(&pod.node).or_default().push(pod);
            }
        }
        node_of
            .extend(inventory.nodes.values().map(|node| (node.meta.uid.as_str(), node.meta.name.as_str())));
        let mut incidents: BTreeMap<&str, Vec<&Incident>> = BTreeMap::new();
        let here = fleet.docs.incidents.iter().map(|incident| &incident.doc);
        for incident in here.filter(|incident| incident.scope.cluster_uid() == Some(&cluster.uid)) {
            let about = std::iter::once(&incident.object).chain(&incident.symptoms);
            let on: BTreeSet<&str> = about.filter_map(|object| node_of.get(object.uid()).copied()).collect();
            for node in on {
                incidents.entry(node).or_default().push(incident);
            }
        }
        let unknown = fleet.overview(&cluster.uid).counts.err();
        Self { cluster, inventory, unknown, pods, incidents }
    }

    fn node(&self, node: &Node, now: Timestamp) -> api::Node {
        let name = node.meta.name.as_str();
        let (state, reason) = match &self.unknown {
            Some(why) => ("unknown", why.clone()),
            None if node.is_ready() => ("ready", String::new()),
            None => ("not_ready", why_not(node)),
        };
        let pods = self.pods.get(name).map(Vec::as_slice).unwrap_or_default();
        let every_pod = self.inventory.has_every(ObjectKind::Pod);
        let count = |number_of: usize| every_pod.then(|| number(number_of));
        api::Node {
            id: node.meta.uid.clone(),
            created_at: node.meta.created_at.unwrap_or(Timestamp::UNIX_EPOCH),
            name: name.to_owned(),
            cluster: self.cluster.name.clone(),
            cluster_uid: self.cluster.uid.clone(),
            kind: "node".to_owned(),
            state: state.to_owned(),
            reason,
            since: node.ready_since,
            cordoned: node.unschedulable,
            held_by: node.held_for().map(ToOwned::to_owned),
            control_plane: node.control_plane,
            pods: count(pods.len()),
            pods_ready: count(pods.iter().filter(|pod| pod.ready).count()),
            open_incidents: number(self.incidents.get(name).map_or(0, Vec::len)),
            figures: of_node(name, self.inventory.measured.node(name), now),
        }
    }
}

/// Its Ready condition in words: `False: KubeletNotReady`.
fn why_not(node: &Node) -> String {
    let condition = if node.ready.is_empty() { "no Ready condition" } else { node.ready.as_str() };
    if node.ready_reason.is_empty() {
        condition.to_owned()
    } else {
        format!("{condition}: {}", node.ready_reason)
    }
}

fn taint(taint: &Taint) -> String {
    let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
    format!("{}{value}:{}", taint.key, taint.effect)
}

fn shown(pod: &Pod) -> api::NodePod {
    let waits = pod.containers.iter().find(|container| container.state != "running");
    let owner = (!pod.meta.owner_kind.is_empty()).then(|| api::ObjectRef {
        kind: pod.meta.owner_kind.clone(),
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.owner_name.clone(),
        uid: pod.meta.owner_uid.clone(),
    });
    api::NodePod {
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
        phase: pod.phase.clone(),
        ready: pod.ready,
        restarts: pod.containers.iter().fold(0, |all, container| all.saturating_add(container.restarts)),
        reason: waits.map(|container| container.reason.clone()).unwrap_or_default(),
        owner,
    }
}
