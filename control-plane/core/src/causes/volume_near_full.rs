//! The cause `volume_near_full`: the volume of a PersistentVolumeClaim is nearly full, as a kubelet measured it.
//!
//! A volume that is a part of its node's own file system shows that one's figures: then it is the node that is near full
//! (`node_pressure`), once, and not each of its claims. What was not measured lately says nothing, also not that it is over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::near_full::{is_well, near_full};
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, PersistentVolumeClaim};

pub(super) struct VolumeNearFull;

const NEEDS: &[ObjectKind] = &[ObjectKind::PersistentVolumeClaim];

impl Cause for VolumeNearFull {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "volume"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let mut found = BTreeMap::new();
        for (node, measured) in inventory.measured.iter() {
            for volume in &measured.volumes {
                let Some(full) = near_full(&volume.filesystem) else { continue };
                // A claim that is not in the inventory is gone, or not seen yet: the next figures tell.
                let claim = inventory.claim(&volume.namespace, &volume.claim);
                let Some(claim) = claim.filter(|claim| volume.tells_of(claim, measured.at)) else { continue };
                let when = match measured.fill_pace(volume) {
                    Some((span, left)) => {
                        format!("; at the pace of the last {span:#} it is full in {left:#}")
                    }
                    None => String::new(),
                };
                let evidence = format!(
                    "claim {}/{}: {full}, as the kubelet of node {node} measured it for pod {}{when}",
                    volume.namespace, volume.claim, volume.pod
                );
                let finding = found.entry(claim.meta.uid.clone()).or_insert_with(|| {
                    let (scope, object) = (Scope::Cluster(cluster.to_owned()), claim.object());
                    Finding::new(IncidentKind::VolumeNearFull, scope, object, Vec::new())
                });
                finding.evidence.push(evidence);
            }
        }
        found.into_values().collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let Some(inventory) = s.inventory(scope) else { return false };
        let Some(claim) = inventory.persistent_volume_claims.get(object.uid()) else { return false };
        let mut seen = inventory.measured.of_claim(object.namespace(), object.name());
        seen.any(|(_, node, volume)| {
            node.is_fresh(now) && volume.tells_of(claim, node.at) && near_full(&volume.filesystem).is_some()
        })
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: its volume is nearly full", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        let Some(claim) = inventory.persistent_volume_claims.get(incident.object.uid()) else {
            return Some(format!("{} no longer exists", incident.object));
        };
        if is_not_measured(claim) {
            return Some(format!(
                "{} is a raw device or only read: nothing fills it that is measured",
                claim.object()
            ));
        }
        let room = room(inventory, claim, now)?;
        Some(format!("the volume of {} has room again: {room}", incident.object))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let inventory = s.inventory(&incident.scope);
        let claim = inventory.and_then(|all| all.persistent_volume_claims.get(incident.object.uid()));
        let is_well =
            |claim| is_not_measured(claim) || inventory.is_some_and(|all| room(all, claim, s.now).is_some());
        match claim.filter(|claim| is_well(claim)) {
            Some(_) => Agreement::Agrees,
            None => Agreement::Disagrees(format!(
                "the volume of {} is nearly full, or was not measured lately",
                incident.object
            )),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "the volume of a claim is nearly full: remove what its pod can do without, or raise spec.resources.requests.storage of \
         the claim where its storage class allows expansion; Nimbus deletes no data, and a restart would free nothing"
    }
}

/// Does nothing that is measured fill it?
fn is_not_measured(claim: &PersistentVolumeClaim) -> bool {
    claim.volume_mode == "Block" || claim.is_only_read()
}

/// How full the volume of a claim is, where every fresh figure says that it has room, and there is one.
fn room(inventory: &Inventory, claim: &PersistentVolumeClaim, now: Timestamp) -> Option<String> {
    let seen = inventory.measured.of_claim(&claim.meta.namespace, &claim.meta.name);
    let mut fresh =
        seen.filter(|(_, node, volume)| node.is_fresh(now) && volume.tells_of(claim, node.at)).peekable();
    fresh.peek()?;
    let all: Option<Vec<String>> = fresh.map(|(_, _, volume)| is_well(&volume.filesystem)).collect();
    all?.pop()
}
