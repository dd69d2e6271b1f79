//! The workload of the incident: its figures, its revisions, what its controller says, and who keeps it.

use crate::investigation::words::{after_colon, in_brackets, kept, since, span};
use crate::investigation::{Known, Source};
use crate::model::{Incident, KubeRef, Workload};
use crate::world::{DaemonSet, Deployment, Inventory, StatefulSet};

/// Nothing for a workload that is not watched, or is not there.
pub(super) fn of(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(workload) = &incident.workload else { return Vec::new() };
    match workload {
        Workload::Deployment(object) => {
            inventory.deployments.get(&object.uid).map(|it| deployment(object, it))
        }
        Workload::StatefulSet(object) => {
            inventory.stateful_sets.get(&object.uid).map(|it| stateful_set(object, it))
        }
        Workload::DaemonSet(object) => {
            inventory.daemon_sets.get(&object.uid).map(|it| daemon_set(object, it))
        }
        // The runs of a Job or CronJob, and a pod by itself, are told where they are; others are not watched.
        Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) | Workload::Other(_) => None,
    }
    .unwrap_or_default()
}

fn deployment(object: &KubeRef, it: &Deployment) -> Vec<Known> {
    let paused = if it.paused { ", paused: its controller brings out no revision" } else { "" };
    let figures = format!(
        "{} pods wanted, {} of the newest revision ({}), {} ready, {} available{paused}",
        it.desired, it.updated, it.revision, it.ready, it.available
    );
    let progress = (!it.progressing.is_empty()).then(|| {
        let reason = in_brackets(&it.progressing_reason);
        format!("Progressing is {}{reason}{}", it.progressing, after_colon(&it.progressing_message))
    });
    let failure = it.more.as_ref().filter(|more| !more.replica_failure.is_empty());
    let cannot = failure.map(|more| {
        format!("pods cannot be made{}: {}", since(more.replica_failure_since), more.replica_failure)
    });
    let mut all: Vec<Known> = [Some(figures), progress, cannot]
        .into_iter()
        .flatten()
        .map(|text| Known::new(None, Source::Status, object, text))
        .collect();
    let began = failure.and_then(|more| more.replica_failure_since);
    all.extend(began.map(|at| Known::new(at, Source::Status, object, "pods cannot be made since then")));
    all.extend(keeper(object, &it.manager, &it.manager_evidence));
    all
}

fn stateful_set(object: &KubeRef, it: &StatefulSet) -> Vec<Known> {
    let new = &it.update_revision;
    let revisions = if new.is_empty() {
        "which revision its pods are of is not told".to_owned()
    } else if it.current_revision == *new {
        format!("all pods are to be of revision {new}")
    } else {
        let held_back = if it.partition > 0 {
            format!(", the lowest {} stay as they are", it.partition)
        } else {
            String::new()
        };
        format!(
            "revision {new} is being brought out ({} pods are of it), the others are of {}{held_back}",
            it.updated, it.current_revision
        )
    };
    let figures = format!("{} pods wanted, {} ready, {} available", it.desired, it.ready, it.available);
    let mut all = vec![
        Known::new(None, Source::Status, object, figures),
        Known::new(None, Source::Status, object, revisions),
    ];
    if it.came_out_at.is_some() {
        let text = format!("the longest that a pod of revision {new} was seen ready: {}", span(it.ready_ms));
        all.push(Known::new(None, Source::Revisions, object, text));
    }
    for (at, what) in [
        (it.came_out_at, "came out"),
        (it.first_pod_at, "had its first pod"),
        (it.failed_at, "had a pod that failed, for the first time"),
    ] {
        all.extend(at.map(|at| Known::new(at, Source::Revisions, object, format!("revision {new} {what}"))));
    }
    all.extend(keeper(object, &it.manager, &it.manager_evidence));
    all
}

fn daemon_set(object: &KubeRef, it: &DaemonSet) -> Vec<Known> {
    let figures = format!(
        "{} pods wanted, {} of the newest revision, {} ready, {} available",
        it.desired, it.updated, it.ready, it.available
    );
    let mut all = vec![Known::new(None, Source::Status, object, figures)];
    all.extend(keeper(object, &it.manager, &it.manager_evidence));
    all
}

fn keeper(object: &KubeRef, manager: &str, evidence: &str) -> Option<Known> {
    kept(manager, evidence).map(|text| Known::new(None, Source::ManagedFields, object, text))
}
