//! The slim PersistentVolume: from which nodes it can be attached.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::selector::MOST;
use super::spec::{Term, Terms};
use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// A PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimPersistentVolume {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_affinity: Option<NodeAffinity>,
}

/// Of a volume, not of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct NodeAffinity {
    required: Option<Terms>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

impl Slim for SlimPersistentVolume {
    const KIND: ObjectKind = ObjectKind::PersistentVolume;
    const PATH: &'static str = "/api/v1/persistentvolumes";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let required = self.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
        let terms = required.map(|terms| terms.node_selector_terms.as_slice());
        let told = terms.unwrap_or_default();
        // Terms that are there and none of them are not the same as no terms: nothing would hold.
        let none_of_them = terms.is_some_and(<[Term]>::is_empty);
        // The scheduler goes by the zone and region in a volume's labels too, whatever its terms are.
        let by_labels =
            self.metadata.zones().any(|label| told.is_empty() || !told.iter().all(|term| asks(term, label)));
        v1::observation::Body::PersistentVolume(v1::PersistentVolume {
            meta: Some(self.metadata.observe()),
            phase: bounded(&self.status.phase),
            node_terms: told.iter().take(MOST).map(Term::observe).collect(),
            node_terms_complete: !none_of_them
                && !by_labels
                && told.len() <= MOST
                && told.iter().all(Term::is_told_whole),
        })
    }
}

/// Does a term ask for just this label of a node?
fn asks(term: &Term, (key, value): (&str, &str)) -> bool {
    let only = |values: &Vec<String>| matches!(values.as_slice(), [only] if only == value);
    term.match_expressions
        .iter()
        .flatten()
        .any(|one| one.key == key && one.operator == "In" && one.values.as_ref().is_some_and(only))
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::{Value, json};

    use super::*;

    fn seen(labels: &Value, affinity: &Value) -> v1::PersistentVolume {
        let object = json!({
            "metadata": {"uid": "v", "name": "pvc-1", "labels": labels},
            "spec": {"capacity": {"storage": "8Gi"}, "nodeAffinity": affinity, "csi": {"driver": "d"}},
            "status": {"phase": "Bound"},
        });
        let body = serde_json::from_value::<SlimPersistentVolume>(object).unwrap().observe();
        let Body::PersistentVolume(seen) = body else { panic!() };
        seen
    }

    fn zones(values: &[String]) -> Value {
        let zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": values});
        json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}})
    }

    /// The scheduler refuses a node without the label, whatever the terms are.
    #[test]
    fn a_zone_in_its_labels_that_its_terms_do_not_ask_for_is_not_told() {
        let eu = || zones(&["eu-1a".to_owned()]);
        let zone = json!({"topology.kubernetes.io/zone": "eu-1a"});
        let both = json!({"topology.kubernetes.io/zone": "eu-1a", "topology.kubernetes.io/region": "eu-1"});
        let other = json!({"topology.kubernetes.io/zone": "eu-1b"});
        for (labels, terms, complete) in [
            (&zone, eu(), true),
            (&both, eu(), false),
            (&other, eu(), false),
            (&zone, zones(&["eu-1a".to_owned(), "eu-1b".to_owned()]), false),
            (&zone, json!(null), false),
            (&json!({"app": "db"}), json!(null), true),
        ] {
            assert_eq!(seen(labels, &terms).node_terms_complete, complete, "{labels} {terms}");
        }
    }

    #[test]
    fn it_tells_where_it_can_be_attached() {
        let volume = seen(&json!(null), &zones(&["eu-1a".to_owned()]));
        assert_eq!((volume.phase.as_str(), volume.node_terms_complete), ("Bound", true));
        let expected = v1::NodeRequirement {
            key: "topology.kubernetes.io/zone".into(),
            operator: "In".into(),
            values: vec!["eu-1a".into()],
        };
        assert_eq!(volume.node_terms, [v1::NodeTerm { requirements: vec![expected] }]);
        let meta = volume.meta.unwrap();
        assert_eq!((meta.name.as_str(), meta.namespace.as_str()), ("pvc-1", ""));
    }

    #[test]
    fn without_terms_it_can_be_attached_everywhere_unless_its_labels_name_a_zone() {
        for (labels, affinity, complete) in [
            (json!(null), json!(null), true),
            (json!({"app": "db"}), json!({}), true),
            (json!({"topology.kubernetes.io/zone": "eu-1a"}), json!(null), false),
            (json!({"failure-domain.beta.kubernetes.io/region": "eu-1"}), json!(null), false),
            (json!(null), json!({"required": {"nodeSelectorTerms": []}}), false),
        ] {
            let volume = seen(&labels, &affinity);
            assert_eq!((volume.node_terms.len(), volume.node_terms_complete), (0, complete), "{labels}");
        }
        let both = seen(&json!({"topology.kubernetes.io/zone": "eu-1a"}), &zones(&["eu-1a".to_owned()]));
        assert!(both.node_terms_complete);
    }

    #[test]
    fn of_more_than_is_told_it_says_that_it_is_not_all() {
        let many: Vec<String> = (0..=MOST).map(|n| format!("z{n}")).collect();
        let volume = seen(&json!(null), &zones(&many));
        assert_eq!((volume.node_terms.len(), volume.node_terms_complete), (1, false));
        assert!(seen(&json!(null), &zones(&many[1..])).node_terms_complete);
    }
}
