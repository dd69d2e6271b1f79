//! What was written in the cluster around the incident's begin: the pod template of its workload, the ConfigMaps and Secrets that its
//! pods refer to, and what Nimbus saw of the workload's revisions. Who wrote it is the field manager that the API server recorded.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{BEFORE, Known, Source};
use crate::model::{Incident, Workload};
use crate::world::{Inventory, Meta, Object as _, Pod};

/// All of it since a day before the incident.
pub(super) fn around(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let mut all = template(incident, inventory);
    all.extend(referred(incident, inventory));
    all.extend(revisions(incident, inventory));
    let from = incident.created_at.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    all.retain(|one| one.at.is_some_and(|at| at >= from));
    all
}

fn template(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(Workload::Deployment(reference)) = &incident.workload else { return Vec::new() };
    let Some(deployment) = inventory.deployments.get(&reference.uid) else { return Vec::new() };
    let Some(more) = deployment.more.as_ref().filter(|more| !more.template_writer.is_empty()) else {
        return Vec::new();
    };
    let text = format!(
        "the pod template was last written by {} (revision {} now)",
        more.template_writer, deployment.revision
    );
    vec![Known::new(more.template_written_at, Source::ManagedFields, &deployment.object(), text)]
}

/// The ConfigMaps and Secrets that any of its pods names, each once.
fn referred(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for pod in pods(incident, inventory) {
        let Some(facts) = &pod.facts else { continue };
        maps.extend(facts.config_maps.iter().map(|name| (pod.meta.namespace.as_str(), name.as_str())));
        secrets.extend(facts.secrets.iter().map(|name| (pod.meta.namespace.as_str(), name.as_str())));
    }
    let is_of = |all: &BTreeSet<(&str, &str)>, meta: &Meta| {
        all.contains(&(meta.namespace.as_str(), meta.name.as_str()))
    };
    let text = |writer: &str| {
        let who = if writer.is_empty() { "somebody who is not recorded" } else { writer };
        format!("its content was last written by {who}; pods of it refer to it")
    };
    let maps = inventory
        .config_maps
        .values()
        .filter(|map| is_of(&maps, &map.meta))
        .map(|map| Known::new(map.written_at, Source::ManagedFields, &map.object(), text(&map.writer)));
    let secrets = inventory.secrets.values().filter(|secret| is_of(&secrets, &secret.meta)).map(|secret| {
        Known::new(secret.written_at, Source::ManagedFields, &secret.object(), text(&secret.writer))
    });
    maps.chain(secrets).collect()
}

fn revisions(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(workload) = &incident.workload else { return Vec::new() };
    let Some(history) = inventory.histories.get(workload.uid()) else { return Vec::new() };
    let object = workload.object();
    let mut all = Vec::new();
    for one in &history.revisions {
        let line = |at, text: String| Known::new(at, Source::Revisions, object, text);
        all.push(line(one.came_out_at, format!("revision {} came out", one.revision)));
        if let Some(trouble) = &one.trouble {
            all.push(line(Some(trouble.first_at), format!("revision {}: {}", one.revision, trouble.what)));
        }
    }
    if let Some(holding) = &history.holding {
        let text = format!("all pods of the present revision are available ({})", holding.available);
        all.push(Known::new(holding.since, Source::Revisions, object, text));
    }
    all
}

/// The pods of the incident: its own one, those of its workload, and its symptoms.
pub(super) fn pods<'a>(incident: &'a Incident, inventory: &'a Inventory) -> Vec<&'a Pod> {
    let mut uids: BTreeSet<&str> = BTreeSet::from([incident.object.uid()]);
    uids.extend(incident.symptoms.iter().map(crate::model::ObjectRef::uid));
    let mut found: Vec<&Pod> =
        uids.into_iter().filter(|uid| !uid.is_empty()).filter_map(|uid| inventory.pods.get(uid)).collect();
    if let Some(workload) = &incident.workload {
        found.extend(inventory.pods_below(workload.uid()));
    }
    found.sort_by_key(|pod| (pod.meta.namespace.as_str(), pod.meta.name.as_str()));
    found.dedup_by_key(|pod| pod.meta.uid.as_str());
    found
}
