//! Scenes of volumes and nodes that fill: one warning that tells a person what to do, nothing done by Nimbus, and nothing
//! concluded from figures that are old or absent.

use super::*;
use crate::model::*;

const GIB: u64 = 1 << 30;

fn disk(used_percent: u64) -> v1::MeasuredFilesystem {
    v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some((100 - used_percent) * GIB),
        inodes: Some(1_000),
        inodes_free: Some(900),
    }
}

fn volume(claim: &str, used_percent: u64) -> v1::MeasuredVolume {
    v1::MeasuredVolume {
        namespace: "shop".into(),
        claim: claim.into(),
        pod: format!("{claim}-0"),
        filesystem: Some(disk(used_percent)),
        on_node_filesystem: false,
    }
}

fn condition(kind: &str, status: &str) -> v1::NodeCondition {
    v1::NodeCondition { r#type: kind.into(), status: status.into(), reason: "KubeletHasDiskPressure".into() }
}

/// A node where all is well.
fn measured(node: &str) -> v1::NodeMeasured {
    v1::NodeMeasured {
        node: node.into(),
        conditions: vec![condition("Ready", "True"), condition("DiskPressure", "False")],
        node_filesystem: Some(disk(40)),
        image_filesystem: Some(disk(40)),
        ..Default::default()
    }
}

/// A cluster with one claim, whose volume is so full.
fn filled(used_percent: u64) -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::PersistentVolumeClaim(claim("data", "pv-1")));
    fill(&mut lab, used_percent);
    lab
}

fn fill(lab: &mut Lab, used_percent: u64) {
    let volumes = vec![volume("data", used_percent)];
    lab.see(Body::NodeMeasured(v1::NodeMeasured { volumes, ..measured("node-a") }));
}

#[test]
fn a_volume_that_fills_is_one_warning_that_recommends_and_ends_with_room() {
    let mut lab = filled(89);
    lab.settle();
    assert!(lab.incidents.is_empty());
    fill(&mut lab, 95);
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(IncidentKind::VolumeNearFull).clone();
    assert_eq!((incident.severity, incident.object.name()), (Severity::Warning, "data"));
    assert_eq!((incident.plan_id, incident.approval_id), (None, None));
    assert!(incident.evidence[0].contains("95.0 % of 100.0 GiB in use, 5.0 GiB left"), "{incident:?}");
    assert!(incident.reason.contains("move it to a larger claim"), "{}", incident.reason);
    // Between the two bounds it neither ends nor comes back.
    fill(&mut lab, 87);
    lab.settle();
    lab.open(IncidentKind::VolumeNearFull);
    fill(&mut lab, 84);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::VolumeNearFull).state, IncidentState::Resolved);
}

#[test]
fn how_long_it_takes_at_the_pace_of_the_last_hour_is_told() {
    let mut lab = filled(80);
    for used in [83, 86, 89] {
        lab.pass(600);
        fill(&mut lab, used);
    }
    lab.pass(600);
    fill(&mut lab, 92);
    lab.settle();
    let evidence = lab.open(IncidentKind::VolumeNearFull).evidence[0].clone();
    assert!(evidence.ends_with("at the pace of the last 40m it is full in 26m"), "{evidence}");
    // One that does not fill tells no time.
    let mut still = filled(92);
    still.pass(1_200);
    fill(&mut still, 92);
    still.settle();
    let evidence = still.open(IncidentKind::VolumeNearFull).evidence[0].clone();
    assert!(evidence.ends_with("for pod data-0"), "{evidence}");
}

#[test]
fn figures_that_are_old_or_absent_neither_open_nor_close_anything() {
    let mut lab = filled(95);
    lab.settle();
    lab.pass(16 * 60);
    lab.settle();
    lab.open(IncidentKind::VolumeNearFull);
    // The agent is back, and the pod with the volume is on no node: nothing is known of it.
    lab.see(Body::NodeMeasured(measured("node-a")));
    lab.settle();
    lab.open(IncidentKind::VolumeNearFull);
    let mut late = filled(95);
    late.pass(16 * 60);
    late.settle();
    assert!(late.incidents.is_empty(), "it was so a quarter of an hour ago");
}

#[test]
fn claims_on_the_nodes_own_disk_are_one_incident_of_the_node() {
    let mut lab = Lab::new();
    let mut volumes = Vec::new();
    for name in ["a", "b", "c"] {
        lab.see(Body::PersistentVolumeClaim(claim(name, &format!("pv-{name}"))));
        volumes.push(v1::MeasuredVolume { on_node_filesystem: true, ..volume(name, 95) });
    }
    let (node_filesystem, image_filesystem) = (Some(disk(95)), Some(disk(95)));
    let full = v1::NodeMeasured { volumes, node_filesystem, image_filesystem, ..measured("node-a") };
    lab.see(Body::NodeMeasured(full));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.incidents.len(), 1, "{:?}", lab.incidents);
    assert_eq!(lab.open(IncidentKind::NodePressure).evidence.len(), 1, "one file system is said once");
    lab.see(Body::NodeMeasured(measured("node-a")));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::NodePressure).state, IncidentState::Resolved);
}

#[test]
fn a_node_under_pressure_is_told_by_its_condition_and_no_pod_is_evicted_for_it() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    let conditions = vec![condition("DiskPressure", "True"), condition("MemoryPressure", "False")];
    lab.see(Body::NodeMeasured(v1::NodeMeasured { conditions, ..measured("node-a") }));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::NodePressure);
    assert!(incident.evidence[0].contains("DiskPressure is True (KubeletHasDiskPressure)"), "{incident:?}");
    // Conditions that could not be read are not the end of it.
    lab.see(Body::NodeMeasured(v1::NodeMeasured { conditions: Vec::new(), ..measured("node-a") }));
    lab.settle();
    lab.open(IncidentKind::NodePressure);
}

/// As with a kubelet that signs its certificate itself: nobody reads its figures, and its condition says what there is to say.
#[test]
fn where_no_figures_are_known_a_fresh_condition_ends_what_a_condition_began() {
    let mut lab = Lab::new();
    let only = |status: &str| v1::NodeMeasured {
        node: "node-a".to_owned(),
        conditions: vec![condition("DiskPressure", status)],
        ..v1::NodeMeasured::default()
    };
    lab.see(Body::NodeMeasured(only("True")));
    lab.settle();
    lab.open(IncidentKind::NodePressure);
    lab.see(Body::NodeMeasured(only("Unknown")));
    lab.settle();
    lab.open(IncidentKind::NodePressure);
    lab.see(Body::NodeMeasured(only("False")));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::NodePressure).state, IncidentState::Resolved);
}

#[test]
fn many_volumes_that_fill_are_no_storm() {
    let mut lab = Lab::new();
    let names: Vec<String> = (0..60).map(|n| format!("data-{n}")).collect();
    for name in &names {
        lab.see(Body::PersistentVolumeClaim(claim(name, &format!("pv-{name}"))));
    }
    let volumes = names.iter().map(|name| volume(name, 95)).collect();
    lab.see(Body::NodeMeasured(v1::NodeMeasured { volumes, ..measured("node-a") }));
    lab.settle();
    assert!(lab.incidents.values().all(|i| i.doc.kind == IncidentKind::VolumeNearFull));
    assert_eq!(lab.incidents.len(), 60);
}

#[test]
fn the_figures_of_a_node_that_was_removed_go_with_it() {
    let mut lab = filled(95);
    lab.settle();
    for body in [begin("Node", 1), Body::Node(node("node-b")), end("Node", 1)] {
        lab.see(body);
    }
    assert!(lab.world.clusters[CLUSTER].measured.node("node-a").is_none());
}
