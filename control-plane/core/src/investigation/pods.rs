//! The pods of an incident: its own one, those of its workload, and its symptoms.

use std::collections::BTreeSet;

use crate::model::{Incident, ObjectRef, Workload};
use crate::world::{Inventory, Pod};

/// All of them, each once, those that are not well first; what ended and what is on its way out is among them.
pub(super) fn of<'a>(incident: &'a Incident, inventory: &'a Inventory) -> Vec<&'a Pod> {
    let mut uids: BTreeSet<&str> = BTreeSet::from([incident.object.uid()]);
    uids.extend(incident.symptoms.iter().map(ObjectRef::uid));
    let mut found: Vec<&Pod> = uids.into_iter().filter_map(|uid| inventory.pods.get(uid)).collect();
    if let Some(workload) = &incident.workload {
        found.extend(inventory.pods_below(workload.uid()));
        found.extend(over(workload, inventory));
    }
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    found.dedup_by_key(|pod| pod.meta.uid.as_str());
    found
}

fn order(pod: &Pod) -> (u8, &str, &str, &str) {
    let rank = if pod.phase == "Succeeded" {
        3
    } else if pod.phase == "Failed" || (!pod.ready && !pod.meta.deleting) {
        0
    } else if pod.meta.deleting {
        1
    } else {
        2
    };
    (rank, pod.meta.namespace.as_str(), pod.meta.name.as_str(), pod.meta.uid.as_str())
}

/// The pods of a workload, of its ReplicaSets or of its runs that ended or are on their way out. What looks for pods that still have to
/// run does not show them, and of a run that failed there are no others.
fn over<'a>(workload: &'a Workload, inventory: &'a Inventory) -> impl Iterator<Item = &'a Pod> {
    let uid = workload.uid();
    let mut owners: BTreeSet<&str> = BTreeSet::from([uid]);
    owners.extend(inventory.replica_sets_of(uid).map(|set| set.meta.uid.as_str()));
    owners.extend(inventory.runs_of(uid).map(|run| run.meta.uid.as_str()));
    let all = inventory.pods_of_namespace(&workload.object().namespace);
    all.filter(move |pod| !pod.is_active() && owners.contains(pod.meta.owner_uid.as_str()))
}
