//! An example of each action.

use nimbus_protocol::v1;

use super::{facts, target};

pub fn restart_pod() -> v1::RestartPod {
    v1::RestartPod {
        pod: Some(target()),
        owner: Some(target()),
        node: "node-1".into(),
        avoid_node: true,
        container: "api".into(),
        min_restarts: 3,
        owner_kind: "StatefulSet".into(),
    }
}

pub fn rollback() -> v1::RollbackDeployment {
    v1::RollbackDeployment {
        deployment: Some(target()),
        generation: 8,
        current_template_hash: vec![6; 32],
        to_replica_set: Some(target()),
        to_revision: 7,
        to_template_hash: vec![7; 32],
    }
}

pub fn restore() -> v1::RestoreFile {
    v1::RestoreFile {
        root: "/etc/app".into(),
        path: "/etc/app/app.conf".into(),
        expect_current: Some(facts()),
        restore_to: Some(facts()),
    }
}

pub fn accept() -> v1::AcceptBaseline {
    v1::AcceptBaseline {
        root: "/etc/app".into(),
        path: "/etc/app/app.conf".into(),
        expect_current: Some(facts()),
    }
}

pub fn withdraw() -> v1::WithdrawBaseline {
    v1::WithdrawBaseline {
        root: "/etc/app".into(),
        path: "/etc/app/app.conf".into(),
        expect_baseline: Some(facts()),
    }
}

pub fn uncordon() -> v1::UncordonNode {
    v1::UncordonNode { node: Some(target()), cordoned_by: "job_1".into(), held: false }
}

pub fn raise_memory_limit() -> v1::RaiseMemoryLimit {
    v1::RaiseMemoryLimit {
        deployment: Some(target()),
        current_template_hash: vec![6; 32],
        container: "api".into(),
        from_bytes: 64 << 20,
        to_bytes: 96 << 20,
        request_too: true,
    }
}

pub fn restart_unit() -> v1::RestartUnit {
    v1::RestartUnit {
        unit: "nginx.service".into(),
        failed_invocation: vec![7; 16],
        result: "exit-code".into(),
    }
}

pub fn expand_volume() -> v1::ExpandVolume {
    v1::ExpandVolume {
        claim: Some(target()),
        from_bytes: 8 << 30,
        to_bytes: 12 << 30,
        storage_class: "fast".into(),
    }
}

pub fn raise_autoscaler_maximum() -> v1::RaiseAutoscalerMaximum {
    v1::RaiseAutoscalerMaximum {
        autoscaler: Some(target()),
        target_kind: "Deployment".into(),
        target_name: "web".into(),
        from_replicas: 10,
        to_replicas: 16,
    }
}

pub fn scale_workload() -> v1::ScaleWorkload {
    v1::ScaleWorkload {
        workload: Some(target()),
        kind: "Deployment".into(),
        from_replicas: 4,
        to_replicas: 6,
        base_replicas: 3,
    }
}

pub fn renew_certificate() -> v1::RenewCertificate {
    v1::RenewCertificate {
        certificate: Some(target()),
        issuer_group: "cert-manager.io".into(),
        issuer_kind: "ClusterIssuer".into(),
        issuer_name: "letsencrypt".into(),
        not_after_us: 1_700_000_000_000_000,
        revision: 3,
        last_failure_us: 1_696_000_000_000_001,
    }
}
