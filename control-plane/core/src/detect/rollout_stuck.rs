//! A Deployment whose newest revision did not become available within its progress deadline.

use super::Finding;
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::{Deployment, Inventory, Rollout};

pub(super) fn detect(cluster: &str, inventory: &Inventory, _: &Settings) -> Vec<Finding> {
    let stuck = |d: &&Deployment| !d.meta.deleting && d.desired > 0 && d.rollout() == Rollout::Stuck;
    let finding = |d: &Deployment| {
        let object = d.meta.object("Deployment");
        let mut evidence = vec![
            format!(
                "deployment {}/{}: revision {} is past its progress deadline ({})",
                d.meta.namespace, d.meta.name, d.revision, d.progressing_reason
            ),
            format!(
                "{} of {} pods are of this revision, {} are available",
                d.updated, d.desired, d.available
            ),
        ];
        if !d.progressing_message.is_empty() {
            evidence.push(d.progressing_message.clone());
        }
        Finding {
            owner: Some(object.clone()),
            ..Finding::of_cluster(IncidentKind::RolloutStuck, cluster, object, evidence)
        }
    };
    inventory.deployments.values().filter(stuck).map(finding).collect()
}
