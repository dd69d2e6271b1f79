//! The cause `node_not_ready`: a node's Ready condition is False or Unknown.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::{Settings, later, millis};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, Object as _};

pub(super) struct NodeNotReady;

const NEEDS: &[ObjectKind] = &[ObjectKind::Node];

impl Cause for NodeNotReady {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        5
    }

    fn key_word(&self) -> &'static str {
        "node"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |node: &Node| {
            let why = if node.ready_reason.is_empty() { "no reason given" } else { &node.ready_reason };
            let condition = if node.ready.is_empty() { "missing" } else { &node.ready };
            let evidence =
                vec![format!("node {}: its Ready condition is {condition} ({why})", node.meta.name)];
            let (scope, object) = (Scope::Cluster(cluster.to_owned()), node.object());
            Finding {
                node: node.meta.name.clone(),
                ..Finding::new(IncidentKind::NodeNotReady, scope, object, evidence)
            }
        };
        inventory.nodes.values().filter(|n| !n.is_ready() && !n.meta.deleting).map(finding).collect()
    }

    /// Where every node is lost at once it is the network or the API server, and a storm says so.
    fn is_due(&self, s: &Snapshot<'_>, _: &ObjectRef, scope: &Scope, _: Timestamp) -> bool {
        !s.inventory(scope).is_some_and(Inventory::lost_every_node)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: not ready", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Critical
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let Some(node) = s.inventory(&incident.scope)?.nodes.get(incident.object.uid()) else {
            return Some(format!("{} no longer exists", incident.object));
        };
        let since = node.ready_since?;
        let steady = pods::steady(millis(s.settings.node_steady_ms), incident);
        let settled = node.is_ready() && later(since, steady) <= now;
        let back = match incident.returns {
            0 => String::new(),
            1 => ", after it was lost again once".to_owned(),
            times => format!(", after it was lost again {times} times"),
        };
        settled.then(|| format!("{} has been ready since {since:.0}{back}", incident.object))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let node = s.inventory(&incident.scope).and_then(|i| i.nodes.get(incident.object.uid()));
        match node {
            Some(node) if node.is_ready() => Agreement::Agrees,
            Some(node) => Agreement::Disagrees(format!("{} is not ready ({})", incident.object, node.ready)),
            None => Agreement::Disagrees(format!("{} no longer exists", incident.object)),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a node is not ready: look at its kubelet, disk, memory and network; Nimbus leaves its pods alone, they suffer \
         from the node"
    }
}
