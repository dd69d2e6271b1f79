//! The causes of incidents, one file each: how a cause is detected, and which evidence shows that it is over.
//!
//! A cause says which kinds of objects it needs, detects what shows it, puts that in words, and judges the recovery.
//! [`correlate`] joins findings that have one root. All causes are named in [`of`]; adding one is a file, a word in
//! `IncidentKind`, and the lines that the compiler then asks for here.

pub(crate) mod autoscaler_at_maximum;
mod certificate_expiring;
mod certificate_file_expiring;
pub mod correlate;
mod disk_near_full;
mod file_drift;
mod image_pull;
mod job_failing;
pub(crate) mod load_high;
mod near_full;
mod node_not_ready;
mod node_pressure;
mod out_of_memory;
mod pod_crash_loop;
mod pods;
pub(crate) mod rollout_stuck;
mod scaled_out;
mod stale_cordon;
mod stateful_set_stuck;
pub(crate) mod storm;
#[cfg(test)]
mod tests;
mod tls_secret_expiring;
mod unit_failed;
mod volume_near_full;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use crate::assessment::{Assessment, Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, World};

pub(crate) use certificate_expiring::{issuer_of, overdue_from};
pub use correlate::Diagnosis;
pub(crate) use disk_near_full::NEVER_WRITTEN;
pub use file_drift::{PASSES, passing_files};
pub(crate) use near_full::{Short, short};
pub(crate) use unit_failed::ended;

/// Whether the world agrees that a cause is gone, right after a job says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Nothing of the cause shows any more.
    Agrees,
    /// It still shows, or it is not known; in words.
    Disagrees(String),
}

/// What a cause has to answer. No method has a default: a new cause answers everything itself.
pub(crate) trait Cause: Sync {
    /// The kinds of objects without which nothing is known of it; empty for a cause of hosts.
    fn needs(&self) -> &'static [ObjectKind];
    /// Of several causes of one workload the one with the greatest depth is the root.
    fn depth(&self) -> u8;
    /// Word before the place and the object in an incident's key.
    fn key_word(&self) -> &'static str;
    /// What shows it in `place`.
    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding>;
    /// Does a finding on `object` call for an incident now? Asked with what [`Cause::detect`] may not look at: the stored
    /// documents and the time.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool;
    /// One line for tables; `pods` suffer from it.
    fn title(&self, finding: &Finding, pods: usize) -> String;
    /// How bad it is.
    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity;
    /// Why an incident without any finding is over; `None` while that is not certain.
    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String>;
    /// Does the world agree that it is gone, right after a job says so?
    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement;
    /// What a person is told where no remedy answers this case.
    fn recommendation(&self, s: &Snapshot<'_>, incident: &Incident) -> String;
    /// The same for any case, for the list of rules.
    fn sentence(&self) -> &'static str;
}

/// The cause behind a kind of incident.
pub(crate) fn of(kind: IncidentKind) -> &'static dyn Cause {
    match kind {
        IncidentKind::PodCrashLoop => &pod_crash_loop::PodCrashLoop,
        IncidentKind::RolloutStuck => &rollout_stuck::RolloutStuck,
        IncidentKind::FileDrift => &file_drift::FileDrifted,
        IncidentKind::OutOfMemory => &out_of_memory::OutOfMemory,
        IncidentKind::ImagePull => &image_pull::ImagePull,
        IncidentKind::NodeNotReady => &node_not_ready::NodeNotReady,
        IncidentKind::Storm => &storm::Storm,
        IncidentKind::StaleCordon => &stale_cordon::StaleCordon,
        IncidentKind::StatefulSetStuck => &stateful_set_stuck::StatefulSetStuck,
        IncidentKind::JobFailing => &job_failing::JobFailing,
        IncidentKind::VolumeNearFull => &volume_near_full::VolumeNearFull,
        IncidentKind::NodePressure => &node_pressure::NodePressure,
        IncidentKind::DiskNearFull => &disk_near_full::DiskNearFull,
        IncidentKind::UnitFailed => &unit_failed::UnitFailed,
        IncidentKind::AutoscalerAtMaximum => &autoscaler_at_maximum::AutoscalerAtMaximum,
        IncidentKind::CertificateExpiring => &certificate_expiring::CertificateExpiring,
        IncidentKind::CertificateFileExpiring => &certificate_file_expiring::CertificateFileExpiring,
        IncidentKind::TlsSecretExpiring => &tls_secret_expiring::TlsSecretExpiring,
        IncidentKind::LoadHigh => &load_high::LoadHigh,
        IncidentKind::ScaledOut => &scaled_out::ScaledOut,
    }
}

/// What every cause sees in `world`.
pub fn assess(world: &World, settings: &Settings) -> Assessment {
    let mut assessment = Assessment::default();
    refresh(&mut assessment, world, settings);
    assessment
}

/// Looks again at every cluster and host that changed since `assessment` was made or refreshed. One assessment belongs to
/// one world and one set of settings.
pub fn refresh(assessment: &mut Assessment, world: &World, settings: &Settings) {
    assessment.refresh(world, |place| {
        let is_known = |kind: &IncidentKind| match place {
            Place::Cluster(_, inventory) => {
                of(*kind).needs().iter().all(|needed| inventory.is_listed(*needed))
            }
            Place::Host(..) => true,
        };
        let known = IncidentKind::ALL.iter().copied().filter(is_known);
        known.flat_map(|kind| of(kind).detect(place, settings)).collect()
    });
}
