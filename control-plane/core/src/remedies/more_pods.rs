//! What speaks against more pods of a workload, whichever way it is to get them: a rollout under way, another incident of it, and that
//! more were refused lately.

use jiff::SignedDuration;
use nimbus_protocol::action::MORE_REPLICAS;

use super::Answer;
use crate::model::{Incident, IncidentKind, Job, JobState, ObjectRef, Workload};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

/// What a day ago was is forgotten.
pub(super) const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// No clocks of one site are so far apart.
const APART: SignedDuration = SignedDuration::from_hours(1);
/// For so long nobody is asked again where there was no quota or no leave; twice as long after each time more within a day,
/// [`LONGEST`] at most.
const NOT_LET: SignedDuration = SignedDuration::from_hours(1);
/// See [`NOT_LET`].
const LONGEST: SignedDuration = SignedDuration::from_hours(8);

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

/// Was this lately? What is dated far ahead was dated by a clock that has jumped since, and says nothing of when it was.
pub(super) fn lately(at: jiff::Timestamp, within: SignedDuration, now: jiff::Timestamp) -> bool {
    let ago = now.duration_since(at);
    ago < within && ago > -APART
}

/// An agent found no quota or no leave for more lately: to each time within a day belongs a longer wait.
pub(super) fn not_let<'a>(
    name: &ObjectRef,
    jobs: impl Iterator<Item = &'a Job>,
    now: jiff::Timestamp,
) -> Result<(), Answer> {
    let refused: Vec<&Job> = jobs
        .filter(|job| job.state == JobState::Refused && job.reason.contains(MORE_REPLICAS))
        .filter(|job| job.finished_at.is_some_and(|at| lately(at, A_DAY, now)))
        .collect();
    let Some(last) = refused.iter().max_by_key(|job| job.finished_at) else { return Ok(()) };
    let times = i32::try_from(refused.len().min(6)).unwrap_or(6);
    let wait = (NOT_LET * (1 << (times - 1))).min(LONGEST);
    let from = later(last.finished_at.unwrap_or(last.created_at), wait);
    if from <= now {
        return Ok(());
    }
    let how = if last.reason.contains("ResourceQuota") { "make room there" } else { "see to that" };
    Err(Answer::Recommend(format!(
        "{name} wants more pods than may be made ({}): {how}; tried again from {from:.0} on",
        last.reason
    )))
}

/// When a job changed something, as far as is known; `None` for one that changed nothing.
pub(super) fn changed_at(job: &Job) -> Option<jiff::Timestamp> {
    match job.state {
        JobState::Succeeded | JobState::Unknown | JobState::Compensated => {
            Some(job.applied_at.or(job.finished_at).unwrap_or(job.created_at))
        }
        JobState::Failed | JobState::Expired | JobState::Running => job.applied_at,
        JobState::Pending | JobState::Dispatched | JobState::Refused => None,
    }
}
