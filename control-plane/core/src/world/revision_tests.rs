//! Tests of what is remembered of revisions and how they stand: a good revision is one that lasted.

use jiff::SignedDuration;
use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::model::{Revision, RevisionHistory};
use crate::testing::lab::Lab;
use crate::testing::objects::*;

const SOAK: SignedDuration = SignedDuration::from_mins(10);

fn inventory(lab: &Lab) -> &Inventory {
    &lab.world.clusters[CLUSTER]
}

fn history(lab: &Lab) -> &RevisionHistory {
    &inventory(lab).histories["dep-web"]
}

fn standing(lab: &Lab, revision: u64) -> Standing {
    let deployment = inventory(lab).deployments.get("dep-web").unwrap();
    let hash = nimbus_protocol::to_hex(&hash(revision));
    inventory(lab).standing(deployment, &hash, SOAK, lab.now)
}

fn lasted(lab: &Lab, revision: u64) -> bool {
    matches!(standing(lab, revision), Standing::Lasted(_))
}

/// Revision `revision` of `web` is rolled out completely at this moment: its pods are new, and no others are there.
fn roll_out(lab: &mut Lab, from: u64, revision: u64) {
    lab.see(Body::Deployment(v1::Deployment { updated: 0, ..deployment("web", 2, revision) }));
    lab.see(Body::ReplicaSet(replica_set("web", from, 0)));
    lab.see(Body::ReplicaSet(replica_set("web", revision, 2)));
    for n in ["0", "1"] {
        lab.see(gone("Pod", &format!("pod-web-{from}-{n}")));
        let since = nimbus_protocol::to_micros(lab.now);
        let pod = pod(&format!("web-{revision}"), n, "node-a");
        lab.see(Body::Pod(v1::Pod { ready_since_us: since, ..pod }));
    }
    lab.see(Body::Deployment(deployment("web", 2, revision)));
}

/// Revision 1 for an hour by its pods' own times, met just now.
fn met() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab
}

#[test]
fn a_cluster_that_is_met_for_the_first_time_is_judged_by_its_pods_times() {
    let mut lab = met();
    assert!(lasted(&lab, 1), "its pods have been ready for an hour");
    let young = v1::Pod {
        ready_since_us: nimbus_protocol::to_micros(crate::testing::at(-300)),
        ..pod("web-1", "1", "node-a")
    };
    lab.see(Body::Pod(young));
    assert_eq!(standing(&lab, 1), Standing::Unproven(SignedDuration::from_mins(5)));
    // A restart five minutes ago, whatever its readiness says.
    let mut lab = Lab::new();
    lab.see(Body::Deployment(deployment("web", 2, 1)));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 2)));
    lab.see(Body::Pod(pod("web-1", "0", "node-a")));
    let mut restarted = pod("web-1", "1", "node-a");
    restarted.containers[0].restart_count = 1;
    restarted.containers[0].last_finished_at_us = nimbus_protocol::to_micros(crate::testing::at(-300));
    lab.see(Body::Pod(restarted));
    assert_eq!(standing(&lab, 1), Standing::Unproven(SignedDuration::from_mins(5)));
}

#[test]
fn seen_for_a_moment_is_not_good_and_the_soak_time_is() {
    let mut lab = met();
    roll_out(&mut lab, 1, 2);
    assert!(lasted(&lab, 1), "what it was is noted when another one comes");
    for (seconds, good) in [(0, false), (599, false), (1, true), (3_600, true)] {
        lab.pass(seconds);
        assert_eq!(lasted(&lab, 2), good, "{seconds} s more");
    }
    lab.see(Body::Deployment(stuck("web", 2, 3)));
    assert!(lasted(&lab, 2) && history(&lab).holding.is_none(), "it is remembered, and holds no longer");
}

/// The cluster's clock is an hour behind: its pods seem to have been ready for an hour when they are made.
#[test]
fn a_clock_that_is_behind_makes_no_revision_good() {
    let mut lab = met();
    lab.see(Body::Deployment(v1::Deployment { updated: 0, ..deployment("web", 2, 2) }));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 2)));
    for n in ["0", "1"] {
        lab.see(gone("Pod", &format!("pod-web-1-{n}")));
        lab.see(Body::Pod(pod("web-2", n, "node-a")));
    }
    lab.see(Body::Deployment(deployment("web", 2, 2)));
    assert!(!lasted(&lab, 2), "{:?}", standing(&lab, 2));
    lab.pass(3);
    lab.see(Body::Deployment(stuck("web", 2, 3)));
    assert!(!lasted(&lab, 2), "{:?}", standing(&lab, 2));
}

#[test]
fn a_new_restart_or_a_pod_less_begins_the_soak_time_anew() {
    type Break = fn(&mut Lab);
    let breaks: [(&str, Break); 4] = [
        ("a restart", |lab| {
            let mut pod = pod("web-2", "0", "node-a");
            pod.containers[0].restart_count = 1;
            pod.containers[0].last_finished_at_us = nimbus_protocol::to_micros(lab.now);
            pod.ready_since_us = nimbus_protocol::to_micros(lab.now);
            lab.see(Body::Pod(pod));
        }),
        ("not ready for a moment", |lab| {
            lab.see(Body::Pod(crashing(pod("web-2", "0", "node-a"), 1)));
            lab.see(Body::Pod(v1::Pod {
                ready_since_us: nimbus_protocol::to_micros(lab.now),
                ..pod("web-2", "0", "node-a")
            }));
        }),
        ("one pod less", |lab| {
            lab.see(Body::Deployment(v1::Deployment { available: 1, ready: 1, ..deployment("web", 2, 2) }));
            lab.see(Body::Pod(v1::Pod {
                ready_since_us: nimbus_protocol::to_micros(lab.now),
                ..pod("web-2", "0", "node-a")
            }));
            lab.see(Body::Deployment(deployment("web", 2, 2)));
        }),
        ("an older pod again", |lab| {
            lab.see(Body::Deployment(v1::Deployment { updated: 1, replicas: 3, ..deployment("web", 2, 2) }));
            lab.see(Body::Pod(v1::Pod {
                ready_since_us: nimbus_protocol::to_micros(lab.now),
                ..pod("web-2", "0", "node-a")
            }));
            lab.see(Body::Deployment(deployment("web", 2, 2)));
        }),
    ];
    for (what, happens) in breaks {
        let mut lab = met();
        roll_out(&mut lab, 1, 2);
        lab.pass(500);
        happens(&mut lab);
        lab.pass(500);
        assert!(!lasted(&lab, 2), "{what}: {:?}", standing(&lab, 2));
        lab.see(Body::Deployment(deployment("web", 2, 2)));
        lab.pass(101);
        assert!(lasted(&lab, 2), "{what}: {:?}", standing(&lab, 2));
    }
}

#[test]
fn scaling_is_no_trouble_of_a_revision() {
    let mut lab = met();
    roll_out(&mut lab, 1, 2);
    for n in 0..12 {
        lab.pass(60);
        let (desired, available) = if n % 2 == 0 { (3, 2) } else { (2, 3) };
        let scaled = deployment("web", desired, 2);
        lab.see(Body::Deployment(v1::Deployment {
            generation: 10 + n,
            observed_generation: 10 + n,
            updated: 3,
            replicas: 3,
            available,
            ready: available,
            ..scaled
        }));
        let (name, now) = (format!("pod-web-2-s{n}"), nimbus_protocol::to_micros(lab.now));
        if n % 2 == 0 {
            let pod = pod("web-2", &format!("s{n}"), "node-b");
            lab.see(Body::Pod(v1::Pod { ready_since_us: now, ..pod }));
        } else {
            lab.see(gone("Pod", &name.replace(&format!("s{n}"), &format!("s{}", n - 1))));
        }
        lab.see(Body::Deployment(deployment("web", desired, 2)));
    }
    assert!(lasted(&lab, 2), "{:?}", standing(&lab, 2));
}

#[test]
fn what_crash_looped_or_got_stuck_is_known_bad_until_it_lasts() {
    let mut lab = met();
    roll_out(&mut lab, 1, 2);
    lab.pass(3);
    lab.see(Body::Pod(crashing(pod("web-2", "0", "node-a"), 2)));
    let Standing::Bad(trouble) = standing(&lab, 2) else { panic!("{:?}", standing(&lab, 2)) };
    assert_eq!((trouble.first_at, trouble.what.contains("web-2-0")), (lab.now, true));
    // It comes up after all.
    lab.pass(60);
    lab.see(Body::Pod(v1::Pod {
        ready_since_us: nimbus_protocol::to_micros(lab.now),
        ..pod("web-2", "0", "node-a")
    }));
    lab.see(Body::Deployment(deployment("web", 2, 2)));
    lab.pass(599);
    assert!(matches!(standing(&lab, 2), Standing::Bad(_)));
    lab.pass(1);
    assert!(lasted(&lab, 2));

    roll_out(&mut lab, 2, 3);
    lab.see(Body::Deployment(v1::Deployment { available: 1, ready: 1, ..stuck("web", 2, 3) }));
    let unready = crashing(pod("web-3", "0", "node-a"), 0);
    lab.see(Body::Pod(unready));
    assert!(matches!(standing(&lab, 3), Standing::Bad(_)), "{:?}", standing(&lab, 3));
}

#[test]
fn one_pod_that_fails_while_a_sibling_has_long_been_well_is_not_the_revisions_fault() {
    let mut lab = met();
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 9)));
    assert!(history(&lab).of(&nimbus_protocol::to_hex(&hash(1))).unwrap().trouble.is_none());
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-a"), 9)));
    assert!(matches!(standing(&lab, 1), Standing::Bad(_)), "now all of them do");
}

#[test]
fn of_which_no_pod_ever_existed_is_untried() {
    let mut lab = met();
    lab.see(Body::Deployment(v1::Deployment { updated: 0, ..stuck("web", 2, 2) }));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    assert_eq!(standing(&lab, 2), Standing::Untried);
    // A pod that no node has room for was never tried either, and blames nothing.
    let pending = v1::Pod {
        node: String::new(),
        unschedulable: "Unschedulable: 0/2 nodes".into(),
        ..crashing(pod("web-2", "0", ""), 0)
    };
    lab.see(Body::Pod(pending));
    assert_eq!(standing(&lab, 2), Standing::Unproven(SignedDuration::ZERO));
    assert_eq!(standing(&lab, 9), Standing::Unknown, "of one that was never met nothing is known");
}

#[test]
fn an_idle_deployment_proves_nothing() {
    let mut lab = Lab::new();
    lab.see(Body::Deployment(deployment("web", 0, 1)));
    lab.pass(3_600);
    assert_eq!(standing(&lab, 1), Standing::Untried);
}

#[test]
fn what_is_remembered_outlives_a_snapshot_that_is_lost() {
    let mut lab = met();
    roll_out(&mut lab, 1, 2);
    lab.pass(700);
    lab.see(Body::Node(node("node-a")));
    let stored = lab.world.take_unstored_histories();
    assert!(lab.world.take_unstored_histories().is_empty(), "nothing changed since");
    let texts: Vec<String> = stored.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    let read = texts.iter().map(|text| serde_json::from_str::<RevisionHistory>(text).unwrap());
    let mut world = World::default();
    world.restore_histories(read);
    let held = |hash: &Revision| hash.held_ms >= 600_000;
    assert!(world.clusters[CLUSTER].histories["dep-web"].revisions.iter().all(held));
}

#[test]
fn the_history_of_a_deleted_deployment_is_marked_to_go() {
    let mut lab = met();
    lab.see(gone("Deployment", "dep-web"));
    assert!(history(&lab).gone_at.is_some());
}

/// One pod of many that hangs on its node beside others that are well, past the deadline: that is remembered until the rollout is
/// complete, and makes no bad revision of one that lasted.
#[test]
fn a_revision_that_is_late_beside_pods_that_are_well_is_no_bad_one() {
    let mut lab = met();
    assert!(lasted(&lab, 1));
    lab.pass(60);
    let late = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-1", "1", "node-b") };
    lab.see(Body::Pod(late.clone()));
    lab.see(Body::Deployment(v1::Deployment { available: 1, ready: 1, ..stuck("web", 2, 1) }));
    lab.see(Body::Pod(late));
    let one = |lab: &Lab| history(lab).revisions.last().unwrap().clone();
    assert!(one(&lab).late_at.is_some() && one(&lab).trouble.is_none(), "{:?}", one(&lab));
    assert!(lasted(&lab, 1));
    // One that flaps starts its deadline anew, and was late all the same.
    lab.see(Body::Deployment(v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        available: 1,
        ready: 1,
        ..stuck("web", 2, 1)
    }));
    assert!(one(&lab).late_at.is_some());
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    lab.see(Body::Deployment(deployment("web", 2, 1)));
    assert!(one(&lab).late_at.is_none(), "{:?}", one(&lab));
}
