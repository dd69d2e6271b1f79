//! A pod with its containers, and the Events about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::investigation::words::{after_colon, in_brackets, since, times};
use crate::investigation::{Known, Source};
use crate::model::ObjectRef;
use crate::world::{Container, Inventory, Object as _, Pod, PodEvent};

/// Most containers of a pod, those that are not ready first.
const MOST_CONTAINERS: usize = 4;
/// Most Events about a pod, the newest.
const MOST_EVENTS: usize = 3;

/// Events by the UID of their pod, the newest first.
pub(super) type Events<'a> = BTreeMap<&'a str, Vec<&'a PodEvent>>;

/// The Events about these pods, by one look at all there are.
pub(super) fn events<'a>(pods: impl Iterator<Item = &'a Pod>, inventory: &'a Inventory) -> Events<'a> {
    let uids: BTreeSet<&str> = pods.map(|pod| pod.meta.uid.as_str()).collect();
    let mut found = Events::new();
    for event in inventory.pod_events.values().filter(|event| uids.contains(event.meta.owner_uid.as_str())) {
        found.entry(&event.meta.owner_uid).or_default().push(event);
    }
    for events in found.values_mut() {
        events.sort_by(|a, b| (b.meta.created_at, &b.meta.name).cmp(&(a.meta.created_at, &a.meta.name)));
    }
    found
}

pub(super) fn of(pod: &Pod, events: &Events<'_>) -> Vec<Known> {
    let object = pod.object();
    let status = |text: String| Known::new(None, Source::Status, &object, text);
    // What ended is neither ready nor not ready.
    let has_ended = pod.phase == "Succeeded" || pod.phase == "Failed";
    let ready = if pod.ready { "ready" } else { "not ready" };
    let condition = if has_ended { String::new() } else { format!(", {ready}{}", since(pod.ready_since)) };
    let place = if pod.node.is_empty() { "on no node".to_owned() } else { format!("on {}", pod.node) };
    let leaving = if pod.meta.deleting { ", on its way out" } else { "" };
    let phase = if pod.phase.is_empty() { "its phase is not told" } else { &pod.phase };
    let mut all = vec![status(format!("{phase}{condition}, {place}{leaving}"))];
    if !pod.unschedulable.is_empty() {
        all.push(status(format!("unschedulable: {}", pod.unschedulable)));
    }
    let turned = pod.ready_since.filter(|_| !has_ended);
    all.extend(turned.map(|at| Known::new(at, Source::Status, &object, format!("{ready} since then"))));
    let mut containers: Vec<&Container> = pod.containers.iter().collect();
    containers.sort_by_key(|container| container.ready);
    let more = containers.len().saturating_sub(MOST_CONTAINERS);
    for container in containers.into_iter().take(MOST_CONTAINERS) {
        all.push(status(state(container)));
        all.extend(ended(&object, container));
    }
    if more > 0 {
        all.push(status(format!("and {more} more containers, which are not told one by one")));
    }
    let its = events.get(pod.meta.uid.as_str()).into_iter().flatten();
    all.extend(its.take(MOST_EVENTS).map(|event| {
        let message = if event.message.is_empty() {
            " (its message is not told)".to_owned()
        } else {
            after_colon(&event.message)
        };
        Known::new(event.meta.created_at, Source::Event, &object, format!("{}{message}", event.reason))
    }));
    all
}

fn state(container: &Container) -> String {
    let name = container.titled();
    let is = if container.state.is_empty() {
        "how it is, its kubelet has not told".to_owned()
    } else {
        format!("{}{}{}", container.state, in_brackets(&container.reason), after_colon(&container.message))
    };
    let again = if container.restarts == 0 {
        String::new()
    } else {
        format!(", started again {}", times(container.restarts))
    };
    format!("{name} of image {}: {is}{again}", container.image)
}

fn ended(pod: &ObjectRef, container: &Container) -> Option<Known> {
    let at = container.last_finished_at?;
    let reason = in_brackets(&container.last_reason);
    let text = format!("{} ended with exit code {}{reason}", container.titled(), container.last_exit_code);
    Some(Known::new(at, Source::Status, pod, text))
}
