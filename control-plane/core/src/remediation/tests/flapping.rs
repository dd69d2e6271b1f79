//! Scenes of what comes and goes: one state, closed only after a stated time of health, with how often it came back; and of
//! what ends for another reason than that it is well.

use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::{to_micros, v1};

use super::*;
use crate::model::*;

fn lost(name: &str) -> Body {
    Body::Node(v1::Node { ready: "Unknown".into(), ..node(name) })
}

fn back(lab: &Lab, name: &str) -> Body {
    Body::Node(v1::Node { ready_since_us: to_micros(lab.now), ..node(name) })
}

#[test]
fn a_node_that_flaps_is_one_incident_that_counts_and_its_pods_are_none() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    for _ in 0..3 {
        lab.see(lost("node-a"));
        lab.settle();
        lab.pass(20);
        let ready = back(&lab, "node-a");
        lab.see(ready);
        // In its good seconds a pod of it crash-loops.
        lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
        assert!(lab.settle().is_empty());
        lab.pass(60);
        assert!(lab.settle().is_empty(), "not ready for anything yet");
    }
    assert_eq!(lab.incidents.len(), 1, "{:#?}", lab.incidents);
    assert_eq!(lab.open(IncidentKind::NodeNotReady).returns, 2);
    // Twice as long each time: 120 s become 480 s, of which 60 have passed; by then its pods are looked at again.
    lab.see(Body::Pod(fresh(&lab, "web-1", "0", "node-a")));
    lab.pass(419);
    lab.settle();
    assert!(lab.open(IncidentKind::NodeNotReady).is_open());
    lab.pass(1);
    lab.settle();
    let incident = lab.last(IncidentKind::NodeNotReady);
    assert_eq!(incident.state, IncidentState::Resolved);
    assert!(incident.reason.contains("lost again 2 times"), "{}", incident.reason);
}

#[test]
fn a_node_that_is_new_does_not_flap() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    let mut new = node("node-a");
    new.meta.as_mut().unwrap().created_at_us = to_micros(lab.now);
    new.ready_since_us = to_micros(lab.now);
    lab.see(Body::Node(new));
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn all_nodes_at_once_however_few_are_the_network_and_not_the_nodes() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(lost("node-a"));
    lab.settle();
    assert!(lab.open(IncidentKind::NodeNotReady).is_open(), "one of two is a node");
    lab.see(lost("node-b"));
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    assert!(lab.settle().is_empty());
    let storm = lab.open(IncidentKind::Storm);
    assert!(storm.title.contains("all 2 nodes") && storm.title.contains("the network"), "{}", storm.title);
    let open: Vec<_> = lab.incidents.values().filter(|i| i.doc.is_open()).map(|i| i.doc.kind).collect();
    assert_eq!(open, [IncidentKind::Storm], "neither nodes nor pods are cases of their own");
    for name in ["node-a", "node-b"] {
        let ready = back(&lab, name);
        lab.see(ready);
    }
    lab.settle();
    assert_eq!(lab.last(IncidentKind::Storm).state, IncidentState::Resolved);
}

#[test]
fn a_workload_that_is_gone_ends_its_incident_for_that_reason_and_not_because_a_job_helped() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.apply(&job);
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(gone("Deployment", "dep-web"));
    lab.report(&job, Phase::Succeeded, "", "");
    lab.settle();
    let incident = lab.last(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Resolved);
    assert!(incident.reason.contains("no longer exists"), "{}", incident.reason);
}

#[test]
fn a_pod_that_came_back_after_a_moment_of_health_is_counted_and_has_to_be_well_for_longer() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    let disabled =
        crate::remediation::disable(&lab.clusters[CLUSTER], &[], false, "operator", lab.now).unwrap();
    lab.commit(disabled);
    for _ in 0..3 {
        lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
        lab.settle();
        lab.pass(5);
        lab.see(Body::Pod(fresh(&lab, "web-1", "0", "node-a")));
        lab.settle();
        lab.pass(20);
    }
    assert_eq!((lab.incidents.len(), lab.open(IncidentKind::PodCrashLoop).returns), (1, 2));
    lab.pass(99);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "30 s became 120 s");
    lab.pass(1);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
}

/// Of a controller that is not watched only its pods tell. Ten minutes count from when the pod went, and not from the last
/// word on the incident.
#[test]
fn a_pod_that_was_not_replaced_is_over_ten_minutes_after_it_went() {
    let mut lab = Lab::new();
    let mut broken = crashing(owned_pod("Rollout", "web", 0, ""), 4);
    broken.meta.as_mut().unwrap().owner_api_version = "argoproj.io/v1alpha1".into();
    let uid = broken.meta.as_ref().unwrap().uid.clone();
    lab.see(Body::Pod(broken));
    lab.settle();
    lab.pass(3_600);
    lab.see(gone("Pod", &uid));
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "gone is not well");
    lab.pass(599);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open());
    lab.pass(1);
    lab.settle();
    let incident = lab.last(IncidentKind::PodCrashLoop);
    assert!(
        incident.state == IncidentState::Resolved && incident.reason.contains("not replaced"),
        "{incident:#?}"
    );
}
