//! One example of each message about Kubernetes objects.

use nimbus_protocol::v1;

use super::meta;

pub fn container() -> v1::Container {
    v1::Container {
        name: "api".into(),
        image: "registry.example/api:7".into(),
        ready: true,
        restart_count: 4,
        state: "waiting".into(),
        reason: "CrashLoopBackOff".into(),
        last_reason: "Error".into(),
        last_exit_code: -1,
        last_finished_at_us: 1_767_225_650_000_000,
        ..v1::Container::default()
    }
}

pub fn pod() -> v1::Pod {
    v1::Pod {
        meta: Some(meta()),
        node: "node-1".into(),
        phase: "Running".into(),
        ready: true,
        ready_since_us: 1_767_225_660_000_000,
        containers: vec![container()],
        unschedulable: "Unschedulable: 0/3 nodes are available".into(),
        controller_revision: "web-5d4f".into(),
        // The bytes of version 1 stay as they are; what came later has its own.
        facts: None,
    }
}

pub fn pod_facts() -> v1::PodFacts {
    v1::PodFacts {
        started_at_us: 1_767_225_601_000_000,
        do_not_disturb: vec!["karpenter.sh/do-not-disrupt: true".into()],
        lost_volumes: vec!["emptyDir cache".into()],
        placement: Some(placement()),
        config_maps: vec!["settings".into()],
        secrets: vec!["keys".into()],
        // Added later; it has bytes of its own.
        references_complete: false,
        init_images: Vec::new(),
        ..v1::PodFacts::default()
    }
}

/// With the field that was added.
pub fn pod_facts_complete() -> v1::PodFacts {
    v1::PodFacts { references_complete: true, init_images: vec!["prepare=sha256:7c6b".into()], ..pod_facts() }
}

pub fn placement() -> v1::Placement {
    v1::Placement {
        node_selector: vec![label()],
        node_terms: vec![node_term()],
        tolerations: vec![toleration()],
        cpu_milli: 250,
        memory_bytes: 64 << 20,
        priority: -5,
        may_preempt: true,
        other_conditions: vec!["required pod anti-affinity".into()],
        // Added later; it has bytes of its own.
        keeps_away: Vec::new(),
        ..v1::Placement::default()
    }
}

/// With the field that was added.
pub fn placement_apart() -> v1::Placement {
    v1::Placement { keeps_away: vec![keeps_away()], ..placement() }
}

pub fn keeps_away() -> v1::KeepsAway {
    v1::KeepsAway {
        topology_key: "kubernetes.io/hostname".into(),
        other_namespaces: true,
        ..v1::KeepsAway::default()
    }
}

/// With the fields that were added.
pub fn pod_facts_placed() -> v1::PodFacts {
    let told = v1::KeepsAway { selector: Some(label_selector()), selector_told: true, ..keeps_away() };
    let placement = v1::Placement {
        keeps_away: vec![told],
        claims: vec!["data-0".into()],
        stays_with: vec![stays_with()],
        spread: vec![spread()],
        untold: Some(untold()),
        ..placement()
    };
    v1::PodFacts {
        placement: Some(placement),
        labels: vec![label()],
        labels_complete: true,
        begun: "yes".into(),
        ..pod_facts_complete()
    }
}

pub fn label_selector() -> v1::LabelSelector {
    v1::LabelSelector { match_labels: vec![label()], match_expressions: vec![node_requirement()] }
}

pub fn stays_with() -> v1::StaysWith {
    v1::StaysWith {
        topology_key: "zone".into(),
        selector: Some(label_selector()),
        namespaces: vec!["shop".into()],
    }
}

pub fn spread() -> v1::Spread {
    v1::Spread {
        topology_key: "zone".into(),
        max_skew: 1,
        selector: Some(label_selector()),
        min_domains: 3,
        honors_affinity: true,
        honors_taints: true,
    }
}

pub fn untold() -> v1::Untold {
    v1::Untold {
        conditions: vec!["a scheduling gate".into()],
        described: nimbus_protocol::kind::DESCRIBED.map(str::to_owned).to_vec(),
    }
}

pub fn label() -> v1::Label {
    v1::Label { key: "disk".into(), value: "ssd".into() }
}

pub fn node_term() -> v1::NodeTerm {
    v1::NodeTerm { requirements: vec![node_requirement()] }
}

pub fn node_requirement() -> v1::NodeRequirement {
    v1::NodeRequirement { key: "zone".into(), operator: "In".into(), values: vec!["a".into(), "b".into()] }
}

pub fn toleration() -> v1::Toleration {
    let [key, operator, value, effect] = ["gpu", "Equal", "yes", "NoSchedule"].map(str::to_owned);
    v1::Toleration { key, operator, value, effect }
}

pub fn taint() -> v1::Taint {
    v1::Taint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() }
}

pub fn node_facts() -> v1::NodeFacts {
    v1::NodeFacts {
        taints: vec![taint()],
        held_by: "job_1".into(),
        held_until_us: 1_767_225_700_000_000,
        marks: vec!["kured: annotation weave.works/kured-reboot-in-progress".into()],
        labels: vec![label()],
        cpu_milli: 3_920,
        memory_bytes: 16 << 30,
        pods: 110,
    }
}

pub fn replica_set() -> v1::ReplicaSet {
    v1::ReplicaSet {
        meta: Some(meta()),
        revision: 7,
        replicas: 3,
        ready_replicas: 2,
        template_hash: vec![1; 32],
        images: vec!["registry.example/api:7".into()],
        // Added later: see `grown`.
        ..Default::default()
    }
}

pub fn deployment() -> v1::Deployment {
    v1::Deployment {
        meta: Some(meta()),
        generation: 8,
        observed_generation: 7,
        desired: 3,
        updated: 1,
        ready: 2,
        available: 2,
        paused: true,
        revision: 8,
        template_hash: vec![2; 32],
        images: vec!["registry.example/api:8".into()],
        progressing_status: "False".into(),
        progressing_reason: "ProgressDeadlineExceeded".into(),
        progressing_message: "ReplicaSet has timed out progressing.".into(),
        manager: "argocd".into(),
        manager_evidence: "argocd.argoproj.io/tracking-id".into(),
        // Added later: see `grown`.
        ..Default::default()
    }
}

pub fn template_fact() -> v1::TemplateFact {
    v1::TemplateFact { path: "containers[web].image".into(), value: "web:1".into(), digest: vec![16; 8] }
}

pub fn node() -> v1::Node {
    v1::Node {
        meta: Some(meta()),
        ready: "Unknown".into(),
        ready_reason: "NodeStatusUnknown".into(),
        ready_since_us: 1_767_225_661_000_000,
        unschedulable: true,
        control_plane: true,
        cordoned_by: "job_1".into(),
        facts: None,
    }
}

pub fn stateful_set() -> v1::StatefulSet {
    v1::StatefulSet {
        meta: Some(meta()),
        generation: 4,
        observed_generation: 3,
        desired: 3,
        updated: 1,
        ready: 2,
        available: 2,
        current_revision: "db-7c6b".into(),
        update_revision: "db-5d4f".into(),
        update_strategy: "RollingUpdate".into(),
        template_hash: vec![3; 32],
        images: vec!["registry.example/db:8".into()],
        manager: "flux".into(),
        manager_evidence: "kustomize.toolkit.fluxcd.io/name".into(),
        // Added later; they have bytes of their own.
        partition: None,
        first_ordinal: 0,
        pod_management_policy: String::new(),
    }
}

pub fn daemon_set() -> v1::DaemonSet {
    v1::DaemonSet {
        meta: Some(meta()),
        generation: 4,
        observed_generation: 3,
        desired: 5,
        updated: 4,
        ready: 3,
        available: 2,
        template_hash: vec![4; 32],
        images: vec!["registry.example/log:8".into()],
        manager: "helm".into(),
        manager_evidence: "meta.helm.sh/release-name".into(),
    }
}

pub fn batch_job() -> v1::BatchJob {
    v1::BatchJob {
        meta: Some(meta()),
        active: 1,
        succeeded: 2,
        failed: 3,
        completed_at_us: 1_767_225_664_000_000,
        failure: "BackoffLimitExceeded: Job has reached the specified backoff limit".into(),
        failed_at_us: 1_767_225_665_000_000,
    }
}

pub fn pod_event() -> v1::PodEvent {
    v1::PodEvent {
        meta: Some(meta()),
        reason: "FailedMount".into(),
        message: "configmap \"settings\" not found".into(),
    }
}

pub fn config_map() -> v1::ConfigMap {
    v1::ConfigMap { meta: Some(meta()), written_at_us: 1_767_225_666_000_000, writer: "kubectl-edit".into() }
}

pub fn secret() -> v1::Secret {
    v1::Secret { meta: Some(meta()), written_at_us: 1_767_225_666_000_000, writer: "kubectl-edit".into() }
}

pub fn persistent_volume_claim() -> v1::PersistentVolumeClaim {
    v1::PersistentVolumeClaim {
        meta: Some(meta()),
        phase: "Bound".into(),
        volume: "pvc-5b1c4b0e".into(),
        storage_class: "fast".into(),
        // Added later: see `grown`.
        ..Default::default()
    }
}

pub fn storage_class() -> v1::StorageClass {
    v1::StorageClass { meta: Some(meta()), provisioner: "csi.example.com".into(), allows_expansion: true }
}

pub fn horizontal_pod_autoscaler() -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        meta: Some(meta()),
        target_api_version: "apps/v1".into(),
        target_kind: "Deployment".into(),
        target_name: "web".into(),
        min_replicas: 2,
        max_replicas: 10,
        current_replicas: 10,
        desired_replicas: 10,
        able_to_scale: "True".into(),
        scaling_active: "False".into(),
        inactive_reason: "FailedGetResourceMetric".into(),
        limited_reason: "TooManyReplicas".into(),
        metrics: vec![autoscaler_metric()],
        manager: "argocd".into(),
        manager_evidence: "argocd.argoproj.io/tracking-id".into(),
        generation: 3,
        observed_generation: 2,
        bounds_writer: "kubectl-edit".into(),
        never_scales_up: true,
        raised_to: 12,
    }
}

pub fn certificate() -> v1::Certificate {
    v1::Certificate {
        meta: Some(meta()),
        secret_name: "web-tls".into(),
        issuer_group: "cert-manager.io".into(),
        issuer_kind: "ClusterIssuer".into(),
        issuer_name: "letsencrypt".into(),
        names: vec!["web.example.com".into()],
        not_before_us: 1_690_000_000_000_000,
        not_after_us: 1_700_000_000_000_000,
        renewal_time_us: 1_695_000_000_000_000,
        ready: "True".into(),
        ready_reason: "Ready".into(),
        ready_message: "Certificate is up to date and has not expired".into(),
        issuing: "False".into(),
        issuing_reason: "Failed".into(),
        issuing_message: "the order is invalid".into(),
        issuing_since_us: 1_696_000_000_000_000,
        last_failure_us: 1_696_000_000_000_001,
        failed_attempts: 2,
        revision: 3,
    }
}

pub fn certificate_files() -> v1::CertificateFiles {
    v1::CertificateFiles { files: vec![certificate_file()], not_listed: 2 }
}

pub fn certificate_file() -> v1::CertificateFile {
    v1::CertificateFile {
        path: "/etc/nginx/tls/web.pem".into(),
        name: "web.example.com".into(),
        not_before_us: 1_690_000_000_000_000,
        not_after_us: 1_700_000_000_000_000,
        sha256: vec![8; 32],
        expired: true,
    }
}

pub fn tls_secret() -> v1::TlsSecret {
    v1::TlsSecret {
        meta: Some(meta()),
        name: "web.example.com".into(),
        not_before_us: 1_690_000_000_000_000,
        not_after_us: 1_700_000_000_000_000,
        sha256: vec![8; 32],
    }
}

pub fn issuer() -> v1::Issuer {
    v1::Issuer {
        meta: Some(meta()),
        ready: "False".into(),
        ready_reason: "ErrGetKeyPair".into(),
        ready_message: "no such Secret".into(),
    }
}

pub fn autoscaler_metric() -> v1::AutoscalerMetric {
    v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: 1_500 }
}

pub fn persistent_volume() -> v1::PersistentVolume {
    v1::PersistentVolume {
        meta: Some(meta()),
        phase: "Bound".into(),
        node_terms: vec![node_term()],
        node_terms_complete: true,
    }
}

pub fn pod_disruption_budget() -> v1::PodDisruptionBudget {
    v1::PodDisruptionBudget {
        meta: Some(meta()),
        generation: 4,
        observed_generation: 3,
        selector: Some(label_selector()),
        selector_complete: true,
        min_available: "2".into(),
        max_unavailable: "25%".into(),
        unhealthy_pod_eviction_policy: "AlwaysAllow".into(),
        disruptions_allowed: 1,
        current_healthy: 3,
        desired_healthy: 2,
        expected_pods: 4,
    }
}
