//! The cause `node_pressure`: a node runs short of something, as its kubelet says by a condition (`DiskPressure`,
//! `MemoryPressure`, `PIDPressure`) or as it measured the file systems of the node and of its images.
//!
//! The kubelet helps itself: it removes images and evicts pods. A person hears of it because that destroys what pods had
//! on the node, and because it comes back. A node that is not ready is `node_not_ready`, and not this as well.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::near_full::{is_well, near_full};
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Filesystem, Inventory, MeasuredNode, Node, Object as _};

pub(super) struct NodePressure;

const NEEDS: &[ObjectKind] = &[ObjectKind::Node];

impl Cause for NodePressure {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "pressure"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |node: &Node| {
            let evidence = shortages(inventory.measured.node(&node.meta.name)?);
            let evidence: Vec<String> =
                evidence.into_iter().map(|short| format!("node {}: {short}", node.meta.name)).collect();
            let (scope, object) = (Scope::Cluster(cluster.to_owned()), node.object());
            (!evidence.is_empty()).then(|| Finding::new(IncidentKind::NodePressure, scope, object, evidence))
        };
        inventory
            .nodes
            .values()
            .filter(|node| node.is_ready() && !node.meta.deleting)
            .filter_map(finding)
            .collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let measured = s.inventory(scope).and_then(|inventory| inventory.measured.node(object.name()));
        measured.is_some_and(|measured| measured.is_fresh(now))
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: runs short of disk, memory or process ids", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        if inventory.nodes.get(incident.object.uid()).is_none() {
            return Some(format!("{} no longer exists", incident.object));
        }
        let measured = inventory.measured.node(incident.object.name())?;
        (measured.is_fresh(now) && has_room(measured))
            .then(|| format!("{} has room again, and none of its conditions says pressure", incident.object))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let measured = s.inventory(&incident.scope).and_then(|all| all.measured.node(incident.object.name()));
        match measured {
            Some(measured) if measured.is_fresh(s.now) && has_room(measured) => Agreement::Agrees,
            Some(_) | None => Agreement::Disagrees(format!(
                "{} still runs short of something, or was not measured lately",
                incident.object
            )),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a node runs short of disk, memory or process ids: its kubelet removes images and evicts pods by itself; look at what \
         takes the room (logs, emptyDir volumes, pods without limits) or give the node more; Nimbus evicts nothing for it"
    }
}

/// What the node runs short of, one sentence each; what is not known is none of it.
fn shortages(measured: &MeasuredNode) -> Vec<String> {
    let pressures = measured.pressures.iter().flatten();
    let mut short: Vec<String> = pressures
        .map(|pressure| {
            let why = if pressure.reason.is_empty() { "no reason given" } else { &pressure.reason };
            format!("its condition {} is True ({why})", pressure.condition)
        })
        .collect();
    let (own, images) = (&measured.node_filesystem, &measured.image_filesystem);
    short.extend(near_full(own).map(|full| format!("its file system: {full}")));
    // Where both are one and the same it is said once.
    if images != own {
        short.extend(near_full(images).map(|full| format!("the file system of its images: {full}")));
    }
    short
}

/// Is it known that there is room? The node's own condition says so where nobody may read the kubelet's figures, as with a
/// kubelet that signs its certificate itself: it turns True before a file system has a tenth left. Figures that are known
/// have to be well.
fn has_room(measured: &MeasuredNode) -> bool {
    let no_pressure = measured.pressures.as_ref().is_some_and(Vec::is_empty);
    let may_be_well = |of: &Filesystem| *of == Filesystem::default() || is_well(of).is_some();
    no_pressure && may_be_well(&measured.node_filesystem) && may_be_well(&measured.image_filesystem)
}
