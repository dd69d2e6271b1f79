//! When the checker lets a node be held back: what speaks against it, and one at a time.

use nimbus_protocol::v1::{self, observation::Body};

use super::{Lab, job, numbers, rename, suspect, with_job};
use crate::check;
use crate::model::*;
use crate::testing::ActionBody;
use crate::testing::objects::*;

/// The pod of [`suspect`] with other facts.
fn suspect_pod(change: impl FnOnce(&mut v1::PodFacts)) -> v1::Pod {
    let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
    change(pod.facts.as_mut().unwrap());
    pod
}

fn node_with_rack(name: &str) -> v1::Node {
    let mut node = node(name);
    let label = v1::Label { key: "rack".into(), value: name.into() };
    node.facts.as_mut().unwrap().labels.push(label);
    node
}

fn keep_apart(facts: &mut v1::PodFacts, other_namespaces: bool) {
    let placement = facts.placement.as_mut().unwrap();
    let topology_key = "rack".into();
    placement.keeps_away = vec![v1::KeepsAway { topology_key, other_namespaces, ..Default::default() }];
}

/// A toleration of this value of the key, or without one of every value; without a key of every key.
fn tolerates(facts: &mut v1::PodFacts, key: &str, value: &str, effect: &str) {
    let operator = if value.is_empty() { "Exists" } else { "Equal" };
    let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
    let placement = facts.placement.as_mut().unwrap();
    placement.tolerations.push(v1::Toleration { key, operator, value, effect });
}

#[test]
fn a_pod_that_tolerates_the_hold_in_no_way_has_its_node_held() {
    for (key, effect) in [("", "NoExecute"), ("nimbus.dev/held", "NoExecute"), ("pool", "")] {
        let (mut lab, plan) = suspect();
        lab.see(Body::Pod(suspect_pod(|facts| tolerates(facts, key, "", effect))));
        assert_eq!(numbers(&lab, &plan), [0u8; 0], "{key} {effect}");
    }
}

#[test]
fn pods_that_keep_apart_by_a_label_that_the_other_node_lacks_hold_nothing_up() {
    let (mut lab, plan) = suspect();
    lab.see(Body::Pod(suspect_pod(|facts| keep_apart(facts, true))));
    assert_eq!(numbers(&lab, &plan), [0u8; 0]);
}

#[test]
fn no_node_is_held_where_the_other_may_be_one_that_pods_keep_apart_on() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("it keeps away from a pod of the other", |lab| {
            lab.see(Body::Node(node_with_rack("node-b")));
            lab.see(Body::Pod(suspect_pod(|facts| keep_apart(facts, false))));
        }),
        ("a pod of the other keeps it away", |lab| {
            lab.see(Body::Node(node_with_rack("node-b")));
            let mut other = pod("api-1", "0", "node-b");
            keep_apart(other.facts.as_mut().unwrap(), false);
            lab.see(Body::Pod(other));
        }),
        ("an older agent does not tell the terms of a pod anywhere", |lab| {
            let mut other = pod("api-1", "0", "node-z");
            other.meta.as_mut().unwrap().namespace = "elsewhere".into();
            let placement = other.facts.as_mut().unwrap().placement.as_mut().unwrap();
            placement.other_conditions = vec![nimbus_protocol::kind::ANTI_AFFINITY.into()];
            lab.see(Body::Pod(other));
        }),
        ("the other may have more labels than are told", |lab| {
            let mut other = node("node-b");
            let label = |n: usize| v1::Label { key: format!("l{n}"), value: String::new() };
            other.facts.as_mut().unwrap().labels = (0..256).map(label).collect();
            lab.see(Body::Node(other));
        }),
        ("one of another namespace does, on a node that is not known", |lab| {
            lab.see(Body::Node(node_with_rack("node-b")));
            let mut other = pod("api-1", "0", "node-z");
            other.meta.as_mut().unwrap().namespace = "elsewhere".into();
            keep_apart(other.facts.as_mut().unwrap(), true);
            lab.see(Body::Pod(other));
        }),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

#[test]
fn a_node_is_held_back_only_where_nothing_speaks_against_it() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("no other node is schedulable", |lab| {
            lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-b") }));
        }),
        ("the other has a taint", |lab| {
            let mut other = node("node-b");
            let taint = v1::Taint { key: "gpu".into(), value: String::new(), effect: "NoSchedule".into() };
            other.facts.as_mut().unwrap().taints = vec![taint];
            lab.see(Body::Node(other));
        }),
        ("what the other offers is not known", |lab| {
            lab.see(Body::Node(v1::Node { facts: None, ..node("node-b") }));
        }),
        ("the node is of the control plane", |lab| {
            lab.see(Body::Node(v1::Node { control_plane: true, ..node("node-a") }));
        }),
        ("the node is cordoned", |lab| {
            lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-a") }));
        }),
        ("kured is at work on the node", |lab| {
            lab.see(Body::Node(marked_node("node-a", "kured: annotation x")));
        }),
        ("the autoscaler removes the other", |lab| {
            lab.see(Body::Node(marked_node("node-b", "cluster autoscaler: taint x")));
        }),
        ("a third node is held", |lab| _ = lab.see(Body::Node(held_node("node-c", "job_1")))),
        ("an older version cordoned a third", |lab| {
            lab.see(Body::Node(v1::Node {
                unschedulable: true,
                cordoned_by: "job_1".into(),
                ..node("node-c")
            }));
        }),
        ("what its pod refers to was just written", |lab| {
            let mut refers = crashing(pod("web-1", "0", "node-a"), 4);
            refers.facts.as_mut().unwrap().config_maps = vec!["settings".into()];
            lab.see(Body::Pod(refers));
            let at = nimbus_protocol::to_micros(lab.now);
            lab.see(Body::ConfigMap(config_map("settings", "kubectl-edit", at)));
        }),
        ("the template is well on the node too", |lab| {
            lab.see(Body::Pod(pod("web-1", "2", "node-a")));
        }),
        ("it fails elsewhere too", |lab| {
            lab.see(Body::Node(node("node-c")));
            lab.see(Body::Pod(crashing(pod("web-1", "2", "node-c"), 4)));
        }),
        ("the template is well nowhere else", |lab| _ = lab.see(gone("Pod", "pod-web-1-1"))),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

#[test]
fn a_node_is_held_back_only_where_its_pod_is_as_those_that_are_well_and_fits_elsewhere() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("it is not known what all its pod refers to", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.references_complete = false)));
        }),
        ("its pod refers to a Secret, and those are not listed", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.secrets = vec!["keys".into()])));
            lab.see(Body::Secret(secret(
                "keys",
                "vault",
                nimbus_protocol::to_micros(crate::testing::at(-90_000)),
            )));
            lab.see(begin("Secret", 1));
        }),
        ("its pod refers to a Secret that was rotated since the others started", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.secrets = vec!["keys".into()])));
            lab.see(Body::Secret(secret(
                "keys",
                "vault",
                nimbus_protocol::to_micros(crate::testing::at(-600)),
            )));
        }),
        ("the other does not fit the pod's affinity", |lab| {
            let rack = v1::NodeRequirement { key: "rack".into(), operator: "Exists".into(), values: vec![] };
            let term = v1::NodeTerm { requirements: vec![rack] };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().node_terms = vec![term];
            })));
        }),
        ("a word of the pod's affinity is not known", |lab| {
            let near = v1::NodeRequirement {
                key: "metadata.name".into(),
                operator: "Near".into(),
                values: vec!["node-b".into()],
            };
            let term = v1::NodeTerm { requirements: vec![near] };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().node_terms = vec![term];
            })));
        }),
        ("the other has a taint, and a word of the toleration is not known", |lab| {
            let mut other = node("node-b");
            let taint = v1::Taint { key: "gpu".into(), value: "1".into(), effect: "NoSchedule".into() };
            other.facts.as_mut().unwrap().taints = vec![taint];
            lab.see(Body::Node(other));
            let toleration = v1::Toleration {
                key: "gpu".into(),
                operator: "Gt".into(),
                value: "1".into(),
                effect: String::new(),
            };
            lab.see(Body::Pod(suspect_pod(|facts| {
                facts.placement.as_mut().unwrap().tolerations = vec![toleration];
            })));
        }),
        ("the other has no room", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.placement.as_mut().unwrap().cpu_milli = i64::MAX)));
        }),
        ("what a pod of the other asks for is not known", |lab| {
            lab.see(Body::Pod(v1::Pod { facts: None, ..pod("cache-1", "0", "node-b") }));
        }),
        ("its image's name stands for another image where it is well", |lab| {
            let mut other = pod("web-1", "1", "node-b");
            other.containers[0].image_id = "sha256:2".into();
            lab.see(Body::Pod(other));
        }),
        ("the one that is well has a container that it lacks", |lab| {
            let mut other = pod("web-1", "1", "node-b");
            let proxy = v1::Container { name: "proxy".into(), ..other.containers[0].clone() };
            other.containers.push(proxy);
            lab.see(Body::Pod(other));
        }),
        ("which image it runs is not known", |lab| {
            let mut pod = suspect_pod(|_| ());
            pod.containers[0].image_id = String::new();
            lab.see(Body::Pod(pod));
        }),
        ("what its pod refers to was written after the others started", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.config_maps = vec!["settings".into()])));
            lab.see(Body::ConfigMap(config_map(
                "settings",
                "ci",
                nimbus_protocol::to_micros(crate::testing::at(-5 * 60)),
            )));
        }),
        ("what its pod refers to is not there", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| facts.config_maps = vec!["settings".into()])));
        }),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

/// The taint would not keep its new pod away.
#[test]
fn no_node_is_held_for_a_pod_that_tolerates_the_hold() {
    type Change = fn(&mut Lab);
    let table: &[(&str, Change)] = &[
        ("its pod tolerates every taint, that of Nimbus among them", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| tolerates(facts, "", "", "NoSchedule"))));
        }),
        ("its pod tolerates the taint of a job of Nimbus", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| tolerates(facts, "nimbus.dev/held", "job_1", ""))));
        }),
        ("its pod may have more tolerations than are told", |lab| {
            lab.see(Body::Pod(suspect_pod(|facts| {
                for n in 0..64 {
                    tolerates(facts, &format!("pool-{n}"), "", "");
                }
            })));
        }),
    ];
    for (what, change) in table {
        let (mut lab, plan) = suspect();
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [7], "{what}");
    }
}

#[test]
fn one_node_of_a_cluster_is_held_at_a_time_and_the_planner_knows_it_too() {
    let closing = |plan: &Plan, node: &str, avoid_node| {
        let Some(ActionBody::RestartPod(action)) = plan.action.body().cloned() else { panic!() };
        let action = v1::RestartPod { node: node.into(), avoid_node, ..action };
        Plan { action: ActionBody::RestartPod(action).into(), ..plan.clone() }
    };
    let unreadable = |plan: &Plan| Plan { id: format!("pln_{:032x}", 9).parse().unwrap(), ..plan.clone() };
    let table = [
        ("another node is being held", Some(("node-z", true)), true),
        ("the same node is being held", Some(("node-a", true)), true),
        ("a pod of another node is replaced without holding it", Some(("node-z", false)), false),
        ("what the other job does is not known", None, true),
    ];
    for (what, other, broken) in table {
        let (mut lab, plan) = suspect();
        let elsewhere = unreadable(&plan);
        let mut job = job(&lab, &elsewhere, JobState::Running);
        rename(&mut job, |o| (o.uid, o.namespace) = ("pod-z".into(), "elsewhere".into()));
        job.workload = Some(Workload::of(KubeRef::new("apps/v1", "Deployment", "elsewhere", "z", "owner-z")));
        job.incident_id = format!("inc_{:032x}", 9).parse().unwrap();
        with_job(&mut lab, job);
        lab.settings.caps.per_node = 9;
        if let Some((node, avoid)) = other {
            let doc = closing(&elsewhere, node, avoid);
            lab.plans.insert(doc.id.to_string(), Versioned { version: 1, doc });
        }
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        let hit = found.iter().any(|v| v.invariant == 7 && v.text.contains("holds a node"));
        assert_eq!(hit, broken, "{what}: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {what}");
    }
}

/// A job whose report was lost may hold its node until its taint's time is over; a plan that comes first holds one soon.
#[test]
fn what_may_still_hold_a_node_or_soon_will_counts_too() {
    for (state, node, since, broken) in [
        (JobState::Expired, "node-z", 0, true),
        (JobState::Unknown, "node-z", 119, true),
        (JobState::Unknown, "node-z", 120, false),
        // It is the same node, and no second one.
        (JobState::Unknown, "node-a", 0, false),
        (JobState::Failed, "node-z", 0, false),
        (JobState::Succeeded, "node-z", 0, false),
    ] {
        let (mut lab, plan) = suspect();
        let mut job = job(&lab, &plan, state);
        let Some(ActionBody::RestartPod(action)) = plan.action.body().cloned() else { panic!() };
        let action = ActionBody::RestartPod(v1::RestartPod { node: node.into(), ..action }).into();
        let before = Plan { id: format!("pln_{:032x}", 8).parse().unwrap(), action, ..plan.clone() };
        job.plan_id = before.id;
        lab.plans.insert(before.id.to_string(), Versioned { version: 1, doc: before });
        rename(&mut job, |o| (o.uid, o.namespace) = ("pod-z".into(), "elsewhere".into()));
        job.workload = Some(Workload::of(KubeRef::new("apps/v1", "Deployment", "elsewhere", "z", "owner-z")));
        job.finished_at = Some(lab.now);
        job.expires_at = lab.now;
        with_job(&mut lab, job);
        lab.pass(since);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert_eq!(found.iter().any(|v| v.invariant == 7), broken, "{state:?} for {since} s: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {state:?}");
    }
    for (state, earlier, broken) in [
        (IncidentState::Open, true, true),
        (IncidentState::Open, false, false),
        (IncidentState::Escalated, true, false),
    ] {
        let (mut lab, plan) = suspect();
        let mut other = plan.clone();
        other.id = format!("pln_{:032x}", 9).parse().unwrap();
        let mut incident = lab.incidents[&plan.incident_id.to_string()].clone();
        let by = jiff::SignedDuration::from_secs(if earlier { -1 } else { 1 });
        incident.doc.created_at += by;
        incident.doc.id = format!("inc_{:032x}", 9).parse().unwrap();
        (incident.doc.state, incident.doc.plan_id) = (state, Some(other.id));
        lab.plans.insert(other.id.to_string(), Versioned { version: 1, doc: other });
        lab.incidents.insert(incident.doc.id.to_string(), incident);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert_eq!(found.iter().any(|v| v.invariant == 7), broken, "{state:?} {earlier}: {found:?}");
        assert_eq!(crate::safety::room_for_test(&plan, &lab.snapshot()), broken, "both agree: {state:?}");
    }
}
