//! The facts that the conditions of rules may name, read from a snapshot.

use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::Snapshot;
use crate::model::{Incident, Intended, ObjectRef};
use crate::rulebook::facts::Values;
use crate::rulebook::{Facts, Labels};

/// Labels by which controllers tell the pods of one workload apart, its revisions and its members: the others are what people give.
const OF_CONTROLLERS: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];

impl Snapshot<'_> {
    /// Of this incident, where that is intended.
    pub(crate) fn facts(&self, incident: &Incident, intended: &Intended<'_>) -> Facts {
        let labels = labels(incident, intended, self);
        let mut values = Values::default();
        values.text("action", "kind", intended.action.kind().as_str());
        values.figures(intended.action);
        values.text("cluster", "name", &incident.cluster);
        values.text("finding", "kind", incident.kind.as_str());
        values.text("finding", "severity", incident.severity.as_str());
        values.number("history", "attempts", u64::from(incident.attempts));
        let open = self.now.duration_since(incident.created_at).as_secs().max(0) / 60;
        values.number("history", "open_minutes", open.unsigned_abs());
        values.number("history", "returns", u64::from(incident.returns));
        values.text("object", "kind", intended.object.kind());
        values.text("object", "name", intended.object.name());
        values.text("object", "namespace", intended.object.namespace());
        if let Some(workload) = intended.workload {
            values.text("workload", "kind", &workload.object().kind);
            values.text("workload", "name", &workload.object().name);
        }
        values.with(labels)
    }
}

/// The labels of a pod or a node, or those of all pods of the workload where they agree in them; `None`: not known, as of a claim or a
/// file, where not all are told, and where pods of one workload differ in what people give them.
fn labels(incident: &Incident, intended: &Intended<'_>, s: &Snapshot<'_>) -> Option<Labels> {
    let inventory = s.inventory(&incident.scope)?;
    let given = |labels: &[(String, String)]| {
        let of_people = |(key, _): &&(String, String)| !OF_CONTROLLERS.contains(&key.as_str());
        labels.iter().filter(of_people).cloned().collect::<Labels>()
    };
    if let ObjectRef::Kubernetes(object) = intended.object {
        if let Some(pod) = inventory.pods.get(&object.uid) {
            return pod.labels().map(given);
        }
        if let Some(node) = inventory.nodes.get(&object.uid) {
            let facts = node.facts.as_ref().filter(|facts| facts.labels.len() < MOST_OF_A_NODE);
            return facts.map(|facts| given(&facts.labels));
        }
    }
    let mut pods = inventory.pods_below(intended.workload?.uid());
    let first = given(pods.next()?.labels()?);
    pods.all(|pod| pod.labels().map(given).as_ref() == Some(&first)).then_some(first)
}
