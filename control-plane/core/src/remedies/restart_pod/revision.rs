//! Whether the present revision of a Deployment was ever more than new.
//!
//! One that failed soon after it came out and never lasted fails again however often a pod of it is made
//! anew, also where no older one lasted that could be gone back to. Another pod of it that is well shows that
//! it can be.

use jiff::{SignedDuration, Timestamp};

use super::shared;
use super::siblings::{self, Witness};
use crate::remedies::Answer;
use crate::settings::{later, millis};
use crate::snapshot::Snapshot;
use crate::world::{Container, Deployment, Inventory, Object as _, Pod, ReplicaSet};

/// What speaks against replacing a pod of a revision that never lasted.
pub(super) fn never_lasted(
    deployment: &Deployment,
    (set, pod, container): (&ReplicaSet, &Pod, &Container),
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Option<Answer> {
    let soak = s.settings.good_after(deployment.min_ready_seconds());
    let present = set.template_hash == deployment.template_hash;
    if !present
        || !failed_soon(deployment, container, soak, inventory, s)
        || inventory.ever_lasted(deployment, soak, s.now)
    {
        return None;
    }
    let (revision, name) = (deployment.revision, deployment.reference());
    match siblings::witness(pod, siblings::of(pod, inventory), inventory, s) {
        Witness::Well => None,
        Witness::Soon(on, left) => {
            let seen_at = later(s.now, left);
            Some(Answer::Wait(format!(
                "revision {revision} of {name} has not lasted yet; whether its pod that is ready on {on} stays \
                 well is seen at {seen_at:.0}"
            )))
        }
        Witness::Nobody => {
            let look_for = format!(
                "correct the template or what it depends on; look at the logs of {} of {}/{}",
                container.titled(),
                pod.meta.namespace,
                pod.meta.name
            );
            Some(Answer::Recommend(format!(
                "revision {revision} of {name} never lasted: it failed soon after it came out, no pod of it is \
                 known to be well, and an eviction gives the same again; {}",
                shared::with_evidence(pod, inventory, s, look_for)
            )))
        }
    }
}

/// Did the present revision fail so soon after it came out that it may never have worked? Where that is not
/// known it did not.
fn failed_soon(
    deployment: &Deployment,
    container: &Container,
    soak: SignedDuration,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> bool {
    let history = inventory.histories.get(&deployment.meta.uid);
    let noted = history.and_then(|history| history.of(&deployment.template_hash));
    let seen_at = noted.and_then(|one| one.came_out_at);
    // Since the clock here jumped, what the API server says of its times is by another one.
    let jumped = inventory.clock_jumped_at.is_some()
        || history.is_some_and(|history| history.clock_jumped_at.is_some());
    let made_at = inventory.present_set(deployment).and_then(|set| set.meta.created_at);
    let made_at = made_at.filter(|_| !jumped);
    let trouble_at = inventory.trouble_of_present(deployment).map(|trouble| trouble.first_at);
    // A ReplicaSet that was made since its own, before it was seen to come out, is what came in between, also where
    // it is on its way out by now. One that was made after a soak time tells nothing: until then its own may have
    // lasted. So it may where nobody looked from then on.
    let between = |seen: Timestamp| {
        let Some(own) = made_at else { return false };
        let soaked_at = later(own, soak);
        let followed = history.is_some_and(|history| history.created_at <= soaked_at);
        let of_this = |set: &&ReplicaSet| set.meta.owner_uid == deployment.meta.uid;
        let mut made = inventory.replica_sets.values().filter(of_this).filter_map(|set| set.meta.created_at);
        followed && made.any(|other| own < other && other <= seen.min(soaked_at))
    };
    let out = match seen_at {
        // It was given up and came out again: its ReplicaSet is the one from then.
        Some(seen) if trouble_at.is_some_and(|at| at < seen) || between(seen) => Some(seen),
        // It may have been there for long before it was heard of.
        Some(seen) => Some(made_at.map_or(seen, |made| made.min(seen))),
        None => made_at,
    };
    let Some((out, failed)) = out.zip(trouble_at.or(container.last_finished_at)) else { return false };
    // One that came out before it was heard of may have lasted unseen, unless it had no time for that.
    let heard_at = seen_at.or(history.map(|history| history.created_at));
    let watched = heard_at.is_some_and(|at| at <= later(out, soak));
    let suspect = millis(s.settings.rollout_suspect_ms);
    failed <= later(out, if watched { suspect } else { suspect.min(soak) })
}
