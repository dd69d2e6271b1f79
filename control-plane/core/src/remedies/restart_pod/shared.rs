//! What pods of one template share beside it: the ConfigMaps and Secrets that they refer to, and which of them was written
//! lately. A person who is asked gets it as evidence, and while it may be the cause no node is suspect.

use jiff::{SignedDuration, Timestamp};

use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{ConfigMap, Inventory, Object as _, Pod};

/// What was written so long ago at most is told to a person.
const TOLD: SignedDuration = SignedDuration::from_hours(24);
/// How far the clocks of a node and of the API server may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);
/// What was written so long ago at most may be why pods fail, one after the other.
const SUSPECT: SignedDuration = SignedDuration::from_hours(1);

/// For the person who is told that neither the node nor the pod is to blame.
pub(super) fn advice(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> String {
    let told = evidence(pod, inventory, s.now);
    if told.is_empty() {
        return look_for(s.settings);
    }
    format!("{}; {}", told.join("; "), look_for(s.settings))
}

fn look_for(settings: &Settings) -> String {
    format!(
        "neither a node nor a pod is to blame where all of them fail: look for what they share, such as a ConfigMap, a \
         Secret, an image or a service that changed within the last {} s, and at their logs",
        settings.storm.window_s
    )
}

/// Why the pod's node is not suspect as far as what it refers to tells: whoever of `well`, the pods that are well elsewhere,
/// started before the last write may only not have read it yet. `None` where one of them started after all of it was written.
pub(super) fn clears_the_node(pod: &Pod, inventory: &Inventory, well: &[&Pod]) -> Option<String> {
    let Some(facts) = pod.facts.as_ref().filter(|facts| facts.references_complete) else {
        return Some("not all ConfigMaps and Secrets to which it refers are known".to_owned());
    };
    if let Some(secret) = facts.secrets.first() {
        return Some(format!(
            "whether Secret {secret}, to which it refers, was written since the others started is not known: Secrets are not \
             looked at"
        ));
    }
    if facts.config_maps.is_empty() {
        return None;
    }
    if !inventory.is_listed(ConfigMap::KIND) {
        return Some("whether a ConfigMap to which it refers was written is not known".to_owned());
    }
    let started = well.iter().filter_map(|pod| pod.facts.as_ref()?.started_at).max();
    let Some(started) = started else { return Some("when the others started is not known".to_owned()) };
    facts.config_maps.iter().zip(referred(pod, inventory)).find_map(|(name, map)| match map {
        None => Some(format!(
            "ConfigMap {name} is not there; whether it was when the others started is not known"
        )),
        Some(map) if map.written_at.is_some_and(|at| later(at, CLOCKS) <= started) => None,
        Some(map) => Some(format!("{}, and the others may only not have read it yet", written(map))),
    })
}

/// A ConfigMap that the pod refers to and that was written just before: when, and in words.
pub(super) fn lately_written(
    pod: &Pod,
    inventory: &Inventory,
    now: Timestamp,
) -> Option<(Timestamp, String)> {
    let refers = referred(pod, inventory).flatten().filter(|map| is_within(map, SUSPECT, now));
    let (at, newest) = refers.filter_map(|map| Some((map.written_at?, map))).max_by_key(|(at, _)| *at)?;
    Some((at, written(newest)))
}

/// What is known of all that it refers to, one sentence each.
fn evidence(pod: &Pod, inventory: &Inventory, now: Timestamp) -> Vec<String> {
    let Some(facts) = &pod.facts else { return Vec::new() };
    let mut told = Vec::new();
    if !facts.config_maps.is_empty() && !inventory.is_listed(ConfigMap::KIND) {
        told.push(format!(
            "unknown: whether ConfigMap {} changed, as ConfigMaps are not listed",
            facts.config_maps.join(", ")
        ));
    } else {
        for (name, found) in facts.config_maps.iter().zip(referred(pod, inventory)) {
            match found {
                Some(map) if is_within(map, TOLD, now) => told.push(written(map)),
                Some(_) => {}
                None => told.push(format!("ConfigMap {name} is not there")),
            }
        }
    }
    if !facts.secrets.is_empty() {
        told.push(format!("Secret {} is not looked at", facts.secrets.join(", ")));
    }
    told
}

/// The ConfigMaps of a pod's names, in their order; `None` for one that is not there.
fn referred<'a>(pod: &'a Pod, inventory: &'a Inventory) -> impl Iterator<Item = Option<&'a ConfigMap>> {
    let names = pod.facts.iter().flat_map(|facts| &facts.config_maps);
    names.map(|name| {
        let same = |map: &&ConfigMap| map.meta.name == *name && map.meta.namespace == pod.meta.namespace;
        inventory.config_maps.values().find(same)
    })
}

fn is_within(map: &ConfigMap, time: SignedDuration, now: Timestamp) -> bool {
    // Also a little ahead, as clocks differ; a time far ahead tells nothing.
    map.written_at.is_some_and(|at| now.duration_since(at).abs() <= time)
}

fn written(map: &ConfigMap) -> String {
    let by = if map.writer.is_empty() { "somebody" } else { &map.writer };
    let at = map.written_at.map_or_else(String::new, |at| format!(" at {at:.0}"));
    format!("ConfigMap {}, to which they refer, was written by {by}{at}", map.meta.name)
}
