//! The independent check of the revision that a pod is of: one that failed soon after it came out, and never
//! lasted, is not mended by evicting its pods, unless one of them is well.

use jiff::Timestamp;

use super::siblings::{is_proven, moment_of};
use super::{Violations, require};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Pod, ReplicaSet};

/// Invariant 3: what failed since it was new would fail again, as far as it is known that it never lasted.
pub(super) fn revision(
    found: &mut Violations,
    (inventory, s): (&Inventory, &Snapshot<'_>),
    pod: &Pod,
    container: &str,
) {
    let set = inventory.replica_sets.get(&pod.meta.owner_uid);
    let Some(set) = set.filter(|set| !set.template_hash.is_empty()) else { return };
    let Some(deployment) = inventory.deployments.get(&set.meta.owner_uid) else { return };
    if deployment.template_hash != set.template_hash {
        return;
    }
    let history = inventory.histories.get(&deployment.meta.uid);
    let noted = history.and_then(|history| {
        history.revisions.iter().find(|revision| revision.template_hash == set.template_hash)
    });
    let seen_at = noted.and_then(|revision| revision.came_out_at);
    // Since the clock here jumped, what the API server says of its times is by another one.
    let jumped = inventory.clock_jumped_at.is_some()
        || history.is_some_and(|history| history.clock_jumped_at.is_some());
    let made_at = if jumped { None } else { set.meta.created_at };
    let crashed_at = pod.containers.iter().find(|c| c.name == container).and_then(|c| c.last_finished_at);
    let trouble_at = noted.and_then(|revision| revision.trouble.as_ref()).map(|trouble| trouble.first_at);
    let least = deployment.more.as_ref().map_or(0, |more| more.min_ready_seconds);
    let soak = i128::from(s.settings.good_after_ms).max(i128::from(least) * 1_000);
    // What was made before it was heard of came out then, but for what came out again: it failed before, or another
    // one was made after it, so soon that it had no time to last before that, and no time in which nobody looked.
    let in_time = |at: Timestamp| made_at.is_some_and(|own| at.duration_since(own).as_millis() <= soak);
    let met_in_time = history.is_some_and(|history| in_time(history.created_at));
    let newer = |other: &ReplicaSet| {
        let bounds = other.meta.created_at.zip(made_at).zip(seen_at);
        other.meta.owner_uid == set.meta.owner_uid
            && bounds.is_some_and(|((other, own), seen)| other > own && other <= seen && in_time(other))
    };
    let again = trouble_at.zip(seen_at).is_some_and(|(trouble, seen)| trouble < seen)
        || (met_in_time && inventory.replica_sets.values().any(newer));
    let out = if again { seen_at } else { seen_at.into_iter().chain(made_at).min() };
    let (Some(out), Some(failed)) = (out, trouble_at.or(crashed_at)) else { return };
    // One that was there for so long when it was heard of may have lasted unseen.
    let heard_at = seen_at.or(history.map(|history| history.created_at));
    let watched = heard_at.is_some_and(|at| at.duration_since(out).as_millis() <= soak);
    let suspect = i128::from(s.settings.rollout_suspect_ms);
    let within = if watched { suspect } else { suspect.min(soak) };
    let failed_soon = failed.duration_since(out).as_millis() <= within;
    let longest = noted.map_or(0, |revision| revision.longest_ms.max(revision.held_ms));
    let holds = history.and_then(|history| history.holding.as_ref()).is_some_and(|holding| {
        holding.template_hash == set.template_hash && s.now.duration_since(holding.since).as_millis() >= soak
    });
    let lasted = holds || i128::from(longest) >= soak;
    let moment = moment_of(pod, inventory, s);
    let well = |other: &Pod| {
        other.meta.owner_uid == pod.meta.owner_uid
            && other.meta.uid != pod.meta.uid
            && !other.meta.deleting
            && is_proven(other, moment, s)
    };
    require(found, 3, !failed_soon || lasted || inventory.pods.values().any(well), || {
        format!(
            "revision {} of {} failed soon after it came out and never lasted, and no other pod of it is known \
             to be well",
            deployment.revision, deployment.meta.name
        )
    });
}
