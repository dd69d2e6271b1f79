//! What kubelets measured: how full claims and nodes were when it was read, and not since when.

use nimbus_protocol::v1;

use super::*;

const GIB: u64 = 1 << 30;

fn disk(used_percent: u64) -> v1::MeasuredFilesystem {
    v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some((100 - used_percent) * GIB),
        inodes: Some(1_000),
        inodes_free: Some(900),
    }
}

fn read(lab: &mut Lab, conditions: &[&str], volumes: Vec<v1::MeasuredVolume>) {
    let condition = |kind: &&str| v1::NodeCondition {
        r#type: (*kind).into(),
        status: "True".into(),
        ..Default::default()
    };
    lab.see(Body::NodeMeasured(v1::NodeMeasured {
        node: "node-a".into(),
        conditions: conditions.iter().map(condition).collect(),
        node_filesystem: Some(disk(40)),
        image_filesystem: Some(disk(50)),
        volumes,
        ..Default::default()
    }));
}

#[test]
fn a_claim_says_its_size_who_asks_for_it_and_how_full_it_was_read_to_be() {
    let mut lab = Lab::new();
    let data = v1::PersistentVolumeClaim { size_writer: "helm".into(), ..claim("data", "pv-1") };
    lab.see(Body::PersistentVolumeClaim(data));
    let volume = v1::MeasuredVolume {
        namespace: "shop".into(),
        claim: "data".into(),
        pod: "db-0".into(),
        filesystem: Some(disk(95)),
        on_node_filesystem: false,
    };
    read(&mut lab, &[], vec![volume]);
    lab.settle();
    let found = of(&lab, IncidentKind::VolumeNearFull);
    let what = "shop/persistentvolumeclaim/data";
    for (source, text) in [
        (Source::Status, "Bound, asks for 100Gi and has 100Gi, of class fast"),
        (
            Source::ManagedFields,
            "a client that calls itself helm owns how much it asks for, and wrote last of those that do; when is unknown",
        ),
        (
            Source::Kubelet,
            "read at 2027-01-15T08:00:00Z on node node-a, where pod db-0 has it mounted: 95.0 % in use, 10.0 % of its inodes in use",
        ),
    ] {
        assert_eq!(line(&found.now, source, text), (None, what, text));
    }
    assert!(!found.timeline.iter().any(|one| one.source == Source::Kubelet), "{:#?}", found.timeline);
    let mut plain = claim("data", "pv-1");
    plain.storage_class = String::new();
    plain.volume_mode = "Block".into();
    lab.see(Body::PersistentVolumeClaim(plain));
    let found = of(&lab, IncidentKind::VolumeNearFull);
    line(&found.now, Source::Status, "of no class that is told");
    line(&found.now, Source::Kubelet, "has it mounted: figures that do not say how full it is");
    lab.see(gone("PersistentVolumeClaim", "PersistentVolumeClaim-data"));
    gap(&of(&lab, IncidentKind::VolumeNearFull), "shop/persistentvolumeclaim/data is no longer there");
}

#[test]
fn a_node_under_pressure_says_when_that_was_read() {
    let mut lab = Lab::new();
    read(&mut lab, &["DiskPressure", "PIDPressure"], Vec::new());
    lab.settle();
    let found = of(&lab, IncidentKind::NodePressure);
    let text = "read at 2027-01-15T08:00:00Z: it runs short (DiskPressure, PIDPressure)";
    assert_eq!(line(&found.now, Source::Kubelet, "it runs short"), (None, "node/node-a", text));
    line(&found.now, Source::Kubelet, "its own file system, 40.0 % in use");
    line(&found.now, Source::Kubelet, "that of its images, 50.0 % in use");
    assert_eq!(found.now[0].of, "node/node-a");
    assert!(!found.timeline.iter().any(|one| one.source == Source::Kubelet), "{:#?}", found.timeline);
}
