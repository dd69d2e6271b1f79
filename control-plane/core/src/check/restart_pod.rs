//! The independent check of `restart_pod` plans: the pod must still crash-loop, and closing its node must be safe.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

impl ActionRules for v1::RestartPod {
    fn authority(&self) -> Authority {
        Authority::Rule
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        match self.owner_kind.as_str() {
            "StatefulSet" => &[ObjectKind::Pod, ObjectKind::StatefulSet, ObjectKind::Node],
            _ => &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node],
        }
    }

    fn node(&self) -> Option<&str> {
        Some(&self.node)
    }

    fn cordons(&self) -> bool {
        self.avoid_node
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(inventory) = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default())
        else {
            return require(found, 3, false, || format!("nothing is known of cluster {}", plan.scope));
        };
        let (Some(pod), Some(owner)) = (&self.pod, &self.owner) else {
            return require(found, 3, false, || "the order names no pod or no owner".to_owned());
        };
        check(self, found, inventory, pod, owner);
    }

    /// Invariant 3, the condition itself: at the moment of going out the container waits in its back-off.
    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let uid = self.pod.as_ref().map_or("", |pod| pod.uid.as_str());
        let pod = inventory.and_then(|inventory| inventory.pods.get(uid));
        let waits = pod.is_some_and(|pod| {
            pod.containers
                .iter()
                .any(|c| c.name == self.container && c.state == "waiting" && c.reason == "CrashLoopBackOff")
        });
        require(found, 3, waits, || {
            format!("container {} does not wait in CrashLoopBackOff right now", self.container)
        });
    }
}

fn check(
    order: &v1::RestartPod,
    found: &mut Violations,
    inventory: &Inventory,
    pod: &v1::Target,
    owner: &v1::Target,
) {
    let (node, container) = (&order.node, &order.container);
    let Some(now) = inventory.pods.get(&pod.uid) else {
        require(found, 3, false, || format!("pod {} ({}) no longer exists", pod.name, pod.uid));
        return;
    };
    let same = now.meta.name == pod.name && now.meta.namespace == pod.namespace && !now.meta.deleting;
    require(found, 3, same, || format!("pod {} is being deleted or is another one", pod.name));
    require(found, 3, &now.node == node, || format!("pod on {node} expected, found on {}", now.node));
    require(found, 3, !now.ready, || format!("pod {} is ready", pod.name));
    let restarts = now.containers.iter().find(|c| &c.name == container).map(|c| c.restarts);
    require(found, 3, restarts.is_some_and(|r| r >= order.min_restarts), || {
        format!("container {container} with {} restarts expected, found {restarts:?}", order.min_restarts)
    });
    let known = match order.owner_kind.as_str() {
        "" | "ReplicaSet" => {
            let set = inventory.replica_sets.get(&owner.uid);
            set.is_some_and(|set| inventory.deployments.get(&set.meta.owner_uid).is_some())
        }
        "StatefulSet" => inventory.stateful_sets.get(&owner.uid).is_some(),
        _ => false,
    };
    require(found, 9, known && now.meta.owner_uid == owner.uid, || {
        format!("pod {} is not of a ReplicaSet of a Deployment, nor of a StatefulSet", pod.name)
    });
    if order.owner_kind == "StatefulSet" {
        let next = inventory.stateful_sets.get(&owner.uid).map(|set| &set.update_revision);
        let same = next.is_some_and(|next| !next.is_empty() && *next == now.controller_revision);
        require(found, 3, same, || {
            format!("pod {} of revision {next:?} expected, found {:?}", pod.name, now.controller_revision)
        });
    }
    if order.avoid_node {
        let on = inventory.nodes.values().find(|n| &n.meta.name == node);
        require(found, 7, on.is_some_and(|n| !n.control_plane), || {
            format!("node {node} would be closed; it is of the control plane or not known")
        });
        let other = inventory
            .nodes
            .values()
            .any(|n| &n.meta.name != node && n.ready == "True" && !n.unschedulable && !n.meta.deleting);
        require(found, 7, other, || format!("node {node} would be cordoned and no other one is schedulable"));
    }
}
