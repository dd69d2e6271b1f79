//! Whether a node may be held back for the replacement of a pod: read again from all nodes right before it is.
//!
//! The control plane asked the same of what it knew; between its picture and this moment another tool, a person or another
//! job may have come.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::kind::{ANTI_AFFINITY, MOST_OF_A_NODE, MOST_TOLERATIONS};
use nimbus_protocol::v1;

use super::unexpected;
use crate::observe::kube::held;
use crate::refusal::Refusal;

/// May `node` be held for the replacement of `pod`? `nodes` are all nodes of the cluster and `neighbours` the pods on nodes of
/// the pod's namespace, as they are now.
pub fn may_hold(
    node: &str,
    pod: &v1::Pod,
    nodes: &[v1::Node],
    neighbours: &[Neighbour],
) -> Result<(), Refusal> {
    if let Some(held) = nodes.iter().find(|node| is_held_by_us(node)) {
        return Err(unexpected(format!(
            "expected no node that a job of Nimbus keeps from new pods, found {}; one at a time",
            name(held)
        )));
    }
    let Some(own) = nodes.iter().find(|other| name(other) == node) else {
        return Err(unexpected(format!("expected node {node}, found none")));
    };
    if let Some(why) = taken(own) {
        return Err(unexpected(format!("expected node {node} to be nobody else's, found {why}")));
    }
    if own.control_plane {
        return Err(unexpected(format!("expected a worker node, found {node} of the control plane")));
    }
    if !takes_new_pods(own) {
        return Err(unexpected(format!("expected node {node} ready and schedulable, found that it is not")));
    }
    if tolerates_a_hold(pod) {
        let reason =
            format!("expected a pod that the taint {} keeps out, found that it tolerates it", held::KEY);
        return Err(unexpected(reason));
    }
    let apart = KeptApart::of(pod, neighbours, nodes);
    let takes_it = |other: &&v1::Node| {
        name(other) != node
            && !other.control_plane
            && takes_new_pods(other)
            && taken(other).is_none()
            && accepts(other, pod)
            && apart.spares(other)
    };
    if nodes.iter().any(|other| takes_it(&other)) {
        return Ok(());
    }
    let reason = format!("expected another open node that the pod may run on, found none beside {node}");
    Err(unexpected(reason))
}

/// Who else put a mark on the node: the first, in words. Whoever did keeps the node.
pub fn taken(node: &v1::Node) -> Option<String> {
    let Some(facts) = &node.facts else { return Some("that its marks are not known".to_owned()) };
    if let Some(mark) = facts.marks.first() {
        return Some(format!("the mark of {mark}"));
    }
    if node.unschedulable && node.cordoned_by.is_empty() {
        return Some("that somebody cordoned it".to_owned());
    }
    None
}

fn name(node: &v1::Node) -> &str {
    node.meta.as_ref().map_or("", |meta| meta.name.as_str())
}

fn is_held_by_us(node: &v1::Node) -> bool {
    !node.cordoned_by.is_empty() || node.facts.as_ref().is_some_and(|facts| !facts.held_by.is_empty())
}

fn takes_new_pods(node: &v1::Node) -> bool {
    let stays = node.meta.as_ref().is_some_and(|meta| meta.deleting_since_us == 0);
    stays && node.ready == "True" && !node.unschedulable
}

/// Do its taints and labels let the pod in? Not where something else decides too.
fn accepts(node: &v1::Node, pod: &v1::Pod) -> bool {
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let (Some(offers), Some(asked)) = (&node.facts, asked) else { return false };
    let tolerated = |taint: &v1::Taint| {
        taint.effect == "PreferNoSchedule" || asked.tolerations.iter().any(|t| tolerates(t, taint))
    };
    offers.taints.iter().all(tolerated)
        && asked.node_selector.iter().all(|label| offers.labels.contains(label))
        && (asked.node_terms.is_empty() || asked.node_terms.iter().any(|term| meets(term, node, offers)))
        && offers.labels.len() < MOST_OF_A_NODE
        && offers.taints.len() < MOST_OF_A_NODE
        && asked.other_conditions.iter().all(|other| other == ANTI_AFFINITY && !asked.keeps_away.is_empty())
}

/// Another pod that takes a place on a node, and what of it decides whether a pod may be beside it.
#[derive(Debug, Clone)]
pub struct Neighbour {
    uid: String,
    node: String,
    keeps_away: Vec<v1::KeepsAway>,
    /// It keeps pods away by terms that are not told.
    untold: bool,
}

impl Neighbour {
    /// Of a pod; `None` of one that takes no place.
    pub fn of(pod: v1::Pod) -> Option<Self> {
        if pod.node.is_empty() || matches!(pod.phase.as_str(), "Succeeded" | "Failed") {
            return None;
        }
        let placement = pod.facts.and_then(|facts| facts.placement).unwrap_or_default();
        Some(Self {
            uid: pod.meta.map(|meta| meta.uid).unwrap_or_default(),
            node: pod.node,
            untold: placement.keeps_away.is_empty()
                && placement.other_conditions.iter().any(|o| o == ANTI_AFFINITY),
            keeps_away: placement.keeps_away,
        })
    }
}

/// Nodes that a pod may not fit on for the sake of its neighbours.
struct KeptApart<'a> {
    /// Labels of nodes and values, where a neighbour is that a term of either may mean.
    places: BTreeSet<(&'a str, &'a str)>,
    /// The labels of these places: few, however many places there are.
    keys: BTreeSet<&'a str>,
    /// Labels of which one may be at any value: its node is not there.
    anywhere: BTreeSet<&'a str>,
    /// One of them does not tell its terms.
    untold: bool,
}

impl<'a> KeptApart<'a> {
    fn of(pod: &'a v1::Pod, neighbours: &'a [Neighbour], nodes: &'a [v1::Node]) -> Self {
        let mut apart =
            Self { places: BTreeSet::new(), keys: BTreeSet::new(), anywhere: BTreeSet::new(), untold: false };
        let nodes: BTreeMap<&str, &v1::NodeFacts> =
            nodes.iter().filter_map(|node| Some((name(node), node.facts.as_ref()?))).collect();
        let uid = pod.meta.as_ref().map_or("", |meta| meta.uid.as_str());
        let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
        let own = placement.map(|placement| placement.keeps_away.as_slice()).unwrap_or_default();
        for other in neighbours.iter().filter(|other| other.uid != uid) {
            apart.untold |= other.untold;
            for key in own.iter().chain(&other.keeps_away).map(|term| term.topology_key.as_str()) {
                match nodes.get(other.node.as_str()) {
                    // One that may have more labels than are told may have this one.
                    Some(facts) if label(facts, key).is_some() || facts.labels.len() < MOST_OF_A_NODE => {
                        apart.places.extend(label(facts, key).map(|value| (key, value)));
                        apart.keys.insert(key);
                    }
                    Some(_) | None => _ = apart.anywhere.insert(key),
                }
            }
        }
        apart
    }

    fn spares(&self, node: &v1::Node) -> bool {
        let Some(facts) = &node.facts else { return false };
        let is_place =
            |key: &&str| label(facts, key).is_some_and(|value| self.places.contains(&(*key, value)));
        !self.untold
            && !self.keys.iter().any(is_place)
            && !self.anywhere.iter().any(|key| label(facts, key).is_some())
    }
}

fn label<'a>(facts: &'a v1::NodeFacts, key: &str) -> Option<&'a str> {
    facts.labels.iter().find(|label| label.key == key).map(|label| label.value.as_str())
}

/// Does the node meet all requirements of a term? A term without any, and an operator that is not known, meet nothing.
fn meets(term: &v1::NodeTerm, node: &v1::Node, offers: &v1::NodeFacts) -> bool {
    let met = |one: &v1::NodeRequirement| {
        let label =
            || offers.labels.iter().find(|label| label.key == one.key).map(|label| label.value.as_str());
        let found = if one.key == "metadata.name" { Some(name(node)) } else { label() };
        let among = found.is_some_and(|found| one.values.iter().any(|value| value == found));
        let parsed = |text: &str| text.parse::<i64>().ok();
        let numbers = found.and_then(parsed).zip(one.values.first().and_then(|value| parsed(value)));
        match one.operator.as_str() {
            "In" => among,
            "NotIn" => !among,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            "Gt" => numbers.is_some_and(|(found, bound)| found > bound),
            "Lt" => numbers.is_some_and(|(found, bound)| found < bound),
            _ => false,
        }
    };
    !term.requirements.is_empty() && term.requirements.iter().all(met)
}

/// Would the new pod come to the held node all the same? The value of our taint is the job's, so any value is
/// meant.
fn tolerates_a_hold(pod: &v1::Pod) -> bool {
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let all = asked.map(|asked| asked.tolerations.as_slice()).unwrap_or_default();
    let (key, effect) = (held::KEY, held::EFFECT);
    let lets_in = |one: &v1::Toleration| {
        tolerates(one, &v1::Taint { key: key.into(), value: one.value.clone(), effect: effect.into() })
    };
    all.len() >= MOST_TOLERATIONS || all.iter().any(lets_in)
}

fn tolerates(toleration: &v1::Toleration, taint: &v1::Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = match toleration.operator.as_str() {
        "Exists" => true,
        "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
        _ => false,
    };
    effect && key && value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> v1::Node {
        let meta = v1::ObjectMeta { name: name.into(), uid: format!("u-{name}"), ..Default::default() };
        let facts = Some(v1::NodeFacts::default());
        v1::Node { meta: Some(meta), ready: "True".into(), facts, ..Default::default() }
    }

    fn pod() -> v1::Pod {
        let facts = v1::PodFacts { placement: Some(v1::Placement::default()), ..Default::default() };
        v1::Pod { facts: Some(facts), ..Default::default() }
    }

    fn facts(node: &mut v1::Node) -> &mut v1::NodeFacts {
        node.facts.as_mut().unwrap()
    }

    fn taint(key: &str, effect: &str) -> v1::Taint {
        v1::Taint { key: key.into(), value: String::new(), effect: effect.into() }
    }

    #[test]
    fn a_node_beside_an_open_one_that_nobody_marked_may_be_held() {
        assert_eq!(may_hold("a", &pod(), &[node("a"), node("b")], &[]), Ok(()));
    }

    #[test]
    fn whatever_speaks_against_it_is_named() {
        type Change = fn(&mut [v1::Node]);
        let table: [(&str, &str, Change); 16] = [
            ("the other is held", "b", |n| facts(&mut n[1]).held_by = "job_1".into()),
            ("it is held itself", "a", |n| facts(&mut n[0]).held_by = "job_1".into()),
            ("an older version cordoned the other", "b", |n| {
                (n[1].unschedulable, n[1].cordoned_by) = (true, "job_1".into());
            }),
            ("kured is at work on it", "kured", |n| facts(&mut n[0]).marks = vec!["kured: x".into()]),
            ("somebody cordoned it", "cordoned", |n| n[0].unschedulable = true),
            ("its marks are not known", "not known", |n| n[0].facts = None),
            ("it is not ready", "ready", |n| n[0].ready = "Unknown".into()),
            ("it is of the control plane", "control plane", |n| n[0].control_plane = true),
            ("it is gone", "found none", |n| n[0].meta.as_mut().unwrap().name = "x".into()),
            ("it is the last open one", "none beside", |n| n[1].unschedulable = true),
            ("the other is not ready", "none beside", |n| n[1].ready = "False".into()),
            ("the other goes", "none beside", |n| n[1].meta.as_mut().unwrap().deleting_since_us = 1),
            ("the other is a control-plane node", "none beside", |n| n[1].control_plane = true),
            ("Karpenter removes the other", "none beside", |n| {
                facts(&mut n[1]).marks = vec!["Karpenter: taint karpenter.sh/disrupted".into()];
            }),
            ("the other has a taint", "none beside", |n| {
                facts(&mut n[1]).taints = vec![taint("gpu", "NoSchedule")];
            }),
            ("the other's taints are not known", "none beside", |n| n[1].facts = None),
        ];
        for (what, word, change) in table {
            let mut nodes = vec![node("a"), node("b")];
            change(&mut nodes);
            let refusal = may_hold("a", &pod(), &nodes, &[]).expect_err(what);
            assert!(refusal.reason.contains(word), "{what}: {}", refusal.reason);
        }
    }

    #[test]
    fn no_node_is_held_for_a_pod_that_tolerates_the_hold() {
        for (key, operator, value, effect, held) in [
            ("", "Exists", "", "", false),
            ("", "Exists", "", "NoSchedule", false),
            ("", "Exists", "", "NoExecute", true),
            ("nimbus.dev/held", "Exists", "", "", false),
            ("nimbus.dev/held", "Exists", "", "NoExecute", true),
            ("nimbus.dev/held", "Equal", "job_1", "NoSchedule", false),
            ("nimbus.dev/other", "Exists", "", "", true),
        ] {
            let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
            let what = format!("{key:?} {operator:?} {value:?} {effect:?}");
            let mut pod = pod();
            let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
            placement.tolerations = vec![v1::Toleration { key, operator, value, effect }];
            assert_eq!(may_hold("a", &pod, &[node("a"), node("b")], &[]).is_ok(), held, "{what}");
        }
        let mut pod = pod();
        let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
        let other = v1::Toleration { key: "gpu".into(), operator: "Exists".into(), ..Default::default() };
        placement.tolerations = vec![other; MOST_TOLERATIONS];
        let refusal = may_hold("a", &pod, &[node("a"), node("b")], &[]).unwrap_err();
        assert!(refusal.reason.contains("nimbus.dev/held"), "{}", refusal.reason);
    }

    #[test]
    fn taints_and_labels_are_compared_as_the_scheduler_does() {
        let may = |change: fn(&mut v1::Placement, &mut v1::NodeFacts)| {
            let (mut pod, mut nodes) = (pod(), vec![node("a"), node("b")]);
            let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
            change(placement, facts(&mut nodes[1]));
            may_hold("a", &pod, &nodes, &[]).is_ok()
        };
        let toleration = |key: &str, operator: &str, effect: &str| v1::Toleration {
            key: key.into(),
            operator: operator.into(),
            value: String::new(),
            effect: effect.into(),
        };
        assert!(may(|_, n| n.taints = vec![taint("soft", "PreferNoSchedule")]));
        for (key, operator, effect, fits) in [
            ("gpu", "Exists", "", true),
            ("gpu", "Equal", "NoSchedule", true),
            // It lets the pod in on the other node, and on the one that is held.
            ("", "Exists", "", false),
            ("", "", "", false),
            ("gpu", "Exists", "NoExecute", false),
            ("other", "Exists", "", false),
        ] {
            let mut pod = pod();
            let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
            placement.tolerations = vec![toleration(key, operator, effect)];
            let mut nodes = vec![node("a"), node("b")];
            facts(&mut nodes[1]).taints = vec![taint("gpu", "NoSchedule")];
            assert_eq!(may_hold("a", &pod, &nodes, &[]).is_ok(), fits, "{key:?} {operator:?} {effect:?}");
        }
        let ssd = || v1::Label { key: "disk".into(), value: "ssd".into() };
        assert!(!may(|p, _| p.other_conditions = vec!["topology spread over zone".into()]));
        for (key, operator, values, fits) in [
            ("disk", "In", vec!["ssd"], true),
            ("disk", "In", vec!["hdd"], false),
            ("disk", "NotIn", vec!["ssd"], false),
            ("rack", "NotIn", vec!["r1"], true),
            ("disk", "Exists", vec![], true),
            ("disk", "DoesNotExist", vec![], false),
            ("cores", "Gt", vec!["4"], true),
            ("cores", "Lt", vec!["4"], false),
            ("metadata.name", "In", vec!["b"], true),
            ("disk", "Near", vec!["ssd"], false),
        ] {
            let requirement = v1::NodeRequirement {
                key: key.into(),
                operator: operator.into(),
                values: values.into_iter().map(str::to_owned).collect(),
            };
            let (mut pod, mut nodes) = (pod(), vec![node("a"), node("b")]);
            let term = v1::NodeTerm { requirements: vec![requirement] };
            pod.facts.as_mut().unwrap().placement.as_mut().unwrap().node_terms = vec![term];
            let label = |key: &str, value: &str| v1::Label { key: key.into(), value: value.into() };
            facts(&mut nodes[1]).labels = vec![label("disk", "ssd"), label("cores", "8")];
            assert_eq!(may_hold("a", &pod, &nodes, &[]).is_ok(), fits, "{key} {operator}");
        }
        assert!(!may(|p, _| p.node_terms = vec![v1::NodeTerm::default()]));
        assert!(!may(|p, _| p.node_selector = vec![v1::Label { key: "disk".into(), value: "ssd".into() }]));
        let mut pod = pod();
        pod.facts.as_mut().unwrap().placement.as_mut().unwrap().node_selector = vec![ssd()];
        let mut nodes = vec![node("a"), node("b")];
        facts(&mut nodes[1]).labels = vec![ssd()];
        assert_eq!(may_hold("a", &pod, &nodes, &[]), Ok(()));
    }

    #[test]
    fn a_place_of_a_pod_that_may_keep_it_away_is_none() {
        const HOST: &str = "kubernetes.io/hostname";
        let place = |name: &str, zone: &str| {
            let mut node = node(name);
            let label = |key: &str, value: &str| v1::Label { key: key.into(), value: value.into() };
            facts(&mut node).labels = vec![label(HOST, name), label("zone", zone)];
            node
        };
        let on = |node: &str, uid: &str, over: Option<&str>| {
            let mut pod = pod();
            let meta = v1::ObjectMeta { uid: uid.into(), ..Default::default() };
            (pod.meta, pod.node) = (Some(meta), node.into());
            let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
            placement.other_conditions = over.iter().map(|_| ANTI_AFFINITY.to_owned()).collect();
            let term = |key: &str| v1::KeepsAway { topology_key: key.into(), ..Default::default() };
            placement.keeps_away = over.map(term).into_iter().collect();
            pod
        };
        let nodes = [place("a", "x"), place("b", "y")];
        let ended = v1::Pod { phase: "Failed".into(), ..on("b", "q", None) };
        for (what, pod, beside, may) in [
            ("nobody is there", on("a", "p", Some(HOST)), vec![], true),
            ("it is itself there", on("a", "p", Some(HOST)), vec![on("b", "p", None)], true),
            ("a pod of any labels is there", on("a", "p", Some(HOST)), vec![on("b", "q", None)], false),
            ("one that ended is there", on("a", "p", Some(HOST)), vec![ended], true),
            ("one is beside it", on("a", "p", Some(HOST)), vec![on("a", "q", None)], true),
            ("one that keeps it away is there", on("a", "p", None), vec![on("b", "q", Some("zone"))], false),
            (
                "one is on a node that is not known",
                on("a", "p", Some("zone")),
                vec![on("c", "q", None)],
                false,
            ),
            ("no node has the label", on("a", "p", Some("rack")), vec![on("b", "q", None)], true),
            ("neither keeps away", on("a", "p", None), vec![on("b", "q", None)], true),
        ] {
            let beside: Vec<Neighbour> = beside.into_iter().filter_map(Neighbour::of).collect();
            assert_eq!(may_hold("a", &pod, &nodes, &beside).is_ok(), may, "{what}");
        }
        // An older agent names it, and does not tell its terms.
        let mut untold = on("a", "p", Some(HOST));
        untold.facts.as_mut().unwrap().placement.as_mut().unwrap().keeps_away.clear();
        assert!(may_hold("a", &untold, &nodes, &[]).is_err());
        let beside: Vec<Neighbour> =
            Neighbour::of(v1::Pod { node: "a".into(), ..untold }).into_iter().collect();
        assert!(may_hold("a", &on("a", "q", None), &nodes, &beside).is_err());
    }
}
