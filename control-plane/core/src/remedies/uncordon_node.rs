//! The remedy `uncordon_node`: removes a cordon that a finished job of Nimbus left on a node, after approval.

use nimbus_protocol::action::Body;
use nimbus_protocol::kind::HELD;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, Outlook};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Node, Object as _};

pub(super) struct UncordonNode;

impl Remedy for UncordonNode {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::StaleCordon]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::Node]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "opens a node again that still carries the taint or the cordon of a job of Nimbus that is over"
    }

    fn name(&self) -> &'static str {
        "open the node again"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let node = inventory.nodes.get(incident.object.uid());
        let cordoned = node.filter(|node| node.unschedulable && !node.cordoned_by.is_empty());
        let Some((node, job)) = cordoned.map(|node| (node, node.cordoned_by.as_str())) else {
            return match node.and_then(|node| Some((node, node.facts.as_ref()?.held_by.as_str()))) {
                Some((node, job)) if !job.is_empty() => release(node, job),
                Some(_) | None => Answer::Wait(format!(
                    "{} no longer carries a cordon or a taint of Nimbus",
                    incident.object
                )),
            };
        };
        let name = &node.meta.name;
        Answer::Act(Box::new(Draft {
            action: Body::UncordonNode(v1::UncordonNode {
                node: Some(node.meta.target()),
                cordoned_by: job.to_owned(),
                held: false,
            }),
            object: node.object(),
            workload: None,
            summary: format!("uncordon node {name}, which job {job} cordoned"),
            changes: vec![
                format!("node {name}: spec.unschedulable: true -> false"),
                format!("node {name}: annotation nimbus.dev/cordoned-by: {job} -> none"),
            ],
            outlook: outlook(name, "cordon"),
            rationale: "the job that needed the cordon is over; the scheduler cannot use the node until it is uncordoned"
                .to_owned(),
            ways: vec![
                Alternative::new("uncordon the node", true, "the cordon is one of Nimbus and nothing needs it any more"),
                Alternative::new("leave it cordoned", false, "the cluster would lack a node without a reason"),
            ],
        }))
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        let Body::UncordonNode(action) = action else { return None };
        Some(Footprint { node: action.node.as_ref().map(|n| n.name.as_str()), holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// What follows: whoever needs the node closed closes it with a mark of their own, which Nimbus does not touch.
fn outlook(node: &str, mark: &str) -> Outlook {
    Outlook::undone_by_a_person(
        format!("`kubectl cordon {node}` closes the node again; pods that came to it until then stay"),
        format!(
            "a node whose {mark} is no longer that job's is left alone; nothing else about it is changed, and a person is \
             asked before the next try"
        ),
    )
}

fn release(node: &Node, job: &str) -> Answer {
    let name = &node.meta.name;
    let (node_ref, cordoned_by) = (Some(node.meta.target()), job.to_owned());
    Answer::Act(Box::new(Draft {
        action: Body::UncordonNode(v1::UncordonNode { node: node_ref, cordoned_by, held: true }),
        object: node.object(),
        workload: None,
        summary: format!("take the taint of job {job} from node {name}"),
        changes: vec![format!("node {name}: taint {HELD} of job {job} -> none")],
        outlook: outlook(name, "taint"),
        rationale:
            "the job that held the node is over; the scheduler cannot use the node until the taint is gone"
                .to_owned(),
        ways: vec![
            Alternative::new(
                "take the taint away",
                true,
                "it is one of Nimbus and nothing needs it any more",
            ),
            Alternative::new("leave it", false, "the cluster would lack a node without a reason"),
        ],
    }))
}
