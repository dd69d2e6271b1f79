//! Scenes of a host whose disk fills: one warning that says when it will be full and tells a person what to do, nothing done by
//! Nimbus, and nothing concluded from what is full by its nature, shown twice, or not known.

use super::*;
use crate::model::*;

const GIB: u64 = 1 << 30;

fn disk(mount: &str, filesystem: &str, left: u64) -> v1::Disk {
    v1::Disk {
        mount: mount.into(),
        filesystem: filesystem.into(),
        total_bytes: 100 * GIB,
        available_bytes: left * GIB,
    }
}

fn host(disks: Vec<v1::Disk>) -> Body {
    Body::Host(v1::Host { hostname: "db-1".into(), disks, ..v1::Host::default() })
}

/// A host with two disks, of which one has so many GiB left.
fn left(lab: &mut Lab, gib: u64) {
    lab.see_host(host(vec![disk("/", "ext4", 60), disk("/var/lib/db", "xfs", gib)]));
}

#[test]
fn a_disk_that_fills_is_one_warning_that_says_when_and_ends_with_room() {
    let mut lab = Lab::new();
    left(&mut lab, 30);
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.pass(20 * 60);
    left(&mut lab, 10);
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(IncidentKind::DiskNearFull).clone();
    assert_eq!((incident.severity, incident.object.name()), (Severity::Warning, "db-1"));
    assert_eq!((incident.plan_id, incident.approval_id), (None, None));
    let expected = "the disk at /var/lib/db is nearly full: 90.0 % of 100.0 GiB in use, 10.0 GiB left; at the pace of the last \
                    20m it is full in 10m";
    assert_eq!(incident.evidence, [expected]);
    assert!(incident.reason.contains("du -xh"), "{}", incident.reason);
    // Between the two bounds it neither ends nor comes back.
    left(&mut lab, 13);
    lab.settle();
    lab.open(IncidentKind::DiskNearFull);
    left(&mut lab, 16);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::DiskNearFull).state, IncidentState::Resolved);
}

#[test]
fn two_full_disks_of_a_host_are_one_incident() {
    let mut lab = Lab::new();
    lab.see_host(host(vec![disk("/", "ext4", 4), disk("/srv", "ext4", 3)]));
    lab.settle();
    assert_eq!(lab.incidents.len(), 1);
    let incident = lab.open(IncidentKind::DiskNearFull);
    assert!(incident.title.contains("2 disks are nearly full"), "{}", incident.title);
    assert!(!incident.evidence[0].contains("pace"), "of one look no pace is told: {:?}", incident.evidence);
}

#[test]
fn what_is_full_by_its_nature_and_what_is_shown_twice_calls_nobody() {
    let mut lab = Lab::new();
    lab.see_host(host(vec![disk("/", "ext4", 60), disk("/snap/core/1", "squashfs", 0)]));
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.see_host(host(vec![disk("/", "ext4", 5), disk("/var/lib/docker", "ext4", 5)]));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::DiskNearFull).evidence.len(), 1);
}

#[test]
fn the_disk_of_a_node_whose_agent_is_a_pod_is_its_kubelets_to_tell() {
    let mut lab = Lab::new();
    for agent in lab.agents.values_mut() {
        agent.doc.pod = Some(PodOrigin {
            namespace: "nimbus-system".into(),
            name: "nimbus-agent-x".into(),
            uid: "u".into(),
            service_account: "nimbus-agent".into(),
            node: Some("node-a".into()),
        });
    }
    lab.see_host(host(vec![disk("/", "ext4", 4)]));
    lab.settle();
    assert!(lab.incidents.is_empty());
}

#[test]
fn silence_and_a_host_without_disks_are_no_room() {
    let mut lab = Lab::new();
    left(&mut lab, 5);
    lab.settle();
    lab.open(IncidentKind::DiskNearFull);
    lab.see_host(host(Vec::new()));
    lab.settle();
    lab.open(IncidentKind::DiskNearFull);
    lab.connected.clear();
    left(&mut lab, 60);
    lab.settle();
    assert!(lab.open(IncidentKind::DiskNearFull).is_open());
}
