//! Whether a plan still is about what is there: invariants 3, 7 and 9.

use super::{Found, broken};
use crate::model::{Action, FileFacts, Plan};
use crate::snapshot::Snapshot;
use crate::world::Inventory;

pub(super) fn restart(found: &mut Found, plan: &Plan, inventory: &Inventory) {
    let Action::RestartPod { pod, owner, node, avoid_node, container, min_restarts } = &plan.action else {
        return;
    };
    let Some(now) = inventory.pods.get(&pod.uid) else {
        broken(found, 3, false, || format!("pod {} ({}) is no more", pod.name, pod.uid));
        return;
    };
    let same = now.meta.name == pod.name && now.meta.namespace == pod.namespace && !now.meta.deleting;
    broken(found, 3, same, || format!("pod {} is being deleted or is another one", pod.name));
    broken(found, 3, &now.node == node, || format!("pod on {node} expected, found on {}", now.node));
    broken(found, 3, !now.ready, || format!("pod {} is ready", pod.name));
    let restarts = now.containers.iter().find(|c| &c.name == container).map(|c| c.restarts);
    broken(found, 3, restarts.is_some_and(|r| r >= *min_restarts), || {
        format!("container {container} with {min_restarts} restarts expected, found {restarts:?}")
    });
    let set = inventory.replica_sets.get(&owner.uid);
    let owned = now.meta.owner_uid == owner.uid
        && set.is_some_and(|set| {
            set.meta.owner_kind == "Deployment" && inventory.deployments.contains_key(&set.meta.owner_uid)
        });
    broken(found, 9, owned, || format!("pod {} is not of a ReplicaSet of a Deployment", pod.name));
    if *avoid_node {
        let on = inventory.nodes.values().find(|n| &n.meta.name == node);
        broken(found, 7, on.is_some_and(|n| !n.control_plane), || {
            format!("node {node} would be closed; it is of the control plane or not known")
        });
        let other = inventory
            .nodes
            .values()
            .any(|n| &n.meta.name != node && n.ready == "True" && !n.unschedulable && !n.meta.deleting);
        broken(found, 7, other, || format!("node {node} would be closed and no other one is open"));
    }
}

pub(super) fn rollback(found: &mut Found, plan: &Plan, inventory: &Inventory) {
    let Action::RollbackDeployment {
        deployment,
        generation,
        current_template_hash,
        to_replica_set,
        to_revision,
        to_template_hash,
    } = &plan.action
    else {
        return;
    };
    let Some(now) = inventory.deployments.get(&deployment.uid) else {
        broken(found, 3, false, || format!("deployment {} is no more", deployment.name));
        return;
    };
    broken(found, 3, now.generation == *generation, || {
        format!("generation {generation} of {} expected, found {}", deployment.name, now.generation)
    });
    broken(found, 3, &now.template_hash == current_template_hash && !now.meta.deleting, || {
        format!("the pod template of {} is another one", deployment.name)
    });
    broken(found, 3, to_template_hash != current_template_hash && !to_template_hash.is_empty(), || {
        "a rollback has to change the pod template".to_owned()
    });
    let target = inventory.replica_sets.get(&to_replica_set.uid);
    let fits = target.is_some_and(|set| {
        set.meta.owner_uid == deployment.uid
            && set.revision == *to_revision
            && &set.template_hash == to_template_hash
            && !set.meta.deleting
    });
    broken(found, 3, fits, || {
        format!("ReplicaSet {} of revision {to_revision} is not there", to_replica_set.name)
    });
    let good = inventory
        .good
        .get(&deployment.uid)
        .is_some_and(|all| all.iter().any(|one| &one.template_hash == to_template_hash));
    let evidence = good || target.is_some_and(|set| set.ready_replicas > 0);
    broken(found, 3, evidence, || format!("nothing shows that revision {to_revision} is good"));
    broken(found, 9, now.manager.is_empty(), || format!("{} is managed by {}", deployment.name, now.manager));
    broken(found, 9, !now.paused, || format!("{} was paused by a person", deployment.name));
}

pub(super) fn file(
    found: &mut Found,
    plan: &Plan,
    snapshot: &Snapshot<'_>,
    (root, path): (&str, &str),
    expect: &FileFacts,
    back_to: Option<&FileFacts>,
) {
    let host = plan.agent_id.as_ref().and_then(|agent| snapshot.world.hosts.get(agent));
    let Some(now) = host.and_then(|host| host.files.get(path)) else {
        broken(found, 3, false, || format!("{path} does not differ from its baseline, or is not known"));
        return;
    };
    broken(found, 3, &now.current == expect, || format!("{path} changed since the plan was made"));
    broken(found, 3, now.root == root, || format!("{path} is watched under {}, not {root}", now.root));
    broken(found, 3, back_to.is_none_or(|to| &now.baseline == to), || {
        format!("the baseline of {path} changed since the plan was made")
    });
    let regular = |facts: &FileFacts| ["file", "symlink", "absent"].contains(&facts.kind.as_str());
    // What has no content may be accepted, and is never put back or away.
    let fits = match back_to {
        Some(to) => regular(expect) && regular(to),
        None => regular(expect) || ["directory", "other"].contains(&expect.kind.as_str()),
    };
    broken(found, 3, fits, || format!("{path} is neither a regular file nor a link"));
}
