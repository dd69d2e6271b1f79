//! Scenes of where else a pod would run: another node is promised, and its own held, only where the scheduler would put it there.

use nimbus_protocol::v1;

use super::left_alone::{facts, ordered, plan};
use super::*;

#[test]
fn a_lone_pod_tells_nothing_of_its_node() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    assert!(!ordered(&mut lab).avoid_node);
    let plan = plan(&lab);
    assert!(plan.changes.iter().any(|change| change == "no node is held back"), "{:?}", plan.changes);
    assert!(plan.rationale.contains("node-b would fit as well"), "{}", plan.rationale);
}

#[test]
fn another_node_is_promised_only_where_the_scheduler_would_put_the_pod() {
    type Change = fn(&mut v1::Pod, &mut v1::Node);
    let label = || v1::Label { key: "disk".into(), value: "ssd".into() };
    let taint = |key: &str| v1::Taint { key: key.into(), value: String::new(), effect: "NoSchedule".into() };
    let _ = (label(), taint("gpu"));
    let table: [(&str, &str, Change); 7] = [
        ("a selector", "it lacks the label disk=ssd", |pod, _| {
            let placement = facts(pod).placement.as_mut().unwrap();
            placement.node_selector = vec![v1::Label { key: "disk".into(), value: "ssd".into() }];
        }),
        ("an affinity", "node affinity", |pod, _| {
            let one = v1::NodeRequirement { key: "zone".into(), operator: "Exists".into(), values: vec![] };
            let placement = facts(pod).placement.as_mut().unwrap();
            placement.node_terms = vec![v1::NodeTerm { requirements: vec![one] }];
        }),
        ("a taint", "the taint gpu", |_, node| {
            let taint = v1::Taint { key: "gpu".into(), value: String::new(), effect: "NoSchedule".into() };
            node.facts.as_mut().unwrap().taints = vec![taint];
        }),
        ("too little room", "not enough memory", |pod, _| {
            facts(pod).placement.as_mut().unwrap().memory_bytes = 32 << 30;
        }),
        ("a claim", "is not known", |pod, _| {
            let placement = facts(pod).placement.as_mut().unwrap();
            placement.other_conditions = vec!["volume data of claim data-0".into()];
        }),
        ("anti-affinity", "is not known", |pod, _| {
            let placement = facts(pod).placement.as_mut().unwrap();
            placement.other_conditions = vec!["required pod anti-affinity".into()];
        }),
        ("a mark", "cluster autoscaler", |_, node| {
            node.facts.as_mut().unwrap().marks = vec!["cluster autoscaler: taint x".into()];
        }),
    ];
    for (what, word, change) in table {
        let mut lab = Lab::new();
        lab.deploy("web", 2, 1);
        lab.see(Body::Pod(pod("web-1", "1", "node-b")));
        let (mut pod, mut node) = (crashing(pod("web-1", "0", "node-a"), 4), node("node-b"));
        change(&mut pod, &mut node);
        lab.see(Body::Pod(pod));
        lab.see(Body::Node(node));
        assert!(!ordered(&mut lab).avoid_node, "{what}: nothing is held");
        let plan = plan(&lab);
        assert!(plan.rationale.contains(word), "{what}: {}", plan.rationale);
        assert!(!plan.rationale.contains("would fit as well"), "{what}: {}", plan.rationale);
    }
}

/// Which labels a term of required anti-affinity selects is not told: a place without a pod in its reach is free, and of one
/// with such a pod it is not known.
#[test]
fn pods_that_keep_apart_leave_the_places_where_none_of_them_is() {
    type Case = (&'static str, v1::Pod, Option<v1::Pod>, Option<&'static str>);
    const HOST: &str = "kubernetes.io/hostname";
    let place = |name: &str, zone: &str| {
        let mut node = node(name);
        let label = |key: &str, value: &str| v1::Label { key: key.into(), value: value.into() };
        node.facts.as_mut().unwrap().labels = vec![label(HOST, name), label("zone", zone)];
        node
    };
    let apart = |mut pod: v1::Pod, over: &str, other_namespaces: bool| {
        let placement = facts(&mut pod).placement.as_mut().unwrap();
        placement.other_conditions = vec![nimbus_protocol::kind::ANTI_AFFINITY.into()];
        let topology_key = over.into();
        placement.keeps_away = vec![v1::KeepsAway { topology_key, other_namespaces, ..Default::default() }];
        pod
    };
    let untold = |mut pod: v1::Pod| {
        let placement = facts(&mut pod).placement.as_mut().unwrap();
        placement.other_conditions = vec![nimbus_protocol::kind::ANTI_AFFINITY.into()];
        pod
    };
    let elsewhere = |mut pod: v1::Pod| {
        pod.meta.as_mut().unwrap().namespace = "elsewhere".into();
        pod
    };
    let broken = || crashing(pod("web-1", "0", "node-a"), 4);
    let other = || pod("api-1", "0", "node-c");
    let table: [Case; 9] = [
        ("neither", broken(), Some(other()), Some("node-b")),
        ("the place of its sibling may be none", apart(broken(), HOST, false), None, Some("node-c")),
        ("nor one of another pod", apart(broken(), HOST, false), Some(other()), None),
        ("one of another namespace", apart(broken(), HOST, false), Some(elsewhere(other())), Some("node-c")),
        ("where the term reaches it", apart(broken(), HOST, true), Some(elsewhere(other())), None),
        ("a whole zone", apart(broken(), "zone", false), None, None),
        ("no node has the label", apart(broken(), "rack", false), Some(other()), Some("node-b")),
        ("another keeps it away", broken(), Some(apart(other(), "zone", false)), None),
        ("another may, wherever it is", broken(), Some(elsewhere(untold(other()))), None),
    ];
    for (what, pod_of_web, beside, fits_on) in table {
        let mut lab = Lab::new();
        lab.deploy("web", 2, 1);
        for node in [place("node-a", "x"), place("node-b", "y"), place("node-c", "y")] {
            lab.see(Body::Node(node));
        }
        lab.see(Body::Pod(pod("web-1", "1", "node-b")));
        beside.map(|beside| lab.see(Body::Pod(beside)));
        lab.see(Body::Pod(pod_of_web));
        let action = ordered(&mut lab);
        let rationale = &plan(&lab).rationale;
        assert_eq!(action.avoid_node, fits_on.is_some(), "{what}: {rationale}");
        match fits_on {
            Some(node) => assert!(rationale.contains(&format!("it fits on {node}")), "{what}: {rationale}"),
            None => assert!(rationale.contains("required anti-affinity"), "{what}: {rationale}"),
        }
    }
}

/// On small clusters every node is of the control plane and takes pods as any other: its taints decide.
#[test]
fn a_node_of_the_control_plane_without_a_taint_is_a_place_but_none_is_held_for_it() {
    let mut lab = crash_loop();
    lab.see(Body::Node(v1::Node { control_plane: true, ..node("node-b") }));
    assert!(!ordered(&mut lab).avoid_node);
    let rationale = plan(&lab).rationale.clone();
    assert!(rationale.contains("node-b would fit as well"), "{rationale}");
    assert!(rationale.contains("it is not held back"), "{rationale}");
}
