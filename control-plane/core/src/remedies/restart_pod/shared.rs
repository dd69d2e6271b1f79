//! What pods of one template share beside it: the ConfigMaps and Secrets that they refer to, and which of them was written
//! lately. A person who is asked gets it as evidence, and while it may be the cause no node is suspect.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Meta, Pod};

/// What was written so long ago at most is told to a person.
const TOLD: SignedDuration = SignedDuration::from_hours(24);
/// How far the clocks of a node and of the API server may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);
/// What was written so long ago at most may be why pods fail, one after the other.
const SUSPECT: SignedDuration = SignedDuration::from_hours(1);

/// For the person who is told that neither the node nor the pod is to blame.
pub(super) fn advice(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> String {
    with_evidence(pod, inventory, s, look_for(s.settings))
}

/// The same where all that fail are on one node: that may be to blame as well.
pub(super) fn advice_on_one_node(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> String {
    let look_for = format!(
        "no pod alone is to blame where several fail and none is well: look for what they share, such as a \
         ConfigMap, a Secret, an image or a service that changed within the last {} s, at {} itself, and at \
         their logs",
        s.settings.storm.window_s, pod.node
    );
    with_evidence(pod, inventory, s, look_for)
}

/// What is known of all that the pod refers to, and then this.
pub(super) fn with_evidence(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>, look_for: String) -> String {
    let mut told = evidence(pod, inventory, s.now);
    told.push(look_for);
    told.join("; ")
}

fn look_for(settings: &Settings) -> String {
    format!(
        "neither a node nor a pod is to blame where all of them fail: look for what they share, such as a ConfigMap, a \
         Secret, an image or a service that changed within the last {} s, and at their logs",
        settings.storm.window_s
    )
}

/// One thing that a pod refers to by its name.
struct Referred<'a> {
    kind: ObjectKind,
    name: &'a str,
    is: Is<'a>,
}

/// What is known of it.
enum Is<'a> {
    /// Its kind is not listed.
    NotKnown,
    /// It is not there.
    Absent,
    /// It is there, and its content was last written then and by that one, as far as that is recorded.
    Written(Option<Timestamp>, &'a str),
}

/// The ConfigMaps and Secrets of a pod's names.
fn referred<'a>(pod: &'a Pod, inventory: &'a Inventory) -> Vec<Referred<'a>> {
    let Some(facts) = &pod.facts else { return Vec::new() };
    let is_its = |meta: &Meta, name: &str| meta.name == name && meta.namespace == pod.meta.namespace;
    let maps = facts.config_maps.iter().map(|name| {
        let found = inventory.config_maps.values().find(|map| is_its(&map.meta, name));
        (ObjectKind::ConfigMap, name, found.map(|map| (map.written_at, map.writer.as_str())))
    });
    let secrets = facts.secrets.iter().map(|name| {
        let found = inventory.secrets.values().find(|secret| is_its(&secret.meta, name));
        (ObjectKind::Secret, name, found.map(|secret| (secret.written_at, secret.writer.as_str())))
    });
    maps.chain(secrets)
        .map(|(kind, name, found)| {
            let is = match found {
                _ if !inventory.is_listed(kind) => Is::NotKnown,
                None => Is::Absent,
                Some((at, writer)) => Is::Written(at, writer),
            };
            Referred { kind, name, is }
        })
        .collect()
}

impl Referred<'_> {
    fn titled(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Was it written within this time, as far as is recorded?
    fn is_within(&self, time: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        match self.is {
            // Also a little ahead, as clocks differ; a time far ahead tells nothing.
            Is::Written(Some(at), _) => (now.duration_since(at).abs() <= time).then_some(at),
            Is::Written(None, _) | Is::Absent | Is::NotKnown => None,
        }
    }

    fn written(&self) -> String {
        let (at, by) = match self.is {
            Is::Written(at, by) if !by.is_empty() => (at, by),
            Is::Written(at, _) => (at, "somebody"),
            Is::Absent | Is::NotKnown => (None, "somebody"),
        };
        let at = at.map_or_else(String::new, |at| format!(" at {at:.0}"));
        format!("{}, to which they refer, was written by {by}{at}", self.titled())
    }
}

/// Why the pod's node is not suspect as far as what it refers to tells: whoever of `well`, the pods that are well elsewhere,
/// started before the last write may only not have read it yet. `None` where one of them started after all of it was written.
pub(super) fn clears_the_node(pod: &Pod, inventory: &Inventory, well: &[&Pod]) -> Option<String> {
    if !pod.facts.as_ref().is_some_and(|facts| facts.references_complete) {
        return Some("not all ConfigMaps and Secrets to which it refers are known".to_owned());
    }
    let refers = referred(pod, inventory);
    let started = well.iter().filter_map(|pod| pod.facts.as_ref()?.started_at).max();
    refers.iter().find_map(|one| match one.is {
        Is::NotKnown => Some(format!(
            "whether {}, to which it refers, was written since the others started is not known: {}s are not listed",
            one.titled(),
            one.kind
        )),
        Is::Absent => {
            Some(format!("{} is not there; whether it was when the others started is not known", one.titled()))
        }
        Is::Written(Some(at), _) if started.is_some_and(|started| later(at, CLOCKS) <= started) => None,
        Is::Written(..) => Some(format!("{}, and the others may only not have read it yet", one.written())),
    })
}

/// What the pod refers to and was written just before: when, and in words.
pub(super) fn lately_written(
    pod: &Pod,
    inventory: &Inventory,
    now: Timestamp,
) -> Option<(Timestamp, String)> {
    let refers = referred(pod, inventory);
    let lately = refers.iter().filter_map(|one| Some((one.is_within(SUSPECT, now)?, one)));
    lately.max_by_key(|(at, _)| *at).map(|(at, newest)| (at, newest.written()))
}

/// What is known of all that it refers to, one sentence each.
fn evidence(pod: &Pod, inventory: &Inventory, now: Timestamp) -> Vec<String> {
    let refers = referred(pod, inventory);
    let told = refers.iter().filter_map(|one| match one.is {
        Is::NotKnown => {
            Some(format!("unknown: whether {} changed, as {}s are not listed", one.titled(), one.kind))
        }
        Is::Absent => Some(format!("{} is not there", one.titled())),
        Is::Written(..) => one.is_within(TOLD, now).map(|_| one.written()),
    });
    told.collect()
}
