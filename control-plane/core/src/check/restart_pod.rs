//! The independent check of `restart_pod` plans: the pod must still crash-loop, be able to differ, and be nobody's to leave
//! alone, and holding its node back must be safe.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, Pod};

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
        check(self, found, (inventory, snapshot), pod, owner);
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
    (inventory, snapshot): (&Inventory, &Snapshot<'_>),
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
    undisturbed(found, inventory, now, owner);
    could_ever_run(found, now, container);
    siblings(found, order, inventory, now);
    if order.avoid_node {
        held(found, node, (inventory, snapshot), now);
    }
}

/// Invariant 9: nobody asked to leave the pod or what owns it alone.
fn undisturbed(found: &mut Violations, inventory: &Inventory, pod: &Pod, owner: &v1::Target) {
    let marks = pod.facts.as_ref().map(|facts| &facts.do_not_disturb);
    require(found, 9, marks.is_some_and(Vec::is_empty), || {
        format!("pod {} asks not to be disturbed, or that is not known: {marks:?}", pod.meta.name)
    });
    let set = inventory.replica_sets.get(&owner.uid);
    let deployment = set.and_then(|set| inventory.deployments.get(&set.meta.owner_uid));
    let stateful = inventory.stateful_sets.get(&owner.uid);
    let leaves = set.is_some_and(|set| set.meta.deleting)
        || deployment.is_some_and(|deployment| deployment.meta.deleting || deployment.paused)
        || stateful.is_some_and(|set| set.meta.deleting);
    require(found, 9, !leaves, || format!("what owns pod {} is being deleted or paused", pod.meta.name));
}

/// Invariant 3: one that never was ready, or that finishes, is not replaced.
fn could_ever_run(found: &mut Violations, pod: &Pod, container: &str) {
    let taken = pod.facts.as_ref().and_then(|facts| facts.started_at);
    let changed =
        taken.zip(pod.ready_since).is_some_and(|(taken, at)| at.duration_since(taken).as_secs() > 1);
    require(found, 3, pod.seen_ready_ms.is_some() || changed, || {
        format!("pod {} was never ready, or that is not known", pod.meta.name)
    });
    let ended = pod.containers.iter().find(|c| c.name == container);
    let well = ended.is_some_and(|c| c.last_exit_code == 0 && c.last_reason == "Completed");
    require(found, 3, !well, || format!("container {container} ends with exit code 0: it finishes"));
}

/// Invariant 3: where all pods of the template fail on several nodes, neither a node nor a pod is to blame; and the node of one
/// is held back only where the template is well elsewhere and fails nowhere else.
fn siblings(found: &mut Violations, order: &v1::RestartPod, inventory: &Inventory, pod: &Pod) {
    let of_template = |other: &&Pod| {
        other.meta.owner_uid == pod.meta.owner_uid
            && other.controller_revision == pod.controller_revision
            && !other.meta.deleting
            && other.phase != "Succeeded"
            && other.phase != "Failed"
            && !other.node.is_empty()
    };
    let (mut elsewhere, mut here, mut fails_elsewhere) = (0, 0, 0);
    for other in inventory.pods.values().filter(of_template) {
        let restarted = other.containers.iter().any(|c| c.restarts > 0);
        match (other.ready, other.node == pod.node) {
            (true, true) => here += 1,
            (true, false) => elsewhere += 1,
            (false, false) if restarted => fails_elsewhere += 1,
            (false, _) => {}
        }
    }
    require(found, 3, fails_elsewhere == 0 || here + elsewhere > 0, || {
        format!("every pod of the template of {} fails, on several nodes", pod.meta.name)
    });
    if order.avoid_node {
        require(found, 7, elsewhere > 0 && here == 0 && fails_elsewhere == 0, || {
            format!(
                "node {} is not suspect: the template is well on it {here} times and elsewhere {elsewhere} times, and fails \
                 elsewhere {fails_elsewhere} times",
                pod.node
            )
        });
    }
}

/// Invariant 7: the node is nobody else's, and another open one takes the pod.
fn held(found: &mut Violations, node: &str, (inventory, s): (&Inventory, &Snapshot<'_>), pod: &Pod) {
    let on = inventory.nodes.values().find(|n| n.meta.name == node);
    require(found, 7, on.is_some_and(|n| !n.control_plane), || {
        format!("node {node} would be held; it is of the control plane or not known")
    });
    let free = on.is_some_and(|n| {
        let unmarked = n.facts.as_ref().is_some_and(|facts| facts.marks.is_empty());
        unmarked && n.ready == "True" && !n.unschedulable && !n.meta.deleting
    });
    require(found, 7, free, || {
        format!("node {node} is not ready, or somebody else marked or cordoned it, or that is not known")
    });
    let refers = pod.facts.as_ref().map(|facts| facts.config_maps.as_slice()).unwrap_or_default();
    let fresh = inventory.config_maps.values().any(|map| {
        let age = map.written_at.map(|at| s.now.duration_since(at).as_secs().abs());
        let is_its = map.meta.namespace == pod.meta.namespace && refers.contains(&map.meta.name);
        is_its && age.is_some_and(|seconds| seconds <= 3_600)
    });
    let known = refers.is_empty() || inventory.is_listed(ObjectKind::ConfigMap);
    require(found, 7, known && !fresh, || {
        format!("node {node} is not suspect: what its pod refers to was just written, or that is not known")
    });
    let other = inventory.nodes.values().any(|n| n.meta.name != node && takes(n, pod, s));
    require(found, 7, other, || {
        format!("node {node} would be held and no other one is known to take the pod")
    });
}

/// Is a node open, nobody's, and one that the pod asks nothing of that it lacks?
fn takes(node: &Node, pod: &Pod, s: &Snapshot<'_>) -> bool {
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let (Some(offers), Some(asked)) = (&node.facts, asked) else { return false };
    // It was lost, and is back for too short a time.
    let back = node.ready_since.map(|since| s.now.duration_since(since).as_millis());
    let shaky = node.was_lost && back.is_none_or(|ms| ms < i128::from(s.settings.node_steady_ms));
    let open =
        !shaky && node.ready == "True" && !node.unschedulable && !node.meta.deleting && !node.control_plane;
    let tolerated = offers.taints.iter().all(|taint| {
        taint.effect == "PreferNoSchedule"
            || asked.tolerations.iter().any(|t| {
                (t.effect.is_empty() || t.effect == taint.effect)
                    && (t.key == taint.key || (t.key.is_empty() && t.operator == "Exists"))
                    && (t.operator == "Exists" || t.value == taint.value)
            })
    });
    let labelled = asked.node_selector.iter().all(|wanted| offers.labels.contains(wanted));
    open && offers.marks.is_empty() && tolerated && labelled && asked.other_conditions.is_empty()
}
