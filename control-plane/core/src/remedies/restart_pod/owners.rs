//! What a crash-looping pod's owner is at: each kind its own sense, before anything is said of the pod.

use nimbus_protocol::ObjectKind;

use super::{Controller, Leeway, left_alone, propose_for, revision, target};
use crate::model::{Incident, KubeRef, Workload};
use crate::remedies::Answer;
use crate::settings::{Settings, later, millis};
use crate::snapshot::Snapshot;
use crate::world::{Container, Inventory, Object as _, Pod, Rollout, StatefulSet};

pub(super) fn of_deployment(
    incident: &Incident,
    owner: &str,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Answer {
    let Some(deployment) = inventory.deployments.get(owner) else { return gone(incident) };
    let name = deployment.reference();
    let Some((pod, container)) = target(incident, inventory.pods_of(owner), s.settings) else {
        return nothing_crash_loops(&name, s.settings);
    };
    let Some(set) = inventory.replica_set_of(pod) else {
        return Answer::Wait(format!("the ReplicaSet of {} has not been seen yet", incident.object));
    };
    if deployment.meta.deleting || set.meta.deleting {
        return leaving(&name);
    }
    if deployment.paused {
        return Answer::Recommend(format!(
            "{name} is paused: whoever paused it is at work on it, so its pods are left for a person"
        ));
    }
    if deployment.rollout() == Rollout::Progressing {
        return Answer::Wait(format!(
            "waits for the rollout: {name} is bringing out revision {} and is within its progress deadline; a \
             restart would only disturb it",
            deployment.revision
        ));
    }
    // Why the pod itself is left alone says more than that its revision is new.
    let never_lasted = || revision::never_lasted(deployment, (set, pod, container), inventory, s);
    if let Some(answer) = left_alone(pod, container).or_else(never_lasted) {
        return answer;
    }
    let planned = incident.plan_id.is_some() || incident.refused.is_some();
    let controller = Controller {
        object: set.meta.target(),
        kind: ObjectKind::ReplicaSet,
        revision: set.revision.to_string(),
        workload: Workload::Deployment(name),
    };
    propose_for(controller, (pod, container), Leeway { may_hold: true, planned }, inventory, s)
}

/// A StatefulSet's pod is made again under the same name and with the same volumes, which may hold it to its node: no node
/// is held for it.
pub(super) fn of_stateful_set(
    incident: &Incident,
    owner: &str,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Answer {
    let Some(set) = inventory.stateful_sets.get(owner) else { return gone(incident) };
    let name = set.reference();
    let Some((pod, container)) = target(incident, inventory.pods_owned_by(owner), s.settings) else {
        return nothing_crash_loops(&name, s.settings);
    };
    if set.meta.deleting {
        return leaving(&name);
    }
    if set.is_updating() {
        return Answer::Wait(format!(
            "waits for the update: {name} is bringing out revision {}; a restart would only disturb it",
            set.update_revision
        ));
    }
    let Some(next) = set.revision_of_new(&pod.meta.name) else {
        return Answer::Wait(format!("unknown: of which revision {} would be made anew", incident.object));
    };
    let another = !pod.controller_revision.is_empty() && pod.controller_revision != next;
    if another && !set.rolls {
        return Answer::Recommend(format!(
            "{name} is updated by hand (OnDelete), and {} is of revision {}: its controller makes it anew of revision {next} \
             once a person deletes it: `{}`",
            incident.object,
            pod.controller_revision,
            set.delete_command(&pod.meta.name)
        ));
    }
    if pod.controller_revision.is_empty() || another {
        let own = match pod.controller_revision.as_str() {
            "" => "a revision that its agent does not say",
            own => own,
        };
        return Answer::Wait(format!(
            "a new pod would be of revision {next}, and {} is of {own}: that would be an update, and no restart",
            incident.object
        ));
    }
    if let Some(answer) = fails_since_it_came_out(set, (pod, container), inventory, s) {
        return answer;
    }
    let planned = incident.plan_id.is_some() || incident.refused.is_some();
    let controller = Controller {
        object: set.meta.target(),
        kind: ObjectKind::StatefulSet,
        revision: next.to_owned(),
        workload: Workload::StatefulSet(name),
    };
    propose_for(controller, (pod, container), Leeway { may_hold: false, planned }, inventory, s)
}

/// A revision that was seen to come out, whose pods fail since soon after the first of them was made, and of
/// which none was ever ready for the time that makes a revision a good one: a new pod of it would fail the
/// same way. Without a readiness probe its update completes all the same.
fn fails_since_it_came_out(
    set: &StatefulSet,
    (pod, container): (&Pod, &Container),
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Option<Answer> {
    let (out, failed) = set.came_out_at.zip(set.failed_at)?;
    let (first, good) = (set.first_pod_at.unwrap_or(out), s.settings.good_after(0));
    // One whose pods were there for so long before it was heard of may have lasted unseen.
    let unseen = later(first, good) < out;
    let soon = !unseen && failed <= later(first, millis(s.settings.rollout_suspect_ms));
    // One that ends well each time finishes, of whatever revision it is.
    if pod.controller_revision != set.update_revision || !soon || container.finishes() {
        return None;
    }
    // Since the clock here jumped, what pods say of their times is by another one: only what was noted
    // counts.
    let steady = |other: &Pod| {
        inventory.clock_jumped_at.is_none()
            && other.controller_revision == set.update_revision
            && other.ready
            && other.ready_since.is_some_and(|since| later(since, good) <= s.now)
    };
    if set.ready_ms >= u64::from(s.settings.good_after_ms)
        || inventory.pods_owned_by(&set.meta.uid).any(steady)
    {
        return None;
    }
    let of_pod = &pod.meta.name;
    let delete = if set.parallel {
        String::new()
    } else {
        let command = set.delete_command(of_pod);
        format!("; its controller may then wait for {of_pod}, which has to be deleted: `{command}`")
    };
    Some(Answer::Recommend(format!(
        "{} brought out revision {} (its first pod: {first:.0}), and its pods fail since soon after that \
         ({failed:.0}): a new pod of it would fail the same way; look at the logs of {} of {of_pod}; \
         {}{delete}",
        set.reference(),
        set.update_revision,
        container.titled(),
        set.mend(),
    )))
}

fn gone(incident: &Incident) -> Answer {
    let workload = incident.workload.as_ref().map(ToString::to_string).unwrap_or_default();
    Answer::Wait(format!("{workload} no longer exists; the incident is resolved once that is certain"))
}

fn leaving(name: &KubeRef) -> Answer {
    Answer::Wait(format!("{name} is being deleted: its pods end with it, and nothing is done to them"))
}

/// A DaemonSet's new pod comes to the same node: nothing about it could differ.
pub(super) fn of_daemon_set(incident: &Incident, owner: &str, inventory: &Inventory) -> Answer {
    let pod = inventory.pods.get(incident.object.uid());
    let node = pod.map_or("its node", |pod| pod.node.as_str());
    let elsewhere = match inventory.daemon_sets.get(owner) {
        Some(set) => format!("it is ready on {} of {} nodes", set.ready, set.desired),
        None => "on how many other nodes it is ready is not known".to_owned(),
    };
    Answer::Recommend(format!(
        "{} belongs to a DaemonSet: a new pod would come to the same node; {elsewhere}; look at {node} and at the pod's \
         logs there",
        incident.object
    ))
}

fn nothing_crash_loops(name: &KubeRef, settings: &Settings) -> Answer {
    let wait = settings.settle().as_secs();
    Answer::Wait(format!(
        "no pod crash-loops at this moment; resolved once all pods of {name} have been ready for {wait} s"
    ))
}
