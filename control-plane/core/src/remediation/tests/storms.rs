//! Scenes of a storm, in which nothing automatic runs until it is over.

use nimbus_protocol::v1::observation::Body;

use super::*;
use crate::approval::Decision;
use crate::model::*;

#[test]
fn a_large_unhealthy_share_stops_everything_automatic_and_says_its_figures() {
    let mut lab = Lab::new();
    lab.deploy("web", 30, 1);
    for n in 0..9 {
        lab.see(Body::Pod(crashing(pod("web-1", &n.to_string(), "node-a"), 4)));
    }
    assert!(lab.settle().is_empty());
    let storm = lab.open(IncidentKind::Storm);
    assert!(storm.title.contains("9 of 30 pods unhealthy (30 %, limit 30 %)"), "{}", storm.title);
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("nothing automatic runs") && reason.contains("9 of 30"), "{reason}");

    // Under the limit, but not yet under half of it.
    for n in 0..4 {
        lab.see(Body::Pod(fresh(&lab, "web-1", &n.to_string(), "node-a")));
    }
    assert!(lab.settle().is_empty());
    assert!(lab.open(IncidentKind::Storm).is_open());
    lab.see(Body::Pod(fresh(&lab, "web-1", "4", "node-a")));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::Storm).state, IncidentState::Resolved);
    assert_eq!(lab.jobs.len(), 1, "and the rest is worked on again");
}

#[test]
fn one_pod_less_is_no_storm_and_neither_is_a_small_cluster() {
    for (pods, bad) in [(30, 8), (19, 19)] {
        let mut lab = Lab::new();
        lab.deploy("web", pods, 1);
        for n in 0..bad {
            lab.see(Body::Pod(crashing(pod("web-1", &n.to_string(), "node-a"), 4)));
        }
        assert_eq!(lab.settle().len(), 1, "{bad} of {pods}");
    }
}

#[test]
fn pods_that_only_start_are_no_storm() {
    let mut lab = Lab::new();
    lab.deploy("web", 40, 1);
    lab.deploy("api", 1, 1);
    for n in 0..40 {
        let mut pod = running_again(pod("web-1", &n.to_string(), "node-a"), 0);
        pod.containers[0].last_reason = String::new();
        lab.see(Body::Pod(pod));
    }
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-b"), 4)));
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn many_incidents_in_a_short_time_are_a_storm() {
    let mut lab = Lab::new();
    for n in 0..10 {
        let name = format!("svc{n}");
        lab.deploy(&name, 1, 1);
        lab.see(Body::Pod(crashing(pod(&format!("{name}-1"), "0", "node-a"), 4)));
    }
    assert!(lab.settle().is_empty(), "not even the first: they are seen together");
    assert!(lab.open(IncidentKind::Storm).title.contains("10 incidents within 300 s"));
    lab.pass(301);
    let jobs = lab.settle();
    assert_eq!(lab.last(IncidentKind::Storm).state, IncidentState::Resolved);
    assert_eq!(jobs.len(), 2, "then at most the cap for one node");
}

#[test]
fn many_nodes_that_are_not_ready_are_a_storm() {
    let mut lab = crash_loop();
    for name in ["node-c", "node-d", "node-e"] {
        lab.see(Body::Node(node(name)));
    }
    lab.see(Body::Node(nimbus_protocol::v1::Node { ready: "Unknown".into(), ..node("node-d") }));
    lab.see(Body::Node(nimbus_protocol::v1::Node { ready: "Unknown".into(), ..node("node-e") }));
    assert!(lab.settle().is_empty());
    assert!(lab.open(IncidentKind::Storm).title.contains("2 of 5 nodes not ready"));
}

#[test]
fn what_a_person_approved_goes_out_in_a_storm_too() {
    let mut lab = stuck_rollout();
    lab.deploy("api", 30, 1);
    for n in 0..20 {
        lab.see(Body::Pod(crashing(pod("api-1", &n.to_string(), "node-a"), 4)));
    }
    lab.settle();
    assert!(lab.open(IncidentKind::Storm).is_open());
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].approvals[0].by, "operator");
}
