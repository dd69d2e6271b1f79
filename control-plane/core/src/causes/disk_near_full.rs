//! The cause `disk_near_full`: a disk of a host is nearly full, as the host's own agent measured it.
//!
//! One incident for a host, whatever number of its disks is full. A host that is a node and has its agent as a pod is none of
//! these: its kubelet's figures are `node_pressure`.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::near_full::{is_well, near_full};
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{DiskSample, Filesystem, HostFacts, Inventory};

pub(super) struct DiskNearFull;

/// File systems that are full by their nature, as nobody writes to them.
pub(crate) const NEVER_WRITTEN: [&str; 6] = ["squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs"];

impl Cause for DiskNearFull {
    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "disk"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Host(agent, facts) = place else { return Vec::new() };
        let evidence: Vec<String> = disks(facts).filter_map(|disk| said(facts, disk)).collect();
        let name = facts.sample.as_ref().map(|sample| sample.hostname.clone()).unwrap_or_default();
        let finding = (!evidence.is_empty()).then(|| {
            let object = ObjectRef::Host { agent, name };
            Finding::new(IncidentKind::DiskNearFull, Scope::Host(agent), object, evidence)
        });
        finding.into_iter().collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, _: &ObjectRef, scope: &Scope, _: Timestamp) -> bool {
        scope.host().and_then(|agent| s.agent(agent)).is_some_and(|agent| agent.pod.is_none())
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        match finding.evidence.as_slice() {
            [one] => format!("{}: {one}", finding.object),
            many => format!("{}: {} disks are nearly full", finding.object, many.len()),
        }
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, _: Timestamp) -> Option<String> {
        room(s, incident).map(|room| format!("every disk of {} has room again: {room}", incident.object))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        match room(s, incident) {
            Some(_) => Agreement::Agrees,
            None => Agreement::Disagrees(format!(
                "a disk of {} is nearly full, or was not measured lately",
                incident.object
            )),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a disk of a host is nearly full: see what fills it (du -xh MOUNT | sort -h | tail), remove what the host can do without, \
         or make the file system larger; Nimbus deletes no data"
    }
}

/// The disks that somebody writes to, each once: a file system that is mounted several times shows the same figures.
fn disks(facts: &HostFacts) -> impl Iterator<Item = &DiskSample> {
    let all = facts.sample.as_ref().map(|sample| sample.disks.as_slice()).unwrap_or_default();
    let same = |a: &DiskSample, b: &DiskSample| a.total == b.total && a.available == b.available;
    let is_shown_before = move |at: usize| all[..at].iter().any(|before| same(before, &all[at]));
    let is_written = |disk: &DiskSample| !NEVER_WRITTEN.contains(&disk.filesystem.as_str());
    (0..all.len()).filter(move |at| is_written(&all[*at]) && !is_shown_before(*at)).map(|at| &all[at])
}

fn filesystem(disk: &DiskSample) -> Filesystem {
    Filesystem {
        capacity: Some(disk.total),
        available: Some(disk.available),
        inodes: None,
        inodes_free: None,
    }
}

/// That a disk is nearly full, and when it will be full; `None` where it is not.
fn said(facts: &HostFacts, disk: &DiskSample) -> Option<String> {
    let full = near_full(&filesystem(disk))?;
    let when = match facts.fill_pace(disk) {
        Some((span, left)) => format!("; at the pace of the last {span:#} it is full in {left:#}"),
        None => String::new(),
    };
    Some(format!("the disk at {} is nearly full: {full}{when}", disk.mount))
}

/// That every disk has room, where the agent is connected and says so.
fn room(s: &Snapshot<'_>, incident: &Incident) -> Option<String> {
    s.known(&incident.scope, &[]).ok()?;
    let facts = s.world.hosts.get(&incident.scope.host()?)?;
    let wells: Option<Vec<String>> = disks(facts)
        .map(|disk| is_well(&filesystem(disk)).map(|well| format!("{} {well}", disk.mount)))
        .collect();
    // A sample without any disk says nothing.
    let wells = wells.filter(|all| !all.is_empty())?;
    Some(wells.join(", "))
}
