//! What a kubelet measured on its node.

use nimbus_protocol::v1;

pub fn node_condition() -> v1::NodeCondition {
    v1::NodeCondition {
        r#type: "DiskPressure".into(),
        status: "True".into(),
        reason: "KubeletHasDiskPressure".into(),
    }
}

pub fn measured_memory() -> v1::MeasuredMemory {
    v1::MeasuredMemory {
        available_bytes: Some(1 << 33),
        working_set_bytes: Some(1 << 31),
        swap_used_bytes: Some(1 << 20),
        swap_available_bytes: Some(1 << 30),
    }
}

pub fn measured_filesystem() -> v1::MeasuredFilesystem {
    v1::MeasuredFilesystem {
        capacity_bytes: Some(1 << 37),
        available_bytes: Some(1 << 33),
        inodes: Some(6_553_600),
        inodes_free: Some(6_000_000),
    }
}

pub fn measured_volume() -> v1::MeasuredVolume {
    v1::MeasuredVolume {
        namespace: "shop".into(),
        claim: "data-db-0".into(),
        pod: "db-0".into(),
        filesystem: Some(measured_filesystem()),
        on_node_filesystem: true,
    }
}

pub fn measured_container() -> v1::MeasuredContainer {
    v1::MeasuredContainer {
        namespace: "shop".into(),
        pod: "api-6d5f-x2x9k".into(),
        container: "api".into(),
        working_set_bytes: 130_000_000,
        limit_bytes: 134_217_728,
    }
}

pub fn node_measured() -> v1::NodeMeasured {
    v1::NodeMeasured {
        node: "node-a".into(),
        conditions: vec![node_condition()],
        memory: Some(measured_memory()),
        node_filesystem: Some(measured_filesystem()),
        image_filesystem: Some(measured_filesystem()),
        processes: Some(412),
        most_processes: Some(32_768),
        volumes: vec![measured_volume()],
        volumes_left_out: 3,
        containers: vec![measured_container()],
        pods: 17,
        pods_left_out: 2,
    }
}

pub fn workload_load() -> v1::WorkloadLoad {
    v1::WorkloadLoad {
        meta: Some(super::meta()),
        kind: "Deployment".into(),
        replicas: 4,
        ready: 3,
        settled: true,
        pods: 5,
        measured: 2,
        used_milli: 1_900,
        asked_milli: 2_000,
        scale_to: 10,
        scaled_from: 1,
        scaled_to: 6,
        manager: "argocd".into(),
        manager_evidence: "argocd.argoproj.io/tracking-id".into(),
        vertical: "annotation vpaUpdates".into(),
    }
}
