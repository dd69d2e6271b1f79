//! What the checker asks of an eviction: that its pod's revision ever lasted, and that not all of its
//! siblings fail.

use jiff::SignedDuration;
use nimbus_protocol::to_micros;
use nimbus_protocol::v1::observation::Body;

use super::{Lab, job, numbers, ready, with_job};
use crate::model::*;
use crate::testing::objects::*;

/// The ReplicaSet was made so many seconds ago, or that is not told; the pod crashed just now, and has no
/// sibling.
fn alone(lab: &mut Lab, made: Option<i64>) {
    let mut set = replica_set("web", 1, 2);
    let made = made.map(|ago| to_micros(lab.now - SignedDuration::from_secs(ago)));
    set.meta.as_mut().unwrap().created_at_us = made.unwrap_or_default();
    lab.see(Body::ReplicaSet(set));
    lab.see(gone("Pod", "pod-web-1-1"));
    let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
    pod.containers[0].last_finished_at_us = to_micros(lab.now);
    lab.see(Body::Pod(pod));
}

fn history(lab: &mut Lab) -> &mut RevisionHistory {
    lab.world.clusters.get_mut(CLUSTER).unwrap().histories.get_mut("dep-web").unwrap()
}

#[test]
fn a_pod_of_a_revision_that_never_lasted_is_not_evicted() {
    let cases: [(&str, Option<i64>, u64, &[u8]); 6] = [
        ("it came out a minute ago", Some(60), 599_999, &[3]),
        ("it lasted once", Some(60), 600_000, &[]),
        ("when it came out is not told", None, 0, &[]),
        ("it was there for long enough when it was met", Some(601), 0, &[]),
        ("it was not", Some(600), 0, &[3]),
        ("it fails long after it came out", Some(1_801), 0, &[]),
    ];
    for (what, made, longest_ms, expected) in cases {
        let (mut lab, plan) = ready();
        alone(&mut lab, made);
        let revision = history(&mut lab).revisions.last_mut().unwrap();
        assert!(revision.trouble.is_some(), "{what}");
        (revision.held_ms, revision.longest_ms) = (0, longest_ms);
        assert_eq!(numbers(&lab, &plan), expected, "{what}");
    }
}

#[test]
fn a_revision_that_was_seen_to_come_out_is_suspect_for_half_an_hour() {
    let cases: [(i64, &[u8]); 2] = [(1_800, &[3]), (1_801, &[])];
    for (ago, expected) in cases {
        let (mut lab, plan) = ready();
        alone(&mut lab, None);
        let out = lab.now - SignedDuration::from_secs(ago);
        let revision = history(&mut lab).revisions.last_mut().unwrap();
        (revision.held_ms, revision.longest_ms, revision.came_out_at) = (0, 0, Some(out));
        assert_eq!(numbers(&lab, &plan), expected, "{ago} s");
    }
}

#[test]
fn a_sibling_that_is_well_or_a_revision_that_holds_shows_that_it_can() {
    type Change = fn(&mut Lab);
    let cases: [(&str, Change); 3] = [
        ("a sibling is well", |lab| _ = lab.see(Body::Pod(pod("web-1", "1", "node-a")))),
        ("its revision holds by what was noted", |lab| {
            let since = lab.now - SignedDuration::from_mins(10);
            let template_hash = nimbus_protocol::to_hex(&hash(1));
            history(lab).holding = Some(Holding { template_hash, since, available: 2 });
        }),
        ("what the API server says is by another clock", |lab| {
            lab.world.clusters.get_mut(CLUSTER).unwrap().clock_jumped_at = Some(lab.now);
        }),
    ];
    for (what, change) in cases {
        let (mut lab, plan) = ready();
        alone(&mut lab, Some(60));
        let revision = history(&mut lab).revisions.last_mut().unwrap();
        (revision.held_ms, revision.longest_ms) = (0, 0);
        assert_eq!(numbers(&lab, &plan), [3], "{what}: before");
        change(&mut lab);
        assert_eq!(numbers(&lab, &plan), [0u8; 0], "{what}");
    }
}

/// The other pod of it fails on the same node as well.
fn both_fail(lab: &mut Lab) {
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-a"), 4)));
}

#[test]
fn where_all_fail_on_one_node_one_is_evicted_at_most_and_only_where_another_node_could_tell() {
    let (mut lab, plan) = ready();
    let replaced = Job {
        applied_at: Some(lab.now),
        finished_at: Some(lab.now),
        ..job(&lab, &plan, JobState::Succeeded)
    };
    both_fail(&mut lab);
    assert_eq!(numbers(&lab, &plan), [0u8; 0], "a probe");
    let mut only = lab.clone();
    only.see(gone("Node", "node-node-b"));
    assert_eq!(numbers(&only, &plan), [3], "the only node");
    let mut closed = lab.clone();
    closed.see(Body::Node(nimbus_protocol::v1::Node { unschedulable: true, ..node("node-b") }));
    assert_eq!(numbers(&closed, &plan), [3], "no other one is open");
    with_job(&mut lab, replaced.clone());
    lab.pass(3_600);
    assert_eq!(numbers(&lab, &plan), [3], "one was replaced");
    let reset = Job { attempts_reset_at: Some(lab.now), ..replaced };
    with_job(&mut lab, reset);
    assert_eq!(numbers(&lab, &plan), [0u8; 0], "that was long ago");
}

#[test]
fn one_that_became_ready_a_moment_ago_is_not_known_to_be_well() {
    let (mut lab, plan) = ready();
    both_fail(&mut lab);
    lab.see(gone("Node", "node-node-b"));
    let mut third = pod("web-1", "2", "node-a");
    third.ready_since_us = to_micros(lab.now);
    lab.see(Body::Pod(third));
    assert_eq!(numbers(&lab, &plan), [3]);
    lab.pass(30);
    assert_eq!(numbers(&lab, &plan), [0u8; 0]);
}
