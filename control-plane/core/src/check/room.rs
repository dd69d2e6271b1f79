//! What the checker asks before a workload gets more pods: that it is out, that a node has what one more of them asks for, and that no
//! other one gets more at the same time, as the same room would be given twice.

use std::collections::BTreeMap;

use super::{Violations, require};
use crate::model::{ActionKind, Plan};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Meta, Pod};

/// Is the Deployment or StatefulSet that `is_it` as it was specified, not paused, with no pod of before and none missing?
pub(super) fn is_out(kind: &str, inventory: &Inventory, is_it: impl Fn(&Meta) -> bool) -> bool {
    match kind {
        "Deployment" => inventory.deployments.values().find(|one| is_it(&one.meta)).is_some_and(|one| {
            let replicas = one.more.as_ref().map(|more| more.replicas);
            !one.paused
                && one.observed_generation >= one.generation
                && one.updated >= one.desired
                && one.available >= one.desired
                && replicas.is_none_or(|replicas| replicas == one.desired)
        }),
        "StatefulSet" => inventory.stateful_sets.values().find(|one| is_it(&one.meta)).is_some_and(|one| {
            one.observed_generation >= one.generation
                && one.ready >= one.desired
                && (one.current_revision == one.update_revision || one.updated >= one.desired)
        }),
        _ => false,
    }
}

/// Does no other job that gives a workload of this cluster more pods go on?
pub(super) fn nobody_else_adds(found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
    let mut jobs = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc);
    let other = jobs.find(|job| {
        matches!(job.action, ActionKind::RaiseAutoscalerMaximum | ActionKind::ScaleWorkload)
            && job.scope == plan.scope
            && !job.state.is_final()
            && job.plan_id != plan.id
    });
    require(found, 4, other.is_none(), || {
        format!(
            "job {} gives pods of this cluster room at the moment",
            other.map_or_else(String::new, |job| job.id.to_string())
        )
    });
}

/// Has any node that takes pods what one of these asks for?
pub(super) fn for_one_of(pods: &[&Pod], inventory: &Inventory) -> bool {
    // CPU, memory and pods that are taken; `None` where one of them does not say what it asks for.
    let mut taken: BTreeMap<&str, Option<(i64, i64, i64)>> = BTreeMap::new();
    let ended = |pod: &&Pod| pod.phase == "Succeeded" || pod.phase == "Failed";
    for pod in inventory.pods.values().filter(|pod| !ended(pod)) {
        let asks = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
        let sum = taken.entry(pod.node.as_str()).or_insert(Some((0, 0, 0)));
        *sum = sum.zip(asks).map(|((cpu, memory, pods), asks)| {
            (
                cpu.saturating_add(asks.cpu_milli),
                memory.saturating_add(asks.memory_bytes),
                pods.saturating_add(1),
            )
        });
    }
    pods.iter().any(|pod| {
        let Some(asks) = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref()) else { return false };
        inventory.nodes.values().any(|node| {
            let open = node.facts.as_ref().filter(|_| node.is_ready() && !node.unschedulable);
            let sum = taken.get(node.meta.name.as_str()).copied().unwrap_or(Some((0, 0, 0)));
            open.zip(sum).is_some_and(|(facts, (cpu, memory, pods))| {
                let enough =
                    |has: i64, taken: i64, asked: i64| asked == 0 || has.saturating_sub(taken) >= asked;
                enough(facts.cpu_milli, cpu, asks.cpu_milli)
                    && enough(facts.memory_bytes, memory, asks.memory_bytes)
                    && enough(facts.pods, pods, 1)
            })
        })
    })
}
