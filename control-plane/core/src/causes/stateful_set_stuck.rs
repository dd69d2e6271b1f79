//! The cause `stateful_set_stuck`: a StatefulSet's update waits for a pod that does not become ready.
//!
//! The controller replaces one pod after the other and waits until each is ready. A pod of a broken revision
//! stops it, and goes on stopping it after the template was put right: the controller does not replace a pod
//! that never became ready (with `podManagementPolicy: Parallel` it does). So the steps are always a
//! person's, and they are said exactly.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, Pod, StatefulSet};

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
            let pod = blocking_pod(set, inventory, settings.crash_loop_restarts, None)?;
            let reference = set.reference();
            let (scope, object) =
                (Scope::Cluster(cluster.to_owned()), ObjectRef::Kubernetes(reference.clone()));
            Some(Finding {
                workload: Some(Workload::StatefulSet(reference)),
                ..Finding::new(IncidentKind::StatefulSetStuck, scope, object, evidence(set, pod, inventory))
            })
        };
        inventory.stateful_sets.values().filter_map(finding).collect()
    }

    /// A pod that fails is due at once; one that only does not become ready has its time.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let Some(inventory) = s.inventory(scope) else { return false };
        let Some(set) = inventory.stateful_sets.get(object.uid()) else { return false };
        blocking_pod(set, inventory, s.settings.crash_loop_restarts, Some(now)).is_some()
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
        let restarts = s.settings.crash_loop_restarts;
        let found = s.inventory(&incident.scope).and_then(|inventory| {
            let set = inventory.stateful_sets.get(incident.object.uid())?;
            // Between two crashes it runs for a moment.
            let crashes = |pod: &&Pod| pod.containers.iter().any(|c| c.restarts >= restarts);
            let pod = blocking_pod(set, inventory, restarts, Some(s.now))
                .or_else(|| blocking_pod(set, inventory, restarts, None).filter(crashes))?;
            Some(steps(set, pod, inventory))
        });
        found.unwrap_or_else(|| self.sentence().to_owned())
    }

    fn sentence(&self) -> &'static str {
        "recommends the exact steps: put the template right, then delete the one pod that the controller waits for"
    }
}

/// How long a pod of a revision that was given up may be not ready before it is told: nobody waits for it any more.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(1);
/// How long a pod of the newest revision, or of the one before it, may be not ready: as long as a
/// Deployment's by default.
const NEWEST: SignedDuration = SignedDuration::from_mins(10);

/// Does it crash, or cannot get its image?
fn fails(pod: &Pod, restarts: u32) -> bool {
    pod.containers.iter().any(|c| c.cannot_pull_image() || (c.backs_off() && c.restarts >= restarts))
}

/// The pod that the controller waits for: not ready, and of the revision that is being brought out, or of one
/// that the controller means to replace. One that fails goes before one that only hangs, which has its time
/// until `now`; without a moment, as if it had had it.
fn blocking_pod<'a>(
    set: &StatefulSet,
    inventory: &'a Inventory,
    restarts: u32,
    now: Option<Timestamp>,
) -> Option<&'a Pod> {
    if set.meta.deleting || set.desired == 0 || !set.rolls || set.current_revision.is_empty() {
        return None;
    }
    let waited_for = |pod: &&Pod| {
        let own = &pod.controller_revision;
        let newest = *own == set.update_revision && *own != set.current_revision;
        !own.is_empty() && !pod.ready && (newest || is_given_up(set, pod))
    };
    let due =
        |pod: &&Pod| fails(pod, restarts) || now.is_none_or(|now| had_its_time(set, pod, inventory, now));
    let pods = inventory.pods_owned_by(&set.meta.uid).filter(waited_for).filter(due);
    pods.min_by_key(|pod| (!fails(pod, restarts), unready_since(pod, inventory), &pod.meta.name))
}

/// Was the template changed again since that pod was made, so that its controller would replace it, and waits
/// for it instead? With `Parallel` it does not wait.
fn is_given_up(set: &StatefulSet, pod: &Pod) -> bool {
    let (own, update) = (pod.controller_revision.as_str(), set.update_revision.as_str());
    // Below the partition a pod of the current revision stays what it is.
    let replaced = || own != set.current_revision || set.revision_of_new(&pod.meta.name) == Some(update);
    !set.parallel && own != update && replaced()
}

/// Was it not ready for so long that it may be told?
fn had_its_time(set: &StatefulSet, pod: &Pod, inventory: &Inventory, now: Timestamp) -> bool {
    // One of the current revision was well, as a rule, and may be again.
    let nobodys = is_given_up(set, pod) && pod.controller_revision != set.current_revision;
    let time = if nobodys { GIVEN_UP } else { NEWEST };
    unready_since(pod, inventory).is_some_and(|since| later(since, time) <= now)
}

/// Since when it has been not ready with nothing beside its template in its way; while something is, since
/// when it has been not ready. `None` where that is not said.
fn unready_since(pod: &Pod, inventory: &Inventory) -> Option<Timestamp> {
    let freed = if inventory.is_held_up(pod) { None } else { pod.held_up_until };
    let made = pod.meta.created_at?;
    Some(made).max(pod.ready_since).max(freed)
}

/// What keeps it from starting, in the words of whoever said so, if that is not shown to be its template.
fn held_up(pod: &Pod, inventory: &Inventory) -> Option<String> {
    inventory.cannot_start(pod).or_else(|| inventory.is_held_up(pod).then(|| pods::none_begun(pod, None)))
}

fn evidence(set: &StatefulSet, pod: &Pod, inventory: &Inventory) -> Vec<String> {
    let (namespace, name) = (&set.meta.namespace, &set.meta.name);
    let of = if is_given_up(set, pod) { "a revision that was given up" } else { "the newest revision" };
    let mut evidence = vec![
        format!(
            "pod {namespace}/{} of {of} ({}) does not become ready, and the controller waits for it",
            pod.meta.name, pod.controller_revision
        ),
        format!(
            "statefulset {namespace}/{name}: {} of {} pods are of revision {}, {} are ready",
            set.updated, set.desired, set.update_revision, set.ready
        ),
    ];
    evidence.extend(held_up(pod, inventory).map(|why| format!("pod {namespace}/{}: {why}", pod.meta.name)));
    evidence
}

fn steps(set: &StatefulSet, pod: &Pod, inventory: &Inventory) -> String {
    let (namespace, name, pod_name) = (&set.meta.namespace, &set.meta.name, &pod.meta.name);
    let delete = set.delete_command(pod_name);
    let why = held_up(pod, inventory);
    if is_given_up(set, pod) {
        let why = why.map_or_else(String::new, |why| format!(", which cannot start ({why})"));
        return format!(
            "the template of {namespace}/{name} was put right, but the controller still waits for {pod_name} \
             of revision {}{why}: delete that one pod and no other: `{delete}`",
            pod.controller_revision
        );
    }
    if let Some(why) = why {
        return format!(
            "the update of {namespace}/{name} waits for {pod_name}, which cannot start: {why}; its template \
             is not shown to be to blame: put that right, and the update goes on by itself"
        );
    }
    let mend = set.mend();
    if set.parallel {
        return format!(
            "put {namespace}/{name} right: {mend}; its controller then replaces {pod_name} \
             by itself (podManagementPolicy: Parallel)"
        );
    }
    format!(
        "1. put {namespace}/{name} right: {mend}; 2. delete {pod_name}, which the controller waits for and does not replace by \
         itself: `{delete}`"
    )
}
