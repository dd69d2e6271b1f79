//! The remedy `uncordon_node`: removes a cordon that a finished job of Nimbus left on a node, after approval.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::Object as _;

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
        "opens a node again that still carries the cordon of a job of Nimbus that is over"
    }

    fn name(&self) -> &'static str {
        "open the node again"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let node = inventory.nodes.get(incident.object.uid());
        let Some(node) = node.filter(|node| node.unschedulable && !node.cordoned_by.is_empty()) else {
            return Answer::Wait(format!("{} no longer carries a cordon of Nimbus", incident.object));
        };
        let (name, job) = (&node.meta.name, &node.cordoned_by);
        Answer::Act(Box::new(Draft {
            action: Body::UncordonNode(v1::UncordonNode {
                node: Some(node.meta.target()),
                cordoned_by: job.clone(),
            }),
            object: node.object(),
            workload: None,
            summary: format!("uncordon node {name}, which job {job} cordoned"),
            changes: vec![
                format!("node {name}: spec.unschedulable: true -> false"),
                format!("node {name}: annotation nimbus.dev/cordoned-by: {job} -> none"),
            ],
            rationale: "the job that needed the cordon is over; the scheduler cannot use the node until it is uncordoned"
                .to_owned(),
            ways: vec![
                Alternative::new("uncordon the node", true, "the cordon is one of Nimbus and nothing needs it any more"),
                Alternative::new("leave it cordoned", false, "the cluster would lack a node without a reason"),
            ],
        }))
    }

    fn footprint<'a>(&self, order: &'a Body) -> Option<Footprint<'a>> {
        let Body::UncordonNode(order) = order else { return None };
        Some(Footprint { node: order.node.as_ref().map(|n| n.name.as_str()), closes: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }
}
