//! Causes: what can be wrong, one file each, from the first finding to the evidence that it is over.
//!
//! A cause says which kinds of objects it needs, detects what shows it, puts that in words, and judges the recovery.
//! [`correlate`] joins findings that have one root. All causes are named in [`of`]; adding one is a file, a word in
//! `IncidentKind`, and the lines that the compiler then asks for here.

mod assessment;
pub mod correlate;
mod file_drift;
mod image_pull;
mod node_not_ready;
mod out_of_memory;
mod pod_crash_loop;
mod pods;
mod rollout_stuck;
pub(crate) mod storm;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::ids::AgentId;

use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{HostFacts, Inventory};

pub use assessment::Assessment;
pub use correlate::Diagnosis;

/// One cause's word on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which cause.
    pub kind: IncidentKind,
    /// Where.
    pub scope: Scope,
    /// The object that shows it: a pod, Deployment, node or file.
    pub object: ObjectRef,
    /// The workload that it belongs to; `None` for a node or a file.
    pub workload: Option<Workload>,
    /// For a pod or node the node's name; empty otherwise.
    pub node: String,
    /// For a pod the container that shows it; empty otherwise.
    pub container: String,
    /// For a pod the restarts of that container.
    pub restarts: u32,
    /// What shows it, one sentence each.
    pub evidence: Vec<String>,
}

impl Finding {
    /// A finding on `object`, without workload, node or container.
    fn new(kind: IncidentKind, scope: Scope, object: ObjectRef, evidence: Vec<String>) -> Self {
        Self {
            kind,
            scope,
            object,
            workload: None,
            node: String::new(),
            container: String::new(),
            restarts: 0,
            evidence,
        }
    }

    /// What it belongs to, for a title: its workload, otherwise the object itself.
    fn subject(&self) -> String {
        self.workload.as_ref().map_or_else(|| self.object.to_string(), ToString::to_string)
    }
}

/// A part of the world that causes look at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A cluster, by its UID.
    Cluster(&'a str, &'a Inventory),
    /// The host of an agent.
    Host(AgentId, &'a HostFacts),
}

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
    /// One line for tables; `pods` suffer from it.
    fn title(&self, finding: &Finding, pods: usize) -> String;
    /// How bad it is.
    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity;
    /// Why an incident without any finding is over; `None` while that is not certain.
    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String>;
    /// Does the world agree that it is gone, right after a job says so?
    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement;
    /// What a person is told where no remedy answers this cause at all.
    fn recommendation(&self) -> &'static str;
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
    }
}
