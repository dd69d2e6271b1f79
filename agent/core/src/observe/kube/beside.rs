//! What the scheduler asks of a node for the sake of other pods: which a pod keeps away, which it stays with, and how it is
//! spread.
//!
//! Of each of these three all is told or nothing: a part of it would read as all of it.

use nimbus_protocol::v1;

use super::SlimMeta;
use super::selector::{MOST, SlimSelector};
use super::spec::{PodAffinity, PodTerm, Spec, Spread};
use crate::observe::bounded;

impl Spec {
    /// The terms of its required anti-affinity.
    pub(super) fn anti_affinity(&self) -> &[PodTerm] {
        required(self.affinity.as_ref().and_then(|affinity| affinity.away_from_pods.as_ref()))
    }

    /// The terms of its required affinity to pods.
    pub(super) fn affinity_to_pods(&self) -> &[PodTerm] {
        required(self.affinity.as_ref().and_then(|affinity| affinity.to_pods.as_ref()))
    }

    /// Its topology spread constraints that a node has to answer.
    pub(super) fn strict_spread(&self) -> impl Iterator<Item = &Spread> {
        let strict = |spread: &&Spread| spread.when_unsatisfiable != "ScheduleAnyway";
        self.topology_spread_constraints.iter().flatten().filter(strict)
    }

    /// Which pods it keeps away; none where these are more than are told.
    pub(super) fn keeps_away(&self) -> Vec<v1::KeepsAway> {
        let terms = self.anti_affinity();
        if terms.len() > MOST { Vec::new() } else { terms.iter().map(PodTerm::keeps_away).collect() }
    }

    /// Which pods it stays with; none where a term cannot be told.
    pub(super) fn stays_with(&self) -> Vec<v1::StaysWith> {
        all(self.affinity_to_pods().iter().map(PodTerm::stays_with))
    }

    /// How the pod with this metadata is spread; nothing where a constraint cannot be told.
    pub(super) fn spread(&self, meta: &SlimMeta) -> Vec<v1::Spread> {
        all(self.strict_spread().map(|spread| spread.observe(meta)))
    }
}

fn required(affinity: Option<&PodAffinity>) -> &[PodTerm] {
    affinity.and_then(|affinity| affinity.required.as_deref()).unwrap_or_default()
}

/// All of them; none where one cannot be told, or there are more than are told.
fn all<T>(each: impl Iterator<Item = Option<T>>) -> Vec<T> {
    let told: Option<Vec<T>> = each.take(MOST + 1).collect();
    told.filter(|told| told.len() <= MOST).unwrap_or_default()
}

/// What is told of a selector, and whether that is all of it; without one it selects nothing.
fn selector(of: Option<&SlimSelector>) -> (Option<v1::LabelSelector>, bool) {
    match of.map(SlimSelector::observe) {
        None => (None, true),
        Some((selector, true)) => (Some(selector), true),
        Some((_, false)) => (None, false),
    }
}

impl PodTerm {
    fn keeps_away(&self) -> v1::KeepsAway {
        let named = self.namespaces.as_ref().is_some_and(|names| !names.is_empty());
        let (selector, selector_told) = selector(self.label_selector.as_ref());
        v1::KeepsAway {
            topology_key: bounded(&self.topology_key),
            other_namespaces: named || self.namespace_selector.is_some(),
            selector,
            selector_told,
        }
    }

    /// `None` where it cannot be told: which namespaces a selector of them means is not known here.
    fn stays_with(&self) -> Option<v1::StaysWith> {
        let namespaces = self.namespaces.as_deref().unwrap_or_default();
        let (selector, told) = selector(self.label_selector.as_ref());
        let describable = told && self.namespace_selector.is_none() && namespaces.len() <= MOST;
        describable.then(|| v1::StaysWith {
            topology_key: bounded(&self.topology_key),
            selector,
            namespaces: namespaces.iter().map(|name| bounded(name)).collect(),
        })
    }
}

impl Spread {
    /// Keys of labels whose values have to be those of the pod itself become part of the selector; one that the pod does not
    /// have is ignored.
    fn observe(&self, meta: &SlimMeta) -> Option<v1::Spread> {
        let keys = self.match_label_keys.as_deref().unwrap_or_default();
        let (mut selector, told) = selector(self.label_selector.as_ref());
        if !told || keys.len() > MOST {
            return None;
        }
        if let Some(selector) = &mut selector {
            let own = keys.iter().filter_map(|key| Some((key, meta.label_of(key)?)));
            selector.match_expressions.extend(own.map(|(key, value)| v1::NodeRequirement {
                key: bounded(key),
                operator: "In".to_owned(),
                values: vec![bounded(value)],
            }));
        }
        Some(v1::Spread {
            topology_key: bounded(&self.topology_key),
            max_skew: self.max_skew,
            selector,
            min_domains: self.min_domains.unwrap_or(0),
            honors_affinity: self.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: self.node_taints_policy.as_deref() == Some("Honor"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::kube::{Slim as _, SlimPod};

    /// The facts of a pod `web` of its labels with this specification.
    fn facts(spec: &Value) -> v1::PodFacts {
        let labels = json!({"app": "web", "pod-template-hash": "abc"});
        let pod = json!({"metadata": {"name": "web", "uid": "u", "labels": labels}, "spec": spec});
        let seen = serde_json::from_value::<SlimPod>(pod).unwrap().observe();
        let v1::observation::Body::Pod(v1::Pod { facts: Some(facts), .. }) = seen else { panic!() };
        facts
    }

    fn placement(spec: &Value) -> v1::Placement {
        facts(spec).placement.unwrap()
    }

    fn untold(placement: &v1::Placement) -> &[String] {
        &placement.untold.as_ref().unwrap().conditions
    }

    fn required(terms: &Value) -> Value {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": terms})
    }

    fn web() -> v1::LabelSelector {
        let app = v1::Label { key: "app".into(), value: "web".into() };
        v1::LabelSelector { match_labels: vec![app], ..v1::LabelSelector::default() }
    }

    #[test]
    fn the_labels_of_a_pod_are_told_and_whether_these_are_all() {
        let told = facts(&json!({}));
        let labels: Vec<_> = told.labels.iter().map(|l| (l.key.as_str(), l.value.as_str())).collect();
        assert_eq!(
            (labels, told.labels_complete),
            (vec![("app", "web"), ("pod-template-hash", "abc")], true)
        );
        let of = |labels: Value| {
            let pod = json!({"metadata": {"labels": labels}});
            let seen = serde_json::from_value::<SlimPod>(pod).unwrap().observe();
            let v1::observation::Body::Pod(v1::Pod { facts: Some(facts), .. }) = seen else { panic!() };
            (facts.labels.len(), facts.labels_complete)
        };
        let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("l{n}"), json!("x"))).collect();
        assert_eq!(of(Value::Object(many)), (64, false));
        assert_eq!(of(json!({"long": "x".repeat(2_000), "app": "web"})), (1, false));
        assert_eq!(of(Value::Null), (0, true));
    }

    #[test]
    fn what_is_described_is_named_and_is_not_untold() {
        let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}});
        let elsewhere = json!({"topologyKey": "host", "namespaces": ["shop"], "labelSelector": {}});
        let placement = placement(&json!({
            "affinity": {
                "podAffinity": required(&json!([term, elsewhere])),
                "podAntiAffinity": required(&json!([term, {"topologyKey": "rack"}])),
            },
            "topologySpreadConstraints": [
                {
                    "topologyKey": "zone", "maxSkew": 2, "minDomains": 3, "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                    "matchLabelKeys": ["pod-template-hash", "missing"],
                    "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor",
                },
                {"topologyKey": "host", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
                {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"},
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}},
                {"name": "again", "persistentVolumeClaim": {"claimName": "data-0"}},
            ],
        }));
        assert_eq!(
            placement.other_conditions,
            [
                "required pod anti-affinity",
                "volume data of claim data-0",
                "volume again of claim data-0",
                "required pod affinity",
                "topology spread over zone",
                "topology spread over host",
            ]
        );
        assert!(untold(&placement).is_empty(), "{:?}", placement.untold);
        assert_eq!(placement.claims, ["data-0"]);
        let away = |key: &str, selector| v1::KeepsAway {
            topology_key: key.into(),
            other_namespaces: false,
            selector,
            selector_told: true,
        };
        assert_eq!(placement.keeps_away, [away("zone", Some(web())), away("rack", None)]);
        let near = |key: &str, selector, namespaces: &[&str]| v1::StaysWith {
            topology_key: key.into(),
            selector: Some(selector),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        };
        let every = v1::LabelSelector::default();
        assert_eq!(placement.stays_with, [near("zone", web(), &[]), near("host", every, &["shop"])]);
        let hash = v1::NodeRequirement {
            key: "pod-template-hash".into(),
            operator: "In".into(),
            values: vec!["abc".into()],
        };
        let strict = v1::Spread {
            topology_key: "zone".into(),
            max_skew: 2,
            selector: Some(v1::LabelSelector { match_expressions: vec![hash], ..web() }),
            min_domains: 3,
            honors_affinity: false,
            honors_taints: true,
        };
        let plain = v1::Spread {
            topology_key: "host".into(),
            max_skew: 1,
            honors_affinity: true,
            ..v1::Spread::default()
        };
        assert_eq!(placement.spread, [strict, plain]);
    }

    /// A part of it would read as all of it.
    #[test]
    fn what_cannot_be_told_whole_is_untold() {
        let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}});
        let by_selector = json!({"topologyKey": "zone", "namespaceSelector": {}, "labelSelector": {}});
        let long = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "x".repeat(2_000)}}});
        for other in [&by_selector, &long] {
            let affinity = json!({"affinity": {"podAffinity": required(&json!([term, other]))}});
            let placement = placement(&affinity);
            assert!(placement.stays_with.is_empty());
            assert_eq!(untold(&placement), ["required pod affinity"]);
        }
        let spread = json!({"topologySpreadConstraints": [term, long]});
        let spread = placement(&spread);
        assert!(spread.spread.is_empty());
        assert_eq!(untold(&spread), ["topology spread over zone", "topology spread over zone"]);
        // Its reach is told, if not which labels it selects.
        let away = placement(&json!({"affinity": {"podAntiAffinity": required(&json!([long]))}}));
        assert!(untold(&away).is_empty());
        assert_eq!((away.keeps_away[0].selector.as_ref(), away.keeps_away[0].selector_told), (None, false));
        let many: Vec<_> = (0..65).map(|_| term.clone()).collect();
        let away = placement(&json!({"affinity": {"podAntiAffinity": required(&json!(many))}}));
        assert!(
            away.keeps_away.is_empty() && untold(&away).iter().any(|one| one == "required pod anti-affinity")
        );
        let claims: Vec<_> = (0..65)
            .map(|n| json!({"name": "v", "persistentVolumeClaim": {"claimName": format!("data-{n}")}}))
            .collect();
        let claims = placement(&json!({ "volumes": claims }));
        assert_eq!((claims.claims.len(), untold(&claims).len()), (64, 1));
    }

    #[test]
    fn what_nothing_describes_is_untold() {
        let placement = placement(&json!({
            "volumes": [{"name": "scratch", "ephemeral": {}}, {"name": "keys", "csi": {"driver": "x"}}],
            "schedulingGates": [{"name": "wait"}],
            "schedulerName": "other",
            "containers": [{
                "name": "app", "ports": [{"hostPort": 80}],
                "resources": {"requests": {"example.com/gpu": "1"}, "claims": [{"name": "c"}]},
            }],
        }));
        let all = [
            "ephemeral volume scratch",
            "CSI volume keys",
            "a scheduling gate",
            "the scheduler other",
            "a port of the node",
            "a resource claim",
            "the resource example.com/gpu",
        ];
        assert_eq!(untold(&placement), all);
        assert_eq!(placement.other_conditions, all);
    }
}
