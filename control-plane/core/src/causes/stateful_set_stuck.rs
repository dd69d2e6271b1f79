//! The cause `stateful_set_stuck`: a StatefulSet's update waits for a pod that does not become ready.
//!
//! The controller replaces one pod after the other and waits until each is ready. A pod of a broken revision stops it,
//! and goes on stopping it after the template was put right: the controller does not replace a pod that never became
//! ready. So the steps are always a person's, and they are said exactly.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, Pod, StatefulSet, manager_name};

pub(super) struct StatefulSetStuck;

const NEEDS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::StatefulSet];

impl Cause for StatefulSetStuck {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        4
    }

    fn key_word(&self) -> &'static str {
        "statefulset"
    }

    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |set: &StatefulSet| {
            let pod = blocking_pod(set, inventory, settings.crash_loop_restarts)?;
            let reference = set.reference();
            let (scope, object) =
                (Scope::Cluster(cluster.to_owned()), ObjectRef::Kubernetes(reference.clone()));
            Some(Finding {
                workload: Some(Workload::StatefulSet(reference)),
                ..Finding::new(IncidentKind::StatefulSetStuck, scope, object, evidence(set, pod))
            })
        };
        inventory.stateful_sets.values().filter_map(finding).collect()
    }

    /// A pod that fails is due at once; one that only does not become ready has its time.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let Some(inventory) = s.inventory(scope) else { return false };
        let Some(set) = inventory.stateful_sets.get(object.uid()) else { return false };
        let restarts = s.settings.crash_loop_restarts;
        let Some(pod) = blocking_pod(set, inventory, restarts) else { return false };
        let time = if is_given_up(set, pod) { GIVEN_UP } else { NEWEST };
        fails(pod, restarts) || pod.meta.created_at.is_some_and(|made| later(made, time) <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: its update waits for a pod that does not come up", finding.subject())
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        pods::severity(finding, inventory)
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        pods::recovered(s, incident, now)
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        match s.known(&incident.scope, NEEDS) {
            Ok(()) => pods::agreement(s, incident),
            Err(unknown) => Agreement::Disagrees(unknown),
        }
    }

    fn recommendation(&self, s: &Snapshot<'_>, incident: &Incident) -> String {
        let found = s.inventory(&incident.scope).and_then(|inventory| {
            let set = inventory.stateful_sets.get(incident.object.uid())?;
            Some((set, blocking_pod(set, inventory, s.settings.crash_loop_restarts)?))
        });
        found.map_or_else(|| self.sentence().to_owned(), |(set, pod)| steps(set, pod))
    }

    fn sentence(&self) -> &'static str {
        "recommends the exact steps: put the template right, then delete the one pod that the controller waits for"
    }
}

/// How long a pod of a revision that was given up may be not ready before it is told: nobody waits for it any more.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(1);
/// How long a pod of the newest revision may take to become ready: as long as a Deployment's by default.
const NEWEST: SignedDuration = SignedDuration::from_mins(10);

/// Does it crash, or cannot get its image?
fn fails(pod: &Pod, restarts: u32) -> bool {
    pod.containers.iter().any(|c| c.cannot_pull_image() || (c.backs_off() && c.restarts >= restarts))
}

/// The pod that the controller waits for: not ready, and of a revision that is not the current one. One that fails goes
/// before one that only hangs.
fn blocking_pod<'a>(set: &StatefulSet, inventory: &'a Inventory, restarts: u32) -> Option<&'a Pod> {
    if set.meta.deleting || set.desired == 0 || !set.rolls || set.current_revision.is_empty() {
        return None;
    }
    let waited_for = |pod: &&Pod| {
        let own = &pod.controller_revision;
        !own.is_empty() && *own != set.current_revision && !pod.ready
    };
    let pods = inventory.pods_owned_by(&set.meta.uid).filter(waited_for);
    pods.min_by_key(|pod| (!fails(pod, restarts), &pod.meta.name))
}

/// Was the template changed again since that pod was made?
fn is_given_up(set: &StatefulSet, pod: &Pod) -> bool {
    pod.controller_revision != set.update_revision
}

fn evidence(set: &StatefulSet, pod: &Pod) -> Vec<String> {
    let (namespace, name) = (&set.meta.namespace, &set.meta.name);
    let of = if is_given_up(set, pod) { "a revision that was given up" } else { "the newest revision" };
    vec![
        format!(
            "pod {namespace}/{} of {of} ({}) does not become ready, and the controller waits for it",
            pod.meta.name, pod.controller_revision
        ),
        format!(
            "statefulset {namespace}/{name}: {} of {} pods are of revision {}, {} are ready",
            set.updated, set.desired, set.update_revision, set.ready
        ),
    ]
}

fn steps(set: &StatefulSet, pod: &Pod) -> String {
    let (namespace, name, pod_name) = (&set.meta.namespace, &set.meta.name, &pod.meta.name);
    let delete = format!("`kubectl -n {namespace} delete pod {pod_name}`");
    if is_given_up(set, pod) {
        return format!(
            "the template of {namespace}/{name} was put right, but the controller still waits for {pod_name}: delete that \
             one pod and no other: {delete}"
        );
    }
    let first = if set.manager.is_empty() {
        format!("`kubectl -n {namespace} rollout undo statefulset/{name}`")
    } else {
        format!("change it where {} keeps it ({})", manager_name(&set.manager), set.manager_evidence)
    };
    format!(
        "1. put the template of {namespace}/{name} right: {first}; 2. delete {pod_name}, which the controller waits for \
         and does not replace by itself: {delete}"
    )
}
