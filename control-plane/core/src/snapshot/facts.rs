//! The facts that the conditions of rules may name, read from a snapshot.

use std::collections::BTreeSet;

use nimbus_protocol::kind::MOST_OF_A_NODE;

use super::Snapshot;
use crate::model::{Incident, Intended, ObjectRef};
use crate::rulebook::facts::{Known, OF_CONTROLLERS, Values};
use crate::rulebook::{Facts, Labels};

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

/// The labels of a pod or a node, or those of all pods of the workload, without those of controllers. None is known of a claim or a file,
/// where not all are told, and where no pod is there.
fn labels(incident: &Incident, intended: &Intended<'_>, s: &Snapshot<'_>) -> Known {
    let Some(inventory) = s.inventory(&incident.scope) else { return Known::default() };
    let of_one =
        |labels: Option<&[(String, String)]>| Known { labels: labels.map(given), ..Known::default() };
    if let ObjectRef::Kubernetes(object) = intended.object {
        if let Some(pod) = inventory.pods.get(&object.uid) {
            return of_one(pod.labels());
        }
        if let Some(node) = inventory.nodes.get(&object.uid) {
            let facts = node.facts.as_ref().filter(|facts| facts.labels.len() < MOST_OF_A_NODE);
            return of_one(facts.map(|facts| facts.labels.as_slice()));
        }
    }
    let Some(workload) = intended.workload else { return Known::default() };
    let mut agreed: Option<Labels> = None;
    let mut differing = BTreeSet::new();
    for pod in inventory.pods_below(workload.uid()) {
        let Some(labels) = pod.labels().map(given) else { return Known::default() };
        let Some(agreed) = &mut agreed else {
            agreed = Some(labels);
            continue;
        };
        differing.extend(
            labels.iter().filter(|(key, value)| agreed.get(*key) != Some(value)).map(|(key, _)| key.clone()),
        );
        differing.extend(agreed.keys().filter(|key| !labels.contains_key(*key)).cloned());
        agreed.retain(|key, _| !differing.contains(key));
    }
    Known { labels: agreed, differing }
}

/// What people give.
fn given(labels: &[(String, String)]) -> Labels {
    let of_people = |(key, _): &&(String, String)| !OF_CONTROLLERS.contains(&key.as_str());
    labels.iter().filter(of_people).cloned().collect()
}
