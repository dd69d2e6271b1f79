//! How what the incident is about is now, as far as its cluster's agents told: the workload, its pods, the nodes of those that are not
//! well, the claim; and when containers last ended.

use std::collections::BTreeSet;

use nimbus_protocol::quantity;

use super::written::pods;
use super::{Known, Source};
use crate::model::{Incident, Workload};
use crate::world::{Container, Inventory, Node, Object as _, Pod};

/// Most pods that are told one by one, those that are not ready first.
const MOST_PODS: usize = 20;

/// All of it; what has a time belongs to the timeline.
pub(super) fn picture(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let mut all = workload(incident, inventory);
    let mut own = pods(incident, inventory);
    own.sort_by_key(|pod| (pod.ready, pod.meta.name.clone()));
    let mut nodes: BTreeSet<&str> =
        own.iter().filter(|pod| !pod.ready).map(|pod| pod.node.as_str()).collect();
    if own.len() > MOST_PODS {
        let rest = own.len() - MOST_PODS;
        all.push(Known::new(None, Source::Status, &incident.object, format!("and {rest} more pods")));
    }
    for pod in own.into_iter().take(MOST_PODS) {
        all.extend(of_pod(pod));
        all.extend(events(pod, inventory));
    }
    if let Some(node) = inventory.nodes.get(incident.object.uid()) {
        nodes.insert(&node.meta.name);
    }
    for node in inventory.nodes.values().filter(|node| nodes.contains(node.meta.name.as_str())) {
        all.extend(of_node(node, inventory));
    }
    all.extend(claim(incident, inventory));
    all
}

fn workload(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(workload) = &incident.workload else { return Vec::new() };
    let object = workload.object();
    let line = |text: String| Known::new(None, Source::Status, object, text);
    let kept = |manager: &str, evidence: &str| {
        (!manager.is_empty()).then(|| {
            Known::new(None, Source::ManagedFields, object, format!("it is kept by {manager}: {evidence}"))
        })
    };
    match workload {
        Workload::Deployment(reference) => inventory.deployments.get(&reference.uid).map(|it| {
            let figures = format!(
                "{} pods wanted, {} of the newest revision ({}), {} ready, {} available",
                it.desired, it.updated, it.revision, it.ready, it.available
            );
            let progress = (!it.progressing.is_empty()).then(|| {
                line(format!(
                    "Progressing is {} ({}): {}",
                    it.progressing, it.progressing_reason, it.progressing_message
                ))
            });
            let whole = [Some(line(figures)), progress, kept(&it.manager, &it.manager_evidence)];
            whole.into_iter().flatten().collect()
        }),
        Workload::StatefulSet(reference) => inventory.stateful_sets.get(&reference.uid).map(|it| {
            let figures =
                format!("{} pods wanted, {} ready, {} available", it.desired, it.ready, it.available);
            [Some(line(figures)), kept(&it.manager, &it.manager_evidence)].into_iter().flatten().collect()
        }),
        Workload::DaemonSet(reference) => inventory.daemon_sets.get(&reference.uid).map(|it| {
            let figures =
                format!("{} pods wanted, {} ready, {} available", it.desired, it.ready, it.available);
            [Some(line(figures)), kept(&it.manager, &it.manager_evidence)].into_iter().flatten().collect()
        }),
        Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) | Workload::Other(_) => None,
    }
    .unwrap_or_default()
}

fn of_pod(pod: &Pod) -> Vec<Known> {
    let object = pod.object();
    let place = if pod.node.is_empty() { "on no node".to_owned() } else { format!("on {}", pod.node) };
    let ready = if pod.ready { "ready" } else { "not ready" };
    let mut all = vec![Known::new(None, Source::Status, &object, format!("{}, {ready}, {place}", pod.phase))];
    if !pod.unschedulable.is_empty() {
        all.push(Known::new(None, Source::Status, &object, format!("unschedulable: {}", pod.unschedulable)));
    }
    if let Some(at) = pod.ready_since {
        all.push(Known::new(at, Source::Status, &object, format!("it became {ready}")));
    }
    for container in &pod.containers {
        all.extend(of_container(&object, container));
    }
    all
}

fn of_container(pod: &crate::model::ObjectRef, container: &Container) -> Vec<Known> {
    let name = container.titled();
    let or_unknown = if container.state.is_empty() { "unknown" } else { &container.state };
    let reason = if container.reason.is_empty() { String::new() } else { format!(" ({})", container.reason) };
    let message =
        if container.message.is_empty() { String::new() } else { format!(": {}", container.message) };
    let state = format!(
        "{name} is {or_unknown}{reason}, started again {} times, image {}{message}",
        container.restarts, container.image
    );
    let now = Known::new(None, Source::Status, pod, state);
    let ended = container.last_finished_at.map(|at| {
        let text =
            format!("{name} ended: {} (exit code {})", container.last_reason, container.last_exit_code);
        Known::new(at, Source::Status, pod, text)
    });
    [Some(now), ended].into_iter().flatten().collect()
}

fn events<'a>(pod: &'a Pod, inventory: &'a Inventory) -> impl Iterator<Item = Known> + 'a {
    let its = inventory.pod_events.values().filter(|event| event.meta.owner_uid == pod.meta.uid);
    its.map(|event| {
        Known::new(
            event.meta.created_at,
            Source::Event,
            &pod.object(),
            format!("{}: {}", event.reason, event.message),
        )
    })
}

fn of_node(node: &Node, inventory: &Inventory) -> Vec<Known> {
    let object = node.object();
    let closed = if node.unschedulable { ", closed for new pods" } else { "" };
    let text = format!("Ready is {} ({}){closed}", node.ready, node.ready_reason);
    let mut all = vec![Known::new(None, Source::Status, &object, text)];
    if let Some(at) = node.ready_since {
        all.push(Known::new(at, Source::Status, &object, format!("Ready became {}", node.ready)));
    }
    let marks = node.facts.iter().flat_map(|facts| &facts.marks);
    all.extend(marks.map(|mark| Known::new(None, Source::Status, &object, format!("marked: {mark}"))));
    let measured = inventory.measured.node(&node.meta.name);
    let pressures = measured.and_then(|it| Some((it.at, it.pressures.as_ref()?)));
    if let Some((at, pressures)) = pressures.filter(|(_, all)| !all.is_empty()) {
        let names: Vec<&str> = pressures.iter().map(|one| one.condition.as_str()).collect();
        all.push(Known::new(at, Source::Kubelet, &object, format!("it runs short: {}", names.join(", "))));
    }
    all
}

fn claim(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(claim) = inventory.persistent_volume_claims.get(incident.object.uid()) else {
        return Vec::new();
    };
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "an unknown amount".to_owned(), quantity::binary);
    let text = format!(
        "{}, asks for {} and has {}, of class {:?}",
        claim.phase,
        size(claim.requested),
        size(claim.capacity),
        claim.storage_class
    );
    let mut all = vec![Known::new(None, Source::Status, &claim.object(), text)];
    let words =
        [("on its way to another size", &claim.resizing), ("its size does not change", &claim.resize_error)];
    for (what, why) in words.into_iter().filter(|(_, why)| !why.is_empty()) {
        all.push(Known::new(None, Source::Status, &claim.object(), format!("{what}: {why}")));
    }
    if !claim.manager.is_empty() {
        let text = format!("it is kept by {}: {}", claim.manager, claim.manager_evidence);
        all.push(Known::new(None, Source::ManagedFields, &claim.object(), text));
    }
    let seen = inventory.measured.of_claim(&claim.meta.namespace, &claim.meta.name);
    for (node, figures, volume) in seen {
        let used = volume.filesystem.used_permille();
        let used = used
            .map_or_else(|| "an unknown share".to_owned(), |used| format!("{}.{} %", used / 10, used % 10));
        let text = format!("{used} of its volume was in use, as pod {} on {node} has it", volume.pod);
        all.push(Known::new(figures.at, Source::Kubelet, &claim.object(), text));
    }
    all
}
