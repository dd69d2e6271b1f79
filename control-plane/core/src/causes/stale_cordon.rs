//! The cause `stale_cordon`: a node still carries the taint or, from an older version, the cordon of Nimbus although the job
//! that set it is over.
//!
//! The agent lifts its own, also after a crash. Where it could not for a stated time, or where nobody knows the job,
//! a person decides.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::kind::HELD;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Node, Object as _};

pub(super) struct StaleCordon;

const NEEDS: &[ObjectKind] = &[ObjectKind::Node];

/// How long after its job's end a cordon may stay before a person hears of it: twice what an agent waits before it lifts
/// one whose job it does not know.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

impl Cause for StaleCordon {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        5
    }

    fn key_word(&self) -> &'static str {
        "cordon"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |node: &Node| {
            let evidence = vec![match kept_for(node) {
                Kept::ByCordon(job) => {
                    format!("node {} is cordoned, and its annotation says by job {job}", node.meta.name)
                }
                Kept::ByTaint(job) => {
                    format!("node {} has the taint {HELD}, of job {job}", node.meta.name)
                }
                Kept::Not => return None,
            }];
            let (scope, object) = (Scope::Cluster(cluster.to_owned()), node.object());
            Some(Finding::new(IncidentKind::StaleCordon, scope, object, evidence))
        };
        inventory.nodes.values().filter(|node| !node.meta.deleting).filter_map(finding).collect()
    }

    /// While its job is in flight the cordon is in use; after that the agent gets its time to lift it.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let node = s.inventory(scope).and_then(|inventory| inventory.nodes.get(object.uid()));
        let Some(node) = node else { return false };
        let (by, until) = match kept_for(node) {
            Kept::ByCordon(job) => (job, None),
            Kept::ByTaint(job) => (job, node.facts.as_ref().and_then(|facts| facts.held_until)),
            Kept::Not => return false,
        };
        // A taint whose time is over is stale, whatever became of its job.
        if until.is_some_and(|until| later(until, PATIENCE) <= now) {
            return true;
        }
        let job = by.parse::<JobId>().ok().and_then(|id| s.job(id));
        match job.map(|job| (job.doc.state.is_final(), job.doc.finished_at)) {
            Some((false, _)) => false,
            Some((true, finished)) => finished.is_none_or(|at| later(at, PATIENCE) <= now),
            // A taint that is in date may be of a job that is not read yet.
            None => until.is_none(),
        }
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: still kept from new pods for a job that is over", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, _: Timestamp) -> Option<String> {
        match s.inventory(&incident.scope)?.nodes.get(incident.object.uid()) {
            None => Some(format!("{} no longer exists", incident.object)),
            Some(node) => {
                (!is_ours(node)).then(|| format!("{} no longer carries our taint or cordon", incident.object))
            }
        }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        match s.inventory(&incident.scope).and_then(|i| i.nodes.get(incident.object.uid())) {
            Some(node) if is_ours(node) => {
                Agreement::Disagrees(format!("{} still carries our taint or cordon", incident.object))
            }
            Some(_) => Agreement::Agrees,
            None => Agreement::Disagrees(format!("{} is gone", incident.object)),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a node is kept from new pods by a job of Nimbus that is over: find out why the agent could not open it"
    }
}

/// How a node is kept from new pods by Nimbus, and for which job.
enum Kept<'a> {
    ByTaint(&'a str),
    ByCordon(&'a str),
    Not,
}

fn kept_for(node: &Node) -> Kept<'_> {
    let held = node.facts.as_ref().map_or("", |facts| facts.held_by.as_str());
    match (held, node.cordoned_by.as_str()) {
        (_, job) if node.unschedulable && !job.is_empty() => Kept::ByCordon(job),
        ("", _) => Kept::Not,
        (job, _) => Kept::ByTaint(job),
    }
}

fn is_ours(node: &Node) -> bool {
    match kept_for(node) {
        Kept::ByTaint(_) | Kept::ByCordon(_) => true,
        Kept::Not => false,
    }
}
