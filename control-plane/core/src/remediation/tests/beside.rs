//! Scenes of where else a pod would run for the sake of other pods and of its volumes: what the plan says of it is what the
//! scheduler would say, and a node is held only for a pod without these.

use nimbus_protocol::kind::ANTI_AFFINITY;
use nimbus_protocol::v1;

use super::left_alone::{facts, ordered, plan};
use super::*;

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

fn label(key: &str, value: &str) -> v1::Label {
    v1::Label { key: key.into(), value: value.into() }
}

pub(super) fn place(name: &str, zone: &str) -> v1::Node {
    let mut node = node(name);
    node.facts.as_mut().unwrap().labels = vec![label(HOST, name), label(ZONE, zone)];
    node
}

/// A pod of which all is told, with the label `app`.
pub(super) fn told(mut pod: v1::Pod, app: &str) -> v1::Pod {
    let facts = facts(&mut pod);
    (facts.labels, facts.labels_complete) = (vec![label("app", app)], true);
    facts.placement.as_mut().unwrap().untold = Some(v1::Untold::default());
    pod
}

/// The same pod after `change` of what it asks for, which is named as the agent names it.
fn asks(mut pod: v1::Pod, named: &str, change: impl FnOnce(&mut v1::Placement)) -> v1::Pod {
    let placement = facts(&mut pod).placement.as_mut().unwrap();
    placement.other_conditions.push(named.into());
    change(placement);
    pod
}

pub(super) fn app(name: &str) -> v1::LabelSelector {
    v1::LabelSelector { match_labels: vec![label("app", name)], ..Default::default() }
}

/// `web-1-0`, which crash-loops on node-a.
fn web() -> v1::Pod {
    told(crashing(pod("web-1", "0", "node-a"), 4), "web")
}

fn other(name: &str, node: &str, of: &str) -> v1::Pod {
    told(pod(name, "0", node), of)
}

fn elsewhere(mut pod: v1::Pod) -> v1::Pod {
    pod.meta.as_mut().unwrap().namespace = "elsewhere".into();
    pod
}

pub(super) fn spread(over: &str) -> v1::Spread {
    let (topology_key, selector) = (over.into(), Some(app("web")));
    v1::Spread { topology_key, max_skew: 1, selector, honors_affinity: true, ..Default::default() }
}

pub(super) fn spreads(pod: v1::Pod, spread: v1::Spread) -> v1::Pod {
    asks(pod, "topology spread over something", |placement| placement.spread.push(spread))
}

fn stays_with(pod: v1::Pod, of: &str, namespaces: &[&str]) -> v1::Pod {
    let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let term = v1::StaysWith { topology_key: HOST.into(), selector: Some(app(of)), namespaces };
    asks(pod, "required pod affinity", |placement| placement.stays_with.push(term))
}

pub(super) fn keeps_away(pod: v1::Pod, of: &str, other_namespaces: bool) -> v1::Pod {
    let topology_key = HOST.into();
    let term = v1::KeepsAway { topology_key, other_namespaces, selector: Some(app(of)), selector_told: true };
    asks(pod, ANTI_AFFINITY, |placement| placement.keeps_away.push(term))
}

fn claims(pod: v1::Pod) -> v1::Pod {
    asks(pod, "volume data of claim data-0", |placement| placement.claims.push("data-0".into()))
}

/// Nodes a in zone x, b and c in zone y, with these pods.
fn cluster(replicas: u32, pods: impl IntoIterator<Item = v1::Pod>) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", replicas, 1);
    for node in [place("node-a", "x"), place("node-b", "y"), place("node-c", "y")] {
        lab.see(Body::Node(node));
    }
    for pod in pods {
        lab.see(Body::Pod(pod));
    }
    lab
}

/// What the plan for the lone pod says, beside these others.
fn rationale(pod: v1::Pod, beside: Vec<v1::Pod>) -> String {
    let mut lab = cluster(1, beside.into_iter().chain([pod]));
    assert!(!ordered(&mut lab).avoid_node);
    plan(&lab).rationale.clone()
}

type Case = (&'static str, v1::Pod, Vec<v1::Pod>, &'static str);

fn each(table: impl IntoIterator<Item = Case>) {
    for (what, pod, beside, words) in table {
        let said = rationale(pod, beside);
        assert!(said.contains(words), "{what}: {said}");
        let promised = words.contains("would fit as well");
        assert_eq!(said.contains("would fit as well"), promised, "{what}: {said}");
    }
}

#[test]
fn a_spread_pod_goes_only_where_the_skew_stays_within_its_bound() {
    let on = |node: &str| other(&format!("also-{node}"), node, "web");
    let mut leaves = on("node-b");
    leaves.meta.as_mut().unwrap().deleting_since_us = 1;
    let mut untold = on("node-b");
    facts(&mut untold).labels_complete = false;
    let zoned = |honors_affinity: bool| {
        let mut web = spreads(web(), v1::Spread { honors_affinity, ..spread(ZONE) });
        facts(&mut web).placement.as_mut().unwrap().node_selector = vec![label(ZONE, "y")];
        web
    };
    let by_host = || spreads(web(), spread(HOST));
    let by_zone = || spreads(web(), spread(ZONE));
    let at_least = |min_domains: i32| spreads(web(), v1::Spread { min_domains, ..spread(ZONE) });
    each([
        ("nobody is anywhere", by_host(), vec![], "node-b would fit as well"),
        (
            "each other node has one",
            by_host(),
            vec![on("node-b"), on("node-c")],
            "1 of its pods are there, 0 where the fewest are",
        ),
        ("one of them has one", by_host(), vec![on("node-b")], "node-c would fit as well"),
        ("the other zone has one", by_zone(), vec![on("node-c")], "no other node is promised"),
        ("each zone has one", by_zone(), vec![on("node-a"), on("node-c")], "node-b would fit as well"),
        (
            "there have to be three zones",
            at_least(3),
            vec![on("node-a"), on("node-c")],
            "no other node is promised",
        ),
        ("two are enough", at_least(2), vec![on("node-a"), on("node-c")], "node-b would fit as well"),
        ("one on its way out does not count", by_zone(), vec![leaves], "node-b would fit as well"),
        (
            "nor one of other labels",
            by_zone(),
            vec![other("api-1", "node-b", "api")],
            "node-b would fit as well",
        ),
        (
            "nor one of another namespace",
            by_zone(),
            vec![elsewhere(on("node-b"))],
            "node-b would fit as well",
        ),
        ("labels are not told", by_zone(), vec![untold], "topology spread: not all labels of pod"),
        ("no node has the label", spreads(web(), spread("rack")), vec![], "it lacks the label rack"),
        ("a zone that it may not be in", zoned(true), vec![on("node-b")], "node-b would fit as well"),
        ("one that counts all the same", zoned(false), vec![on("node-b")], "topology spread over"),
        (
            "every pod is selected, which schedulers read differently",
            spreads(web(), v1::Spread { selector: Some(v1::LabelSelector::default()), ..spread(ZONE) }),
            vec![],
            "is not known",
        ),
    ]);
}

#[test]
fn a_pod_goes_only_where_those_are_that_it_stays_with() {
    let db = || other("db-1", "node-c", "db");
    let mut untold = db();
    facts(&mut untold).labels_complete = false;
    each([
        ("one node has it", stays_with(web(), "db", &[]), vec![db()], "node-c would fit as well"),
        ("no node has it", stays_with(web(), "db", &[]), vec![], "no pod that the pod stays with"),
        (
            "it is of another namespace",
            stays_with(web(), "db", &[]),
            vec![elsewhere(db())],
            "no pod that the pod stays with",
        ),
        (
            "of one that is meant",
            stays_with(web(), "db", &["elsewhere"]),
            vec![elsewhere(db())],
            "node-c would fit as well",
        ),
        (
            "both terms have to hold for one and the same",
            stays_with(stays_with(web(), "db", &[]), "cache", &[]),
            vec![db(), other("cache-1", "node-c", "cache")],
            "no pod that the pod stays with",
        ),
        ("labels are not told", stays_with(web(), "db", &[]), vec![untold], "not all labels of pod db-1-0"),
        (
            "only itself is one, and keeps the new one until it is gone",
            stays_with(web(), "web", &[]),
            vec![],
            "it counts until it is gone",
        ),
        (
            "another one of its own kind",
            stays_with(web(), "web", &[]),
            vec![other("also-1", "node-b", "web")],
            "node-b would fit as well",
        ),
    ]);
}

#[test]
fn anti_affinity_rules_out_where_those_are_that_its_labels_select() {
    let on = |node: &str, of: &str| other(&format!("{of}-{node}"), node, of);
    let both = |of: &str| vec![on("node-b", of), on("node-c", of)];
    let mut untold = on("node-b", "api");
    facts(&mut untold).labels_complete = false;
    let selects_none = asks(web(), ANTI_AFFINITY, |placement| {
        let topology_key = HOST.into();
        placement.keeps_away =
            vec![v1::KeepsAway { topology_key, selector_told: true, ..Default::default() }];
    });
    let mut older = keeps_away(web(), "db", false);
    let terms = &mut facts(&mut older).placement.as_mut().unwrap().keeps_away;
    (terms[0].selector, terms[0].selector_told) = (None, false);
    each([
        ("others are not meant", keeps_away(web(), "web", false), both("api"), "node-b would fit as well"),
        ("those are", keeps_away(web(), "web", false), both("web"), "is between it and pod web-node-b-0"),
        (
            "one node is without",
            keeps_away(web(), "web", false),
            vec![on("node-b", "web")],
            "node-c would fit as well",
        ),
        (
            "it is meant by one there",
            web(),
            vec![keeps_away(on("node-b", "api"), "web", false)],
            "node-c would fit as well",
        ),
        ("it is not", web(), vec![keeps_away(on("node-b", "api"), "db", false)], "node-b would fit as well"),
        (
            "of which namespaces is not told",
            keeps_away(web(), "api", true),
            both("api").into_iter().map(elsewhere).collect(),
            "is not known",
        ),
        (
            "labels are not told",
            keeps_away(web(), "web", false),
            vec![untold, on("node-c", "web")],
            "or may be",
        ),
        ("it selects none", selects_none, both("web"), "node-b would fit as well"),
        ("an older agent tells no labels", older, both("api"), "or may be"),
    ]);
}

#[test]
fn a_volume_is_where_it_can_be_attached() {
    for (zone, words) in [("x", "no other node is promised"), ("y", "node-b would fit as well")] {
        let mut lab = cluster(1, [claims(web())]);
        lab.see(Body::PersistentVolumeClaim(claim("data-0", "pvc-1")));
        lab.see(Body::PersistentVolume(volume("pvc-1", &[zone])));
        assert!(!ordered(&mut lab).avoid_node);
        let said = plan(&lab).rationale.clone();
        assert!(said.contains(words), "{zone}: {said}");
    }
    each([("the claim is not there", claims(web()), vec![], "is not known")]);
}

#[test]
fn what_nothing_describes_leaves_it_unknown() {
    let gated = asks(web(), "a scheduling gate", |placement| {
        placement.untold =
            Some(v1::Untold { conditions: vec!["a scheduling gate".into()], ..Default::default() });
    });
    // An older agent does not say what it describes: all that it names decides too.
    let mut older = spreads(web(), spread(HOST));
    facts(&mut older).placement.as_mut().unwrap().untold = None;
    each([
        ("a gate", gated, vec![], "a scheduling gate decides too"),
        ("an older agent", older, vec![], "topology spread over something decides too"),
    ]);
}

/// The checker and the agent judge none of these again.
#[test]
fn no_node_is_held_for_a_pod_that_is_spread_or_stays_with_others_or_has_a_claim() {
    let sibling = || told(pod("web-1", "1", "node-b"), "web");
    let db = || other("db-1", "node-c", "db");
    for (what, pod, held) in [
        ("none of it", web(), true),
        ("spread", spreads(web(), spread(HOST)), false),
        ("affinity", stays_with(web(), "db", &[]), false),
        ("a claim", claims(web()), false),
        ("anti-affinity that means neither", keeps_away(web(), "cache", false), false),
    ] {
        let mut lab = cluster(2, [sibling(), db(), pod]);
        lab.see(Body::PersistentVolumeClaim(claim("data-0", "pvc-1")));
        lab.see(Body::PersistentVolume(volume("pvc-1", &["y"])));
        assert_eq!(ordered(&mut lab).avoid_node, held, "{what}");
        let said = plan(&lab).rationale.clone();
        assert_eq!(said.contains("it is not held back"), !held, "{what}: {said}");
        assert_eq!(said.contains("would fit as well"), !held, "{what}: {said}");
    }
}
