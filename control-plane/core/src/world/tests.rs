//! Tests of the world: how observations, listings and leaders change it.

use nimbus_protocol::v1::observation::Body;

use nimbus_protocol::ObjectKind;

use crate::model::{KubeRef, Workload};

use super::*;
use crate::testing::at;
use crate::testing::lab::{Lab, agent_id};
use crate::testing::objects::*;

fn web(uid: &str) -> Workload {
    Workload::of(KubeRef::new("apps/v1", "Deployment", "shop", "web", uid))
}

fn other() -> AgentId {
    format!("agt_{:032x}", 2).parse().unwrap()
}

fn inventory(lab: &Lab) -> &Inventory {
    &lab.world.clusters[CLUSTER]
}

#[test]
fn what_a_listing_does_not_show_is_gone_and_until_its_end_it_is_not_complete() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    assert!(inventory(&lab).unlisted().is_empty());
    lab.see(begin("Pod", 1));
    assert_eq!(inventory(&lab).unlisted(), [ObjectKind::Pod]);
    lab.see(Body::Pod(pod("web-1", "1", "node-a")));
    assert_eq!(inventory(&lab).pods.len(), 2);
    lab.see(end("Pod", 1));
    assert_eq!(
        inventory(&lab).pods.values().map(|p| p.meta.uid.as_str()).collect::<Vec<_>>(),
        ["pod-web-1-1"]
    );
    assert!(inventory(&lab).unlisted().is_empty());
}

#[test]
fn an_end_whose_begin_was_lost_removes_nothing_and_completes_nothing() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    assert!(!lab.see(end("Pod", 1)));
    assert_eq!(inventory(&lab).pods.len(), 2);
    let mut fresh = World::default();
    let observation =
        v1::Observation { cluster_uid: CLUSTER.into(), body: Some(end("Pod", 1)), ..Default::default() };
    assert!(!fresh.apply(agent_id(), &observation, at(0)));
    assert_eq!(fresh.clusters[CLUSTER].unlisted(), ObjectKind::ALL);
}

#[test]
fn a_newer_lease_takes_over_and_the_older_leader_is_not_heard_any_more() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    assert!(!lab.see_as(other(), CLUSTER, Body::Node(node("node-c"))), "it does not lead");
    assert!(lab.see_as(other(), CLUSTER, begin("Node", 2)));
    assert_eq!(inventory(&lab).leader, Some(other()));
    assert_eq!(inventory(&lab).unlisted(), ObjectKind::ALL, "the new leader has to list everything itself");
    assert!(!lab.see(Body::Node(node("node-d"))));
    assert!(!lab.see(begin("Node", 1)), "an older term");
    assert!(lab.see_as(other(), CLUSTER, Body::Node(node("node-c"))));
    assert!(lab.see_as(other(), CLUSTER, end("Node", 2)));
    assert_eq!(
        inventory(&lab).nodes.values().map(|n| n.meta.uid.as_str()).collect::<Vec<_>>(),
        ["node-node-c"]
    );
    assert_eq!(inventory(&lab).lease_term, 2);
}

#[test]
fn the_same_state_again_is_no_change() {
    let mut lab = Lab::new();
    assert!(lab.see(Body::Pod(pod("web-1", "a", "node-a"))));
    assert!(!lab.see(Body::Pod(pod("web-1", "a", "node-a"))));
    assert!(lab.see(Body::Pod(crashing(pod("web-1", "a", "node-a"), 1))));
    assert!(lab.see(gone("Pod", "pod-web-1-a")));
    assert!(!lab.see(gone("Pod", "pod-web-1-a")));
    assert!(!lab.see(Body::AgentStatus(v1::AgentStatus::default())));
}

#[test]
fn a_file_drifts_keeps_its_first_time_and_is_over_only_on_evidence() {
    let mut lab = Lab::new();
    let (good, bad) = (file_state("file", 0o644, 1), file_state("file", 0o644, 2));
    assert!(!lab.see_host(Body::File(v1::File {
        first_pass: true,
        ..file("/srv/etc/b", good.clone(), good.clone())
    })));
    assert!(lab.see_host(Body::File(file("/srv/etc/a", good.clone(), bad.clone()))));
    lab.pass(5);
    assert!(!lab.see_host(Body::File(file("/srv/etc/a", good.clone(), bad))));
    assert!(lab.see_host(Body::File(file("/srv/etc/a", good.clone(), file_state("absent", 0, 0)))));
    let facts = &lab.world.hosts[&agent_id()];
    assert_eq!(facts.files["/srv/etc/a"].since, at(0));
    assert!(!facts.agrees("/srv/etc/a"));
    assert!(!facts.agrees("/srv/etc/never-heard-of"), "silence is no evidence");
    assert!(lab.see_host(Body::File(file("/srv/etc/a", good.clone(), good))));
    assert!(lab.world.hosts[&agent_id()].agrees("/srv/etc/a"));
}

#[test]
fn a_full_pass_over_the_files_is_evidence_for_those_it_does_not_show() {
    let mut lab = Lab::new();
    let (good, bad) = (file_state("file", 0o644, 1), file_state("file", 0o644, 2));
    lab.see_host(Body::File(file("/srv/etc/a", good.clone(), bad.clone())));
    lab.see_host(Body::File(file("/srv/etc/b", good.clone(), bad.clone())));
    lab.see_host(begin("File", 0));
    lab.see_host(Body::File(file("/srv/etc/b", good, bad)));
    lab.see_host(end("File", 0));
    let facts = &lab.world.hosts[&agent_id()];
    assert_eq!(facts.files.keys().collect::<Vec<_>>(), ["/srv/etc/b"]);
    assert!(facts.agrees("/srv/etc/a") && !facts.agrees("/srv/etc/b"));
}

#[test]
fn drifted_files_beyond_the_bound_are_counted() {
    let mut lab = Lab::new();
    let (good, bad) = (file_state("file", 0o644, 1), file_state("file", 0o644, 2));
    for n in 0..MAX_FILES + 3 {
        lab.see_host(Body::File(file(&format!("/srv/etc/{n}"), good.clone(), bad.clone())));
    }
    let facts = &lab.world.hosts[&agent_id()];
    assert_eq!((facts.files.len(), facts.files_not_kept), (MAX_FILES, 3));
}

#[test]
fn a_snapshot_restores_everything_and_another_layout_is_refused_by_name() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 2);
    lab.see(begin("Pod", 1));
    lab.see_host(Body::File(file("/srv/etc/a", file_state("file", 0o644, 1), file_state("absent", 0, 0))));
    let bytes = lab.world.to_snapshot();
    assert_eq!(World::from_snapshot(&bytes).unwrap().to_snapshot(), bytes);
    assert_eq!(World::from_snapshot(&[]), Err(SnapshotError::Layout(None)));
    assert_eq!(World::from_snapshot(&[9, b'{']), Err(SnapshotError::Layout(Some(9))));
    assert!(matches!(World::from_snapshot(&[2, b'{']), Err(SnapshotError::Content(_))));
}

#[test]
fn an_owner_is_ready_since_its_newest_pod_is() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    assert_eq!(inventory(&lab).health_of(&web("dep-web")), Health::ReadySince(at(-3_600)));
    lab.see(Body::Pod(v1::Pod {
        ready_since_us: nimbus_protocol::to_micros(at(-5)),
        ..pod("web-1", "1", "node-a")
    }));
    assert_eq!(inventory(&lab).health_of(&web("dep-web")), Health::ReadySince(at(-5)));
    lab.see(Body::Pod(v1::Pod { ready_since_us: 0, ..pod("web-1", "1", "node-a") }));
    assert_eq!(inventory(&lab).health_of(&web("dep-web")), Health::NotReady { ready: 2, wanted: 2 });
    lab.see(gone("Pod", "pod-web-1-1"));
    assert_eq!(inventory(&lab).health_of(&web("dep-web")), Health::NotReady { ready: 1, wanted: 2 });
    lab.see(Body::Pod(pod("web-1", "2", "node-b")));
    let evicted = v1::Pod { phase: "Failed".into(), ready: false, ..pod("web-1", "3", "node-b") };
    lab.see(Body::Pod(evicted));
    assert_eq!(
        inventory(&lab).health_of(&web("dep-web")),
        Health::ReadySince(at(-3_600)),
        "what is left of a failed pod was replaced already"
    );
    lab.see(Body::Deployment(deployment("web", 0, 1)));
    assert_eq!(inventory(&lab).health_of(&web("dep-web")), Health::Idle);
    assert_eq!(inventory(&lab).health_of(&web("dep-gone")), Health::Gone);
}

#[test]
fn who_owns_what_follows_every_change_and_a_snapshot() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    let pods = |lab: &Lab| {
        let mut names: Vec<String> = inventory(lab).pods_of("dep-web").map(|p| p.meta.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(pods(&lab), ["web-1-0", "web-1-1", "web-1-2"]);
    // Orphaned, adopted by another ReplicaSet, and gone.
    let orphan = v1::Pod { meta: Some(meta("pod", "web-1-0", None)), ..pod("web-1", "0", "node-a") };
    lab.see(Body::Pod(orphan));
    lab.see(Body::Pod(v1::Pod {
        meta: Some(meta("pod", "web-1-1", Some(("ReplicaSet", "api-1")))),
        ..pod("web-1", "1", "node-a")
    }));
    assert_eq!(pods(&lab), ["web-1-2"]);
    let restored = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    assert_eq!(restored.clusters[CLUSTER].owned, lab.world.clusters[CLUSTER].owned);
    lab.see(begin("ReplicaSet", 1));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    lab.see(end("ReplicaSet", 1));
    assert_eq!(pods(&lab), Vec::<String>::new());
    assert_eq!(inventory(&lab).replica_sets_of("dep-web").count(), 1);
}

#[test]
fn a_term_far_ahead_of_the_clock_shuts_nobody_out() {
    let mut lab = Lab::new();
    let before = inventory(&lab).clone();
    assert!(!lab.see_as(other(), CLUSTER, begin("Node", u64::MAX)));
    assert_eq!(inventory(&lab), &before);
}

#[test]
fn after_an_unbound_leader_is_cleared_the_next_listing_counts_under_any_term() {
    let mut lab = Lab::new();
    lab.see_as(other(), CLUSTER, begin("Node", 1_000));
    lab.world.clear_leader(CLUSTER);
    assert_eq!(inventory(&lab).unlisted(), ObjectKind::ALL);
    assert!(lab.see(begin("Node", 1)));
    assert_eq!((&inventory(&lab).leader, inventory(&lab).lease_term), (&Some(agent_id()), 1));
}

#[test]
fn an_object_that_is_called_another_name_each_time_has_one_name() {
    let mut lab = Lab::new();
    for n in 0..100 {
        let mut renamed = claim("data", "pvc-1");
        renamed.meta.as_mut().unwrap().name = format!("data-{n}");
        lab.see(Body::PersistentVolumeClaim(renamed));
    }
    let found = |n: u32| inventory(&lab).claim("shop", &format!("data-{n}")).is_some();
    assert_eq!((0..100).filter(|n| found(*n)).collect::<Vec<_>>(), [99]);
    assert_eq!(inventory(&lab).claim_names.len(), 1);
}

#[test]
fn when_a_revision_of_a_stateful_set_came_out_and_first_failed_is_kept() {
    let mut lab = Lab::new();
    let noted = |lab: &Lab| {
        let set = inventory(lab).stateful_sets.get("sts-db").unwrap();
        (set.came_out_at, set.failed_at, set.ready_ms)
    };
    // Of a new one its controller has not named a revision yet.
    lab.see(Body::StatefulSet(stateful_set("db", 1, "")));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-1"), 1)));
    assert_eq!(noted(&lab), (None, None, 0), "it was the present one when first met");
    lab.pass(100);
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-1"), 2)));
    assert_eq!(noted(&lab), (Some(at(100)), None, 0), "another one's pod tells nothing of it");
    let mut pod = owned_pod("StatefulSet", "db", 0, "db-2");
    pod.meta.as_mut().unwrap().uid = "pod-db-0-new".into();
    pod.ready_since_us = nimbus_protocol::to_micros(at(110));
    lab.see(Body::Pod(pod.clone()));
    lab.pass(25);
    pod.ready_since_us = nimbus_protocol::to_micros(at(125));
    lab.see(Body::Pod(crashing(pod.clone(), 1)));
    lab.pass(60);
    lab.see(Body::Pod(crashing(pod, 2)));
    lab.see(Body::StatefulSet(v1::StatefulSet { generation: 2, ..stateful_set("db", 1, "db-2") }));
    assert_eq!(noted(&lab), (Some(at(100)), Some(at(125)), 15_000));
    lab.world = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    lab.world.clock_jumped(jiff::SignedDuration::from_secs(1_000), at(1_185));
    assert_eq!(noted(&lab), (Some(at(1_100)), Some(at(1_125)), 15_000));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-3")));
    assert_eq!(noted(&lab), (Some(lab.now), None, 0));
}

/// Its pod was seen to go; one that is missing in a listing after two hours in which nothing was heard tells nothing.
#[test]
fn for_how_long_a_revision_of_a_stateful_set_was_ready_outlives_its_pods_and_an_undo() {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    let ready_since_us = nimbus_protocol::to_micros(at(0));
    lab.see(Body::Pod(v1::Pod { ready_since_us, ..owned_pod("StatefulSet", "db", 0, "db-2") }));
    lab.pass(700);
    lab.see(gone("Pod", "pod-db-0"));
    lab.see(Body::Pod(v1::Pod { ready_since_us, ..owned_pod("StatefulSet", "db", 1, "db-2") }));
    lab.pass(7_200);
    lab.see(Body::Node(node("node-a")));
    lab.see(begin("Pod", 1));
    lab.see(end("Pod", 1));
    assert!(inventory(&lab).pods.is_empty());
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-3")));
    let noted = |lab: &Lab| {
        let set = inventory(lab).stateful_sets.get("sts-db").unwrap();
        (set.came_out_at, set.ready_ms, set.came_back())
    };
    assert_eq!(noted(&lab), (Some(at(7_900)), 0, false));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    lab.world = World::from_snapshot(&lab.world.to_snapshot()).unwrap();
    assert_eq!(noted(&lab), (Some(at(7_900)), 700_000, true));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    assert_eq!(noted(&lab), (None, 0, true), "it was there when the set was first met");
}

/// An agent that was cut off sends what it observed once it is back: for how long a pod went on to be ready in between nobody
/// saw. The clock of one that is ahead makes nothing last longer.
#[test]
fn a_revision_of_a_stateful_set_is_credited_until_it_was_observed_and_no_longer() {
    let cases = [(100, 100_000), (7_300, 7_300_000), (9_000, 7_300_000), (-100, 0)];
    for (observed_at, ready_ms) in cases {
        let mut lab = Lab::new();
        lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
        lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
        let ready_since_us = nimbus_protocol::to_micros(at(0));
        lab.see(Body::Pod(v1::Pod { ready_since_us, ..owned_pod("StatefulSet", "db", 0, "db-2") }));
        lab.pass(7_300);
        let late = |lab: &mut Lab, body: Body| {
            let observation = v1::Observation {
                sequence: 1,
                observed_at_us: nimbus_protocol::to_micros(at(observed_at)),
                cluster_uid: CLUSTER.into(),
                body: Some(body),
            };
            lab.world.apply(agent_id(), &observation, lab.now)
        };
        let noted = |lab: &Lab| inventory(lab).stateful_sets.get("sts-db").unwrap().ready_ms;
        let mut gone_late = lab.clone();
        late(&mut gone_late, gone("Pod", "pod-db-0"));
        assert_eq!(noted(&gone_late), ready_ms, "its pod is gone, observed at {observed_at} s");
        late(&mut lab, Body::StatefulSet(stateful_set("db", 1, "db-3")));
        late(&mut lab, Body::StatefulSet(stateful_set("db", 1, "db-2")));
        assert_eq!(noted(&lab), ready_ms, "it was given up, observed at {observed_at} s");
    }
}

/// A note on a StatefulSet is no word of its listing.
#[test]
fn a_stateful_set_that_a_listing_does_not_show_is_gone_whatever_its_pods_tell() {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-1")));
    lab.see(Body::StatefulSet(stateful_set("db", 1, "db-2")));
    lab.see(begin("StatefulSet", 1));
    lab.see(Body::Pod(crashing(owned_pod("StatefulSet", "db", 0, "db-2"), 1)));
    assert!(inventory(&lab).stateful_sets.get("sts-db").unwrap().failed_at.is_some());
    lab.see(end("StatefulSet", 1));
    assert!(inventory(&lab).stateful_sets.is_empty());
}
