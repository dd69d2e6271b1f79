//! What the detectors of pods share: which pods they look at and how a finding on one names its owner.

use super::Finding;
use crate::model::{IncidentKind, ObjectRef};
use crate::world::{Container, Inventory, Pod};

/// One finding for each pod with a container that `shows` the trouble, put in words by `say`. Pods on their way
/// out are left alone; of several such containers the one with most restarts speaks.
pub(super) fn findings(
    kind: IncidentKind,
    cluster: &str,
    inventory: &Inventory,
    shows: impl Fn(&Container) -> bool,
    say: impl Fn(&Container) -> Vec<String>,
) -> Vec<Finding> {
    let worst = |pod: &Pod| {
        let failing = pod.containers.iter().filter(|c| shows(c));
        failing.max_by_key(|c| (c.restarts, std::cmp::Reverse(c.name.clone()))).cloned()
    };
    let mut found = Vec::new();
    for pod in inventory.pods.values().filter(|pod| !pod.meta.deleting) {
        let Some(container) = worst(pod) else { continue };
        let place = if pod.node.is_empty() { "no node yet" } else { &pod.node };
        let mut evidence = say(&container);
        if let Some(first) = evidence.first_mut() {
            *first = format!("pod {}/{} on {place}: {first}", pod.meta.namespace, pod.meta.name);
        }
        found.push(Finding {
            owner: owner(inventory, pod),
            replica_set: inventory.replica_set_of(pod).map(|set| set.meta.uid.clone()).unwrap_or_default(),
            node: pod.node.clone(),
            container: container.name,
            restarts: container.restarts,
            ..Finding::of_cluster(kind, cluster, pod.meta.object("Pod"), evidence)
        });
    }
    found
}

/// The workload behind a pod: its Deployment, otherwise whatever controls it.
fn owner(inventory: &Inventory, pod: &Pod) -> Option<ObjectRef> {
    if let Some((_, deployment)) = inventory.owners_of(pod) {
        return Some(deployment.meta.object("Deployment"));
    }
    let meta = &pod.meta;
    (!meta.owner_uid.is_empty()).then(|| ObjectRef {
        kind: meta.owner_kind.clone(),
        namespace: meta.namespace.clone(),
        name: meta.owner_name.clone(),
        uid: meta.owner_uid.clone(),
    })
}
