//! The cause `rollout_stuck`: the newest revision of a Deployment did not become available within its progress
//! deadline.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Deployment, Inventory, Object as _, Rollout};

pub(super) struct RolloutStuck;

impl Cause for RolloutStuck {
    fn needs(&self) -> &'static [ObjectKind] {
        pods::NEEDS
    }

    fn depth(&self) -> u8 {
        4
    }

    fn key_word(&self) -> &'static str {
        "rollout"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let stuck = |d: &&Deployment| !d.meta.deleting && d.desired > 0 && d.rollout() == Rollout::Stuck;
        let finding = |d: &Deployment| {
            let reference = d.reference();
            let (scope, object) =
                (Scope::Cluster(cluster.to_owned()), ObjectRef::Kubernetes(reference.clone()));
            Finding {
                workload: Some(Workload::Deployment(reference)),
                ..Finding::new(IncidentKind::RolloutStuck, scope, object, evidence(d))
            }
        };
        inventory.deployments.values().filter(stuck).map(finding).collect()
    }

    fn is_due(&self, _: &Snapshot<'_>, _: &ObjectRef, _: &Scope, _: Timestamp) -> bool {
        true
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: the new revision does not become available", finding.subject())
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        pods::severity(finding, inventory)
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        pods::recovered(s, incident, now)
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        pods::agreement(s, incident)
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a rollout does not complete: look at its newest pods and events, or roll it back"
    }
}

fn evidence(d: &Deployment) -> Vec<String> {
    let mut evidence = vec![
        format!(
            "deployment {}/{}: revision {} is past its progress deadline ({})",
            d.meta.namespace, d.meta.name, d.revision, d.progressing_reason
        ),
        format!("{} of {} pods are of this revision, {} are available", d.updated, d.desired, d.available),
    ];
    if !d.progressing_message.is_empty() {
        evidence.push(d.progressing_message.clone());
    }
    evidence
}
