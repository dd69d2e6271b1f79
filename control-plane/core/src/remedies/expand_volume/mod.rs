//! The remedy `expand_volume`: lets the claim of a volume that is nearly full ask for more, after approval, by a step at once,
//! up to a ceiling, and with a pause between two steps.
//!
//! It is for bytes alone: inodes that run out are not what is asked for. When it refrains is [`refrain`]'s; whether a quota
//! leaves room is the agent's to ask, at the moment of acting. A volume that is full again soon after it grew twice fills with
//! something that grows without end, and a person is told so.

mod refrain;

use jiff::Timestamp;
use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, quantity, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::causes::{Short, short};
use crate::model::{Alternative, Incident, IncidentKind, Outlook};
use crate::settings::Settings;
use crate::settings::volumes::Volumes;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, PersistentVolumeClaim, Pod, Volume, manager_name};

pub(super) struct ExpandVolume;

const MI: u64 = 1 << 20;
const GI: u64 = 1 << 30;
/// No agent watches for longer.
const HOUR_MS: u32 = 3_600_000;

impl Remedy for ExpandVolume {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::VolumeNearFull]
    }

    /// Classes are asked about in [`refrain`]: without them there is still something to recommend.
    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::PersistentVolumeClaim]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "raises what the claim of a nearly full volume asks for, by a step, where its storage class lets it grow"
    }

    fn name(&self) -> &'static str {
        "expand the volume"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let object = &incident.object;
        let claim = inventory.persistent_volume_claims.get(object.uid()).filter(|claim| !claim.meta.deleting);
        let Some(claim) = claim else {
            return Answer::Wait(format!(
                "{object} no longer exists; the incident is resolved once that is certain"
            ));
        };
        let seen = inventory.measured.of_claim(&claim.meta.namespace, &claim.meta.name);
        let fresh: Vec<(Timestamp, &Volume)> = seen
            .filter(|(_, node, volume)| node.is_fresh(s.now) && volume.tells_of(claim, node.at))
            .map(|(_, node, volume)| (node.at, volume))
            .collect();
        let Some(newest) = fresh.iter().map(|(at, _)| *at).max() else {
            return Answer::Wait(format!("the volume of {object} was not measured lately"));
        };
        // What another kubelet said before is of the same file system as it was then.
        let fresh: Vec<&Volume> =
            fresh.into_iter().filter(|(at, _)| *at == newest).map(|(_, volume)| volume).collect();
        let Some(full) = fresh.iter().find(|volume| short(&volume.filesystem) == Short::Bytes) else {
            return refrain::inodes_or_well(object, &fresh);
        };
        match refrain::why(incident, (claim, full, newest), inventory, s) {
            Err(answer) => answer,
            Ok(asked) => match next(asked, claim.capacity, &s.settings.volumes) {
                Some(to) => expand(claim, inventory, (asked, to), full),
                None => refrain::at_the_ceiling(claim, asked, &s.settings.volumes),
            },
        }
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::ExpandVolume(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    /// A storage system that has to attach or to move something takes minutes.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms.saturating_mul(5).min(HOUR_MS).max(settings.verify_timeout_ms)
    }
}

/// What the claim is to ask for: a step more than it asks for now and than its volume has, in whole GiB (which is what most
/// storage systems have) or below one in whole MiB, at most twice what it asks for, and at most the ceiling. `None` where that is
/// no step.
fn next(asked: u64, has: Option<u64>, volumes: &Volumes) -> Option<u64> {
    let base = has.unwrap_or(asked).max(asked);
    let step = u128::from(base) * u128::from(volumes.step_percent) / 100;
    let wanted = base.saturating_add(u64::try_from(step).ok()?.max(MI));
    let unit = if wanted >= GI { GI } else { MI };
    let whole = wanted.checked_next_multiple_of(unit)?;
    let most = (asked.saturating_mul(2) / MI * MI).min(volumes.ceiling());
    Some(whole.min(most)).filter(|to| *to > base)
}

fn expand(
    claim: &PersistentVolumeClaim,
    inventory: &Inventory,
    (from, to): (u64, u64),
    full: &Volume,
) -> Answer {
    let name = format!("{}/{}", claim.meta.namespace, claim.meta.name);
    let (was, becomes) = (quantity::binary(from), quantity::binary(to));
    let class = &claim.storage_class;
    let mut changes = vec![
        format!("spec.resources.requests.storage of {name}: {was} -> {becomes}"),
        format!(
            "StorageClass {class} allows that; its driver makes the volume larger, and the kubelet the file system, as a rule while \
             pod {} goes on",
            full.pod
        ),
        "a larger volume costs more for as long as it is there".to_owned(),
    ];
    changes.extend(of_writer(claim, &was));
    changes.extend(of_stateful_set(claim, inventory));
    if claim.meta.owner_kind == "Pod" {
        changes.push(format!(
            "the claim is made from pod {} and goes with it: the pod that comes after it has the size of its template again",
            claim.meta.owner_name
        ));
    }
    Answer::Act(Box::new(Draft {
        action: Body::ExpandVolume(v1::ExpandVolume {
            claim: Some(claim.meta.target()),
            from_bytes: from,
            to_bytes: to,
            storage_class: class.clone(),
        }),
        object: claim.object(),
        workload: None,
        summary: format!("expand the volume of {name} from {was} to {becomes}"),
        changes,
        rationale: format!(
            "its volume is nearly full, as the kubelet measured it; a pod that cannot write fails, and {becomes} give it room \
             while a person looks at what fills it"
        ),
        outlook: Outlook::not_undone(
            "Kubernetes makes no volume smaller: going back is a smaller claim and a copy of what is in it",
            "a claim that is not as this plan saw it, or that a quota gives no room, is left alone. Where the storage system does not \
             make the volume larger while it is watched, whether it will is not known, and nobody is asked for another step until \
             it has; a driver that grows file systems off line does so when the pod starts anew",
        ),
        ways: vec![
            Alternative::new(
                format!("ask for {becomes}"),
                true,
                "its class lets it grow, and nothing is lost",
            ),
            Alternative::new("delete what fills it", false, "only a person knows what can be done without"),
            Alternative::new("restart its pod", false, "what is written stays written"),
            Alternative::new("wait", false, "what is full fails to write"),
        ],
    }))
}

/// Whoever says how much it asks for says the smaller size until that is corrected.
fn of_writer(claim: &PersistentVolumeClaim, was: &str) -> Option<String> {
    // It copies what a template says.
    let by =
        Some(claim.size_writer.as_str()).filter(|by| !by.is_empty() && *by != "kube-controller-manager")?;
    let ours = by.starts_with("nimbus");
    (!ours).then(|| {
        format!(
            "its size was last written by {by}: write the larger one there as well, as an apply of {was} is refused from then on"
        )
    })
}

/// The pod of the StatefulSet that the claim was made for: `TEMPLATE-POD` is what that calls it.
fn pod_of_set<'a>(claim: &PersistentVolumeClaim, inventory: &'a Inventory) -> Option<&'a Pod> {
    let mut pods = inventory.pods_of_namespace(&claim.meta.namespace);
    pods.find(|pod| {
        pod.meta.owner_kind == "StatefulSet" && claim.meta.name.ends_with(&format!("-{}", pod.meta.name))
    })
}

/// What the StatefulSet that the claim was made for says of its size, and goes on to say.
fn of_stateful_set(claim: &PersistentVolumeClaim, inventory: &Inventory) -> Option<String> {
    let pod = pod_of_set(claim, inventory)?;
    let set = inventory.stateful_sets.get(&pod.meta.owner_uid);
    let how = match set.map(|set| set.manager.as_str()).filter(|manager| !manager.is_empty()) {
        Some(manager) => format!("{} keeps that StatefulSet: write the larger size there", manager_name(manager)),
        None => "to have it otherwise, delete the StatefulSet with --cascade=orphan and apply it with the larger size".to_owned(),
    };
    Some(format!(
        "the volumeClaimTemplates of StatefulSet {} keep the size that they say, as Kubernetes lets nobody change them: its other claims \
         stay as they are, and pods that it adds get that size; {how}",
        pod.meta.owner_name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_in_whole_units_within_twice_and_below_the_ceiling() {
        let volumes = Volumes::default();
        let ceiling = volumes.ceiling();
        for (asked, has, to) in [
            (8 * GI, Some(8 * GI), Some(12 * GI)),
            (8 * GI, None, Some(12 * GI)),
            (10 * GI + 1, Some(10 * GI + 1), Some(16 * GI)),
            (512 * MI, Some(512 * MI), Some(768 * MI)),
            (900 * MI, Some(900 * MI), Some(1_800 * MI)),
            (MI, Some(MI), Some(2 * MI)),
            // A driver gave more than was asked for.
            (8 * GI, Some(10 * GI), Some(15 * GI)),
            (8 * GI, Some(16 * GI), None),
            (900 * GI, Some(900 * GI), Some(ceiling)),
            (ceiling, Some(ceiling), None),
            (2 * ceiling, Some(2 * ceiling), None),
            (0, None, None),
            (u64::MAX, None, None),
        ] {
            assert_eq!(next(asked, has, &volumes), to, "{asked} {has:?}");
        }
    }
}
