//! What speaks against more pods of a workload, whichever way it is to get them: a rollout under way, another incident of it, and that
//! more were refused lately.

use jiff::SignedDuration;
use nimbus_protocol::action::MORE_REPLICAS;

use super::Answer;
use super::earlier::Pause;
use crate::model::{Incident, IncidentKind, Job, ObjectRef, Workload};
use crate::snapshot::Snapshot;
use crate::world::Inventory;

/// What a day ago was is forgotten.
pub(super) const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Where there was no quota or no leave for more.
const NOT_LET: Pause = Pause {
    words: MORE_REPLICAS,
    within: A_DAY,
    first: SignedDuration::from_hours(1),
    longest: SignedDuration::from_hours(8),
};

/// Why it is not the time: its controller brings something out, or it is paused; `None` where all is out and available.
pub(super) fn moves(workload: &Workload, inventory: &Inventory) -> Option<String> {
    let object = workload.object();
    let is_out = match workload {
        Workload::Deployment(_) => {
            inventory.deployments.get(&object.uid).is_some_and(|one| one.is_fully_available() && !one.paused)
        }
        Workload::StatefulSet(_) => inventory.stateful_sets.get(&object.uid).is_some_and(|one| {
            !one.is_updating() && one.ready >= one.desired && one.observed_generation >= one.generation
        }),
        Workload::DaemonSet(_)
        | Workload::Job(_)
        | Workload::CronJob(_)
        | Workload::Bare(_)
        | Workload::Other(_) => false,
    };
    (!is_out).then(|| {
        format!(
            "{object} is not out: a rollout is under way, it is paused, or not all of its pods are available"
        )
    })
}

/// Another incident of the workload that says that its pods are not well, whatever the load is.
pub(super) fn in_trouble<'s>(
    workload: &Workload,
    incident: &Incident,
    s: &Snapshot<'s>,
) -> Option<&'s Incident> {
    s.incidents.iter().map(|it| &it.doc).find(|it| {
        let is_of_its_pods = match it.kind {
            IncidentKind::PodCrashLoop
            | IncidentKind::RolloutStuck
            | IncidentKind::OutOfMemory
            | IncidentKind::ImagePull
            | IncidentKind::StatefulSetStuck => true,
            IncidentKind::FileDrift
            | IncidentKind::NodeNotReady
            | IncidentKind::Storm
            | IncidentKind::StaleCordon
            | IncidentKind::JobFailing
            | IncidentKind::DiskNearFull
            | IncidentKind::UnitFailed
            | IncidentKind::VolumeNearFull
            | IncidentKind::NodePressure
            | IncidentKind::AutoscalerAtMaximum
            | IncidentKind::CertificateExpiring
            | IncidentKind::CertificateFileExpiring
            | IncidentKind::TlsSecretExpiring
            | IncidentKind::LoadHigh
            | IncidentKind::ScaledOut => false,
        };
        it.is_open()
            && is_of_its_pods
            && it.id != incident.id
            && it.scope == incident.scope
            && it.workload.as_ref().is_some_and(|other| other.uid() == workload.uid())
    })
}

/// An agent found no quota or no leave for more lately: to each time within a day belongs a longer wait.
pub(super) fn not_let<'a>(
    name: &ObjectRef,
    jobs: impl Iterator<Item = &'a Job>,
    now: jiff::Timestamp,
) -> Result<(), Answer> {
    let Some((last, from)) = NOT_LET.after(jobs, now) else { return Ok(()) };
    let how = if last.reason.contains("ResourceQuota") { "make room there" } else { "see to that" };
    Err(Answer::Recommend(format!(
        "{name} wants more pods than may be made ({}): {how}; tried again from {from:.0} on",
        last.reason
    )))
}
