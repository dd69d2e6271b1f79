//! The independent check of what a pod's siblings tell: whether the pod, its node or something that all of
//! them share is to blame.

use jiff::Timestamp;
use nimbus_protocol::v1;

use super::{Violations, require};
use crate::model::{ActionKind, JobState};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, Pod};

/// Invariant 3: where all pods of the template fail on several nodes, neither a node nor a pod is to blame;
/// and the node of one is held back only where the template is well elsewhere and fails nowhere else.
pub(super) fn siblings(
    found: &mut Violations,
    action: &v1::RestartPod,
    (inventory, s): (&Inventory, &Snapshot<'_>),
    pod: &Pod,
) {
    let of_template = |other: &&Pod| {
        other.meta.owner_uid == pod.meta.owner_uid
            && other.controller_revision == pod.controller_revision
            && !other.meta.deleting
            && other.phase != "Succeeded"
            && other.phase != "Failed"
            && !other.node.is_empty()
    };
    let moment = moment_of(pod, inventory, s);
    let (mut elsewhere, mut here, mut fails_elsewhere) = (0, 0, 0);
    let (mut fails_beside, mut proven_here) = (0, 0);
    for other in inventory.pods.values().filter(of_template) {
        let restarted = other.containers.iter().any(|c| c.restarts > 0);
        let fails = crashed_lately(other, 2, moment);
        match (other.ready && !fails, other.node == pod.node) {
            (true, true) => {
                here += 1;
                proven_here += usize::from(is_proven(other, moment, s));
            }
            (true, false) if is_proven(other, moment, s) => elsewhere += 1,
            (false, false) if restarted => fails_elsewhere += 1,
            (false, true) if restarted && other.meta.uid != pod.meta.uid => fails_beside += 1,
            (true | false, _) => {}
        }
    }
    require(found, 3, fails_elsewhere == 0 || here + elsewhere > 0, || {
        format!(
            "no pod of the template of {} is known to be well, and they fail on several nodes",
            pod.meta.name
        )
    });
    // Where they fail on several nodes one eviction is a probe, and one that did not help is the last.
    let owner = inventory.workload_of(pod);
    let in_vain = s.all_jobs().any(|job| {
        let same = job.action != ActionKind::ScaleWorkload
            && job.workload.as_ref().is_some_and(|other| other.uid() == owner.uid());
        let ended = matches!(
            job.state,
            JobState::Failed | JobState::Compensated | JobState::Unknown | JobState::Expired
        );
        same && ended && job.attempts_reset_at.is_none()
    });
    require(found, 3, fails_elsewhere == 0 || !in_vain, || {
        format!(
            "pods of the template of {} fail on several nodes, and replacing one did not help",
            pod.meta.name
        )
    });
    // Where they fail on one node alone, a probe is one that could tell more elsewhere, and the first.
    let together = fails_beside > 0 && fails_elsewhere == 0 && elsewhere + proven_here == 0;
    let open =
        |n: &Node| n.meta.name != pod.node && n.ready == "True" && !n.unschedulable && !n.meta.deleting;
    let replaced = || {
        s.all_jobs().any(|job| {
            let same = job.action != ActionKind::ScaleWorkload
                && job.workload.as_ref().is_some_and(|other| other.uid() == owner.uid());
            same && job.applied_at.is_some() && job.attempts_reset_at.is_none()
        })
    };
    let probes = || !in_vain && !replaced() && inventory.nodes.values().any(open);
    require(found, 3, !together || probes(), || {
        format!(
            "{fails_beside} other pods of the template of {} fail on {} as well, none is known to be well, and \
             either one was replaced before or there is no other open node",
            pod.meta.name, pod.node
        )
    });
    if action.avoid_node {
        require(found, 7, elsewhere > 0 && here == 0 && fails_elsewhere == 0, || {
            format!(
                "node {} is not suspect: the template is well on it {here} times and elsewhere {elsewhere} \
                 times, and fails elsewhere {fails_elsewhere} times",
                pod.node
            )
        });
    }
}

/// The moment that the pods' times are compared with: now, or since the clock here jumped, that of the last
/// crash of the one that fails.
pub(super) fn moment_of(failing: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> Option<Timestamp> {
    match inventory.clock_jumped_at {
        None => Some(s.now),
        Some(_) => failing.containers.iter().filter_map(|c| c.last_finished_at).max(),
    }
}

/// Has a container of it been restarted so often, the last time within ten minutes, or at a time that is not
/// told?
fn crashed_lately(pod: &Pod, restarts: u32, moment: Option<Timestamp>) -> bool {
    pod.containers.iter().any(|c| {
        let ago = c.last_finished_at.zip(moment).map(|(at, now)| now.duration_since(at).as_secs());
        c.restarts >= restarts && ago.is_none_or(|secs| secs < 600)
    })
}

/// Is it ready, not only since a moment ago, and without any crash lately?
pub(super) fn is_proven(pod: &Pod, moment: Option<Timestamp>, s: &Snapshot<'_>) -> bool {
    let ready_for = pod.ready_since.zip(moment).map(|(since, now)| now.duration_since(since).as_millis());
    pod.ready
        && ready_for.is_some_and(|ms| ms >= i128::from(s.settings.verify_ms))
        && !crashed_lately(pod, 1, moment)
}
