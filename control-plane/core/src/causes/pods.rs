//! What the causes that are detected in pods share: which pods they examine, what a finding names, and when a workload
//! has recovered.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::Agreement;
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::{later, millis};
use crate::snapshot::Snapshot;
use crate::world::{Begun, Container, Health, Inventory, Object as _, Pod};

/// A pod's workload is known only with the objects between them.
pub(super) const NEEDS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment];

/// Longest time for which something that keeps coming back has to be well.
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// One finding for each pod with a container that `shows` the trouble, put in words by `say`. Pods on their way
/// out are left alone; of several such containers the one with most restarts speaks.
pub(super) fn findings(
    kind: IncidentKind,
    place: Place<'_>,
    shows: impl Fn(&Container) -> bool,
    say: impl Fn(&Container) -> Vec<String>,
) -> Vec<Finding> {
    let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
    let worst = |pod: &'_ Pod| {
        let failing = pod.containers.iter().filter(|c| shows(c));
        failing.max_by_key(|c| (c.restarts, std::cmp::Reverse(c.name.clone()))).cloned()
    };
    let mut found = Vec::new();
    // One that ended is no pod any more: its controller makes another one.
    for pod in inventory.possibly_unhealthy_pods().filter(|pod| pod.is_active()) {
        let Some(container) = worst(pod) else { continue };
        let on = if pod.node.is_empty() { "no node yet" } else { &pod.node };
        let mut evidence = say(&container);
        if let Some(first) = evidence.first_mut() {
            *first = format!("pod {}/{} on {on}: {first}", pod.meta.namespace, pod.meta.name);
        }
        let (scope, object) = (Scope::Cluster(cluster.to_owned()), pod.object());
        found.push(Finding {
            workload: Some(inventory.workload_of(pod)),
            node: pod.node.clone(),
            container: container.name,
            restarts: container.restarts,
            ..Finding::new(kind, scope, object, evidence)
        });
    }
    found
}

/// That no container of a pod was begun, `within` this time where that is known, and what tells why.
pub(super) fn none_begun(pod: &Pod, within: Option<SignedDuration>) -> String {
    let after = if pod.begun() == Some(Begun::Init) { " after its init containers" } else { "" };
    let within = within.map_or_else(String::new, |time| format!(" in {} s", time.as_secs()));
    let reason = pod.containers.first().map_or("", |container| container.reason.as_str());
    format!(
        "no container of it was begun{after}{within} ({reason}); its events say whether a volume cannot be attached or \
         mounted, its network not be made, or its image is still pulled"
    )
}

/// Does a finding on a pod call for an incident now? Not while its node flaps: what its pods do in its good seconds is the
/// node's; and not where every node of the cluster is lost at once: then it is what they share.
pub(super) fn is_due(s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
    let Some(inventory) = s.inventory(scope) else { return true };
    let node = inventory.pods.get(object.uid()).and_then(|pod| inventory.node(&pod.node));
    let flaps = node.is_some_and(|node| node.flaps(millis(s.settings.node_steady_ms), now));
    !flaps && !inventory.lost_every_node()
}

/// How long what came back so often has to be well: twice as long each time, up to [`LONGEST`].
pub(super) fn steady(base: SignedDuration, incident: &Incident) -> SignedDuration {
    let factor = 1_i32 << incident.returns.min(10);
    base.saturating_mul(factor).min(LONGEST.max(base))
}

/// Critical where a workload has no ready pod at all.
pub(super) fn severity(finding: &Finding, inventory: Option<&Inventory>) -> Severity {
    let (Some(inventory), Some(workload)) = (inventory, &finding.workload) else { return Severity::Warning };
    match inventory.health_of(workload) {
        Health::NotReady { ready: 0, .. } => Severity::Critical,
        Health::NotReady { .. } | Health::Gone | Health::Idle | Health::ReadySince(_) | Health::Unknown => {
            Severity::Warning
        }
    }
}

/// Why a workload is well again, if it certainly is.
pub(super) fn recovered(s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
    let inventory = s.inventory(&incident.scope)?;
    let workload = incident.workload.as_ref()?;
    let settle = steady(s.settings.settle(), incident);
    match inventory.health_of(workload) {
        Health::Gone => Some(format!("{workload} no longer exists")),
        Health::Idle => Some(format!("{workload} was scaled to zero")),
        Health::ReadySince(since) if later(since, settle) <= now => {
            Some(format!("all pods of {workload} have been ready since {since:.0}"))
        }
        Health::ReadySince(_) | Health::NotReady { .. } => None,
        Health::Unknown if matches!(workload, Workload::CronJob(_)) => {
            a_later_run_completed(inventory, incident, workload)
        }
        Health::Unknown => single(inventory, incident, workload, |pod| {
            pod.ready && pod.ready_since.is_some_and(|since| later(since, settle) <= now)
        })
        .or_else(|| without_successor(s, incident, workload, now)),
    }
}

/// A CronJob is well again once a run that was made after the trouble was found completes; or once no run is left of it.
fn a_later_run_completed(inventory: &Inventory, incident: &Incident, workload: &Workload) -> Option<String> {
    let newest = inventory.runs_of(workload.uid()).max_by_key(|run| (run.meta.created_at, &run.meta.name));
    let completed = |run: &&crate::world::BatchJob| {
        run.completed_at.is_some() && run.meta.created_at.is_some_and(|made| made >= incident.created_at)
    };
    newest.filter(completed).map(|run| format!("a later run of {workload} completed: {}", run.meta.name))
}

/// A pod of a controller that is not watched is gone, nothing came after it for as long as it takes to forget attempts, and
/// the others are well: it was not to be replaced.
fn without_successor(
    s: &Snapshot<'_>,
    incident: &Incident,
    workload: &Workload,
    now: Timestamp,
) -> Option<String> {
    let watched = match workload {
        Workload::Deployment(_) | Workload::StatefulSet(_) | Workload::DaemonSet(_) => true,
        Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) | Workload::Other(_) => false,
    };
    let patience = millis(s.settings.reset_after_ms);
    let quiet = incident.object_gone_at.is_some_and(|at| later(at, patience) <= now);
    let inventory = s.inventory(&incident.scope).filter(|_| quiet && !watched)?;
    let gone = inventory.pods.get(incident.object.uid()).is_none();
    // One that became ready since came after it: that is told by its own time.
    let all_along = |pod: &Pod| pod.ready && pod.ready_since.is_some_and(|at| at < incident.created_at);
    (gone && inventory.pods_below(workload.uid()).all(all_along)).then(|| {
        format!("{} is gone and was not replaced; every other pod of {workload} is ready", incident.object)
    })
}

/// A workload whose object is not watched: its pods that are there are well, and the one that the incident is about, or one
/// that came after it, is among them; or none is left. That no pod is there is no evidence where the workload's kind is only
/// not listed at the moment: between two pods of it there is none.
fn single(
    inventory: &Inventory,
    incident: &Incident,
    workload: &Workload,
    well: impl Fn(&Pod) -> bool,
) -> Option<String> {
    // What lies between, such as the ReplicaSet of a Rollout, is not asked: it is a part of the workload.
    let belongs = |pod: &&Pod| {
        pod.meta.uid == incident.object.uid() || inventory.workload_of(pod).uid() == workload.uid()
    };
    let mut pods = inventory.pods.values().filter(|pod| pod.is_active()).filter(belongs).peekable();
    if pods.peek().is_none() {
        return match workload {
            Workload::Deployment(_)
            | Workload::StatefulSet(_)
            | Workload::DaemonSet(_)
            // Its controller may make another one yet.
            | Workload::Other(_) => None,
            Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) => {
                Some(format!("{} no longer exists", incident.object))
            }
        };
    }
    // Its other pods were well all the time: that they are is no evidence of a recovery.
    let tells = |pod: &&Pod| {
        pod.meta.uid == incident.object.uid() || pod.ready_since.is_some_and(|at| at >= incident.created_at)
    };
    let told = inventory.pods.values().filter(|pod| pod.is_active()).filter(belongs).any(|pod| tells(&pod));
    (told && pods.all(well)).then(|| format!("{} has been ready long enough", incident.object))
}

/// Does the world agree that the workload is well, right after a job says so?
pub(super) fn agreement(s: &Snapshot<'_>, incident: &Incident) -> Agreement {
    if let Err(unknown) = s.known(&incident.scope, NEEDS) {
        return Agreement::Disagrees(unknown);
    }
    let (Some(inventory), Some(workload)) = (s.inventory(&incident.scope), &incident.workload) else {
        return Agreement::Disagrees("unknown: the incident names no workload".to_owned());
    };
    match inventory.health_of(workload) {
        Health::NotReady { ready, wanted } => {
            Agreement::Disagrees(format!("{ready} of {wanted} pods of {workload} are ready"))
        }
        Health::Unknown => {
            Agreement::Disagrees(format!("unknown: {workload} is not of a kind that is watched"))
        }
        // Gone is not well: the incident ends for that reason, and not because a job helped.
        Health::Gone => Agreement::Disagrees(format!("{workload} no longer exists")),
        Health::Idle => Agreement::Disagrees(format!("{workload} was scaled to zero")),
        Health::ReadySince(_) => Agreement::Agrees,
    }
}
