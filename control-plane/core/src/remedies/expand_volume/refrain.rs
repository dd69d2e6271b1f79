//! When a volume that is nearly full is not expanded, and what is said instead.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::NOT_LET_GROW;
use nimbus_protocol::{ObjectKind, quantity};

use super::super::Answer;
use super::super::earlier::{self, Pause};
use crate::causes::{Short, short};
use crate::model::{ActionKind, Incident, Job, ObjectRef};
use crate::settings::later;
use crate::settings::volumes::Volumes;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, PersistentVolumeClaim, Volume, manager_name};

/// Grown so often within [`A_WEEK`], a volume is a person's.
const MOST_A_WEEK: usize = 2;
/// See [`MOST_A_WEEK`].
const A_WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Of the volume's capacity the file system has so much at least, thousandths: a small XFS keeps a fifth for itself.
const LEAST_OF_IT: u128 = 700;
/// And so much at most, as drivers round.
const MOST_OF_IT: u128 = 1_050;

/// What has been so for longer is no passing state.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// Where the API server said no. A quota may be raised meanwhile.
const NOT_LET: Pause = Pause {
    words: NOT_LET_GROW,
    within: A_WEEK,
    first: SignedDuration::from_hours(1),
    longest: SignedDuration::from_hours(24),
};
/// What a person can do in any case.
const BY_HAND: &str = "remove what its pod can do without, or move it to a larger claim";

/// The volume has bytes left: inodes ran out, or it is well by now.
pub(super) fn inodes_or_well(object: &ObjectRef, fresh: &[&Volume]) -> Answer {
    if fresh.iter().any(|volume| short(&volume.filesystem) == Short::Inodes) {
        return Answer::Recommend(format!(
            "the volume of {object} runs out of inodes and not of bytes: it holds too many files, whatever their size; find the \
             directory that fills (`du --inodes -x`), as a larger volume need not have more inodes"
        ));
    }
    Answer::Wait(format!("the volume of {object} has room again; over when that is certain"))
}

/// There is no step that may be taken.
pub(super) fn at_the_ceiling(claim: &PersistentVolumeClaim, asked: u64, volumes: &Volumes) -> Answer {
    let name = claim.object();
    let (asks, ceiling) = (quantity::binary(asked), quantity::binary(volumes.ceiling()));
    Answer::Recommend(format!(
        "the volume of {name} is nearly full and its claim asks for {asks}: a step more would be beyond the ceiling of {ceiling} \
         (settings, volumes.ceiling_gib) or beyond twice what it asks for; raise spec.resources.requests.storage by hand, or {BY_HAND}"
    ))
}

/// What the claim asks for now, where nothing speaks against a step; otherwise the answer to give.
pub(super) fn why(
    incident: &Incident,
    (claim, full, measured_at): (&PersistentVolumeClaim, &Volume, Timestamp),
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<u64, Answer> {
    let name = claim.object();
    if !claim.manager.is_empty() {
        return Err(Answer::Recommend(format!(
            "the volume of {name} is nearly full, and its claim is managed by {} ({}): raise its size there, what Nimbus writes would \
             be undone or would fight it; or {BY_HAND}",
            manager_name(&claim.manager),
            claim.manager_evidence
        )));
    }
    let set = super::pod_of_set(claim, inventory)
        .and_then(|pod| inventory.stateful_sets.get(&pod.meta.owner_uid))
        .filter(|set| set.manager == "operator");
    if let Some(set) = set {
        return Err(Answer::Recommend(format!(
            "the volume of {name} is nearly full, and StatefulSet {} that it was made for belongs to an operator ({}): raise the size in \
             the resource that the operator keeps, which decides how its volumes grow; or {BY_HAND}",
            set.meta.name, set.manager_evidence
        )));
    }
    grows(claim, inventory, incident, s).map_err(Answer::Recommend)?;
    under_way(claim, s.now.duration_since(incident.created_at) > PATIENCE)?;
    its_own(claim, full)?;
    tried(incident, (claim, measured_at), s)?;
    // The checker wants both: what is not told is not planned from.
    claim.requested.filter(|_| claim.capacity.is_some()).ok_or_else(|| {
        Answer::Recommend(format!(
            "how much {name} asks for and has is not told by the cluster's agent: upgrade it, or raise spec.resources.requests.storage by hand"
        ))
    })
}

/// Why its class does not let it grow, as far as that is known.
fn grows(
    claim: &PersistentVolumeClaim,
    inventory: &Inventory,
    incident: &Incident,
    s: &Snapshot<'_>,
) -> Result<(), String> {
    let (name, class) = (claim.object(), &claim.storage_class);
    let full = format!("the volume of {name} is nearly full");
    if claim.bound_to().is_none() {
        return Err(format!("{full}, and its claim is {}: look at it; or {BY_HAND}", claim.phase));
    }
    if class.is_empty() {
        return Err(format!(
            "{full}, and its claim names no StorageClass: its volume was made by hand, and nothing makes it larger; {BY_HAND}"
        ));
    }
    // What lies in a class that is not listed is not that the class is not there.
    s.known(&incident.scope, &[ObjectKind::StorageClass]).map_err(|unknown| {
        format!(
            "{full}, and whether StorageClass {class} lets it grow is not known ({unknown}): raise spec.resources.requests.storage by \
             hand where it does; or {BY_HAND}"
        )
    })?;
    match inventory.storage_class(class) {
        Some(found) if found.allows_expansion => Ok(()),
        Some(_) => Err(format!(
            "{full}, and StorageClass {class} does not allow expansion: where its driver can expand volumes, set \
             allowVolumeExpansion: true there and Nimbus asks for more; or {BY_HAND}"
        )),
        None => Err(format!(
            "{full}, and its StorageClass {class} is not there any more: nothing makes it larger; {BY_HAND}"
        )),
    }
}

/// A change of its size is under way, or does not get on. Where its volume has been full for `long`, a person is told instead of that it
/// is waited for.
fn under_way(claim: &PersistentVolumeClaim, long: bool) -> Result<(), Answer> {
    let name = claim.object();
    let wait = |why: String| {
        if !long {
            return Answer::Wait(why);
        }
        Answer::Recommend(format!(
            "{why}, and that for long: see whether anything resizes volumes of class {} (`kubectl -n {} describe pvc {}`), or {BY_HAND}",
            claim.storage_class, claim.meta.namespace, claim.meta.name
        ))
    };
    if !claim.resize_error.is_empty() {
        return Err(Answer::Recommend(format!(
            "the volume of {name} is nearly full and does not get the size that was asked for ({}): see why (`kubectl -n {} describe pvc \
             {}`), ask for less, as long as that is more than it has, or {BY_HAND}",
            claim.resize_error, claim.meta.namespace, claim.meta.name
        )));
    }
    if claim.resizing.starts_with("FileSystemResizePending") || claim.resizing == "NodeResizePending" {
        return Err(wait(format!(
            "the volume of {name} has its new size, and its file system grows next ({}); where that does not come, its driver \
             grows file systems off line: start its pod anew",
            claim.resizing
        )));
    }
    let asks_for_more = claim.requested.zip(claim.capacity).is_some_and(|(asked, has)| has < asked);
    if !claim.resizing.is_empty() || asks_for_more {
        let how = if claim.resizing.is_empty() { "it asks for more than it has" } else { &claim.resizing };
        return Err(wait(format!("the volume of {name} is on its way to another size ({how})")));
    }
    Ok(())
}

/// The file system is not the claim's alone, or does not have its size: a larger claim gives it no room.
fn its_own(claim: &PersistentVolumeClaim, full: &Volume) -> Result<(), Answer> {
    let name = claim.object();
    let sizes = full.filesystem.capacity.zip(claim.capacity.or(claim.requested));
    let Some((of_volume, of_claim)) = sizes else { return Ok(()) };
    let share = u128::from(of_volume) * 1_000 / u128::from(of_claim.max(1));
    if share > MOST_OF_IT {
        return Err(Answer::Recommend(format!(
            "the volume of {name} is nearly full as its pod sees it, and that file system ({of_volume} bytes) is larger than the claim \
             ({of_claim}): others share it, and a larger claim gives no room; make room on the storage behind it, or {BY_HAND}"
        )));
    }
    if share < LEAST_OF_IT {
        return Err(Answer::Recommend(format!(
            "the volume of {name} is nearly full as its pod sees it, and that file system ({of_volume} bytes) does not have the size that \
             the claim says ({of_claim}): see why (`kubectl -n {} describe pvc {}`), start its pod anew, or {BY_HAND}",
            claim.meta.namespace, claim.meta.name
        )));
    }
    Ok(())
}

/// What was tried on this very claim before.
fn tried(
    incident: &Incident,
    (claim, measured_at): (&PersistentVolumeClaim, Timestamp),
    s: &Snapshot<'_>,
) -> Result<(), Answer> {
    let name = claim.object();
    let of_it = |job: &&Job| {
        job.action == ActionKind::ExpandVolume
            && job.scope == incident.scope
            && job.object.uid() == claim.meta.uid
    };
    not_let(&name, s.all_jobs().filter(of_it), s.now)?;
    let grown: Vec<_> = s
        .all_jobs()
        .filter(of_it)
        .filter_map(earlier::changed_at)
        .filter(|at| earlier::lately(*at, A_WEEK, s.now))
        .collect();
    let last = grown.iter().max().copied();
    if let Some(at) = last.filter(|at| *at >= measured_at) {
        return Err(Answer::Wait(format!(
            "the volume of {name} was expanded at {at:.0}; how full it is since is measured within minutes"
        )));
    }
    if grown.len() >= MOST_A_WEEK {
        return Err(Answer::Recommend(format!(
            "the volume of {name} was expanded {} times within a week and is nearly full again: it fills with something that grows \
             without end; find what that is and bound it (logs, dumps, old segments), or raise spec.resources.requests.storage by hand",
            grown.len()
        )));
    }
    let from = last.map(|at| later(at, s.settings.volumes.cool_down()));
    match from.filter(|from| s.now < *from) {
        Some(from) => Err(Answer::Wait(format!(
            "the volume of {name} was expanded lately and is nearly full again: the next step is planned from {from:.0} on, as the \
             settings say (volumes.cool_down_s)"
        ))),
        None => Ok(()),
    }
}

/// The API server said no lately: to each time of one after the other belongs a longer wait.
fn not_let<'a>(name: &ObjectRef, jobs: impl Iterator<Item = &'a Job>, now: Timestamp) -> Result<(), Answer> {
    let Some((last, from)) = NOT_LET.after(jobs, now) else { return Ok(()) };
    let how = if last.reason.contains("cannot patch resource") {
        "the agent lacks the right to patch claims there (the chart gives it with expand_volume in acting.actions)"
    } else {
        "make room there"
    };
    Err(Answer::Recommend(format!(
        "the volume of {name} is nearly full, and the API server does not let it grow ({}): {how}, or {BY_HAND}; asked again from \
         {from:.0} on",
        last.reason
    )))
}
