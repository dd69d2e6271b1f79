//! Whether the present revision of a Deployment was ever more than new.
//!
//! One that failed soon after it came out and never lasted fails again however often a pod of it is made
//! anew, also where no older one lasted that could be gone back to. Another pod of it that is well shows that
//! it can be.

use jiff::SignedDuration;

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
    let seen = noted.is_some_and(|one| one.came_out_at.is_some());
    // Since the clock here jumped, what the API server says of its times is by another one.
    if !seen && inventory.clock_jumped_at.is_some() {
        return false;
    }
    let failed = inventory.trouble_of_present(deployment).map(|trouble| trouble.first_at);
    let failed = failed.or(container.last_finished_at);
    let Some((out, failed)) = inventory.came_out_at(deployment).zip(failed) else { return false };
    // One that came out before this cluster was met may have lasted unseen, unless it had no time for that.
    let met_early = history.is_some_and(|history| history.created_at <= later(out, soak));
    let suspect = millis(s.settings.rollout_suspect_ms);
    let within = if seen || met_early { suspect } else { suspect.min(soak) };
    failed <= later(out, within)
}
