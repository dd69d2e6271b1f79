//! One example of each message, with every field set to something else than its default.

use nimbus_protocol::v1::{self, action, agent_frame, observation, server_frame};

use super::check;

mod actions;
mod agent_status;
mod kube;
mod measured;

pub use agent_status::*;
pub use kube::*;
pub use measured::*;

fn meta() -> v1::ObjectMeta {
    v1::ObjectMeta {
        uid: "5b1c4b0e-8d1f-4a53-9a53-0d9c0f0b6a11".into(),
        namespace: "shop".into(),
        name: "api-6d5f-x2x9k".into(),
        resource_version: "81234".into(),
        created_at_us: 1_767_225_600_000_000,
        deleting_since_us: 1_767_225_700_000_000,
        owner_kind: "ReplicaSet".into(),
        owner_name: "api-6d5f".into(),
        owner_uid: "0c8f6d0e-6d1f-4b5e-8b3a-3f0a1f7f2b22".into(),
        owner_api_version: "apps/v1".into(),
    }
}

fn gone() -> v1::Gone {
    v1::Gone { kind: "Pod".into(), uid: "u".into(), namespace: "shop".into(), name: "api".into() }
}

fn sync() -> v1::SyncMark {
    v1::SyncMark { kind: "Pod".into(), phase: v1::sync_mark::Phase::End.into(), lease_term: 5 }
}

fn disk() -> v1::Disk {
    v1::Disk { mount: "/".into(), filesystem: "ext4".into(), total_bytes: 1 << 40, available_bytes: 1 << 39 }
}

fn process() -> v1::Process {
    v1::Process { pid: 17, name: "postgres".into(), memory_bytes: 1 << 28 }
}

fn host() -> v1::Host {
    v1::Host {
        hostname: "db-1".into(),
        os: "Debian GNU/Linux 12".into(),
        kernel: "6.1.0".into(),
        boot_id_hash: 77,
        cores: 2,
        cpu_centipercent: 1_234,
        memory_total_bytes: 1 << 34,
        memory_available_bytes: 1 << 33,
        swap_total_bytes: 1 << 30,
        swap_used_bytes: 1 << 20,
        load1_centi: 150,
        load5_centi: 120,
        load15_centi: 90,
        processes: 140,
        disks: vec![disk()],
        uptime_seconds: 3_600,
        top_memory: vec![process()],
    }
}

fn file_state() -> v1::FileState {
    v1::FileState {
        kind: "file".into(),
        mode: 0o640,
        uid: 1,
        gid: 2,
        size: 3,
        sha256: vec![3; 32],
        problem: "permission denied".into(),
        ..Default::default()
    }
}

fn file() -> v1::File {
    v1::File {
        root: "/etc/app".into(),
        path: "/etc/app/app.conf".into(),
        baseline: Some(file_state()),
        current: Some(v1::FileState { mode: 0o600, ..file_state() }),
        diff: "-a\n+b\n".into(),
        diff_withheld: "secret".into(),
        first_pass: true,
        ..Default::default()
    }
}

fn outlook() -> v1::RestoreOutlook {
    v1::RestoreOutlook {
        obstacle: "immutable".into(),
        reason: "it is immutable".into(),
        way: "replace".into(),
        loses: vec!["it has 1 other name".into()],
    }
}

fn attribute() -> v1::FileAttribute {
    v1::FileAttribute { name: "user.note".into(), shown: "3 bytes".into() }
}

fn attributes() -> v1::FileAttributes {
    v1::FileAttributes { sha256: vec![6; 32], all: vec![attribute()] }
}

/// The fields of watched files that came after version 1 was recorded, by themselves: the recorded bytes stay.
pub fn later_fields_of_files() -> (v1::File, v1::FileFacts) {
    let state = v1::FileState { attributes: Some(attributes()), ..Default::default() };
    let file = v1::File {
        current: Some(state),
        restore: Some(outlook()),
        path_bytes: vec![0xe9],
        lines_lost: 7,
        ..Default::default()
    };
    (file, v1::FileFacts { attributes_sha256: vec![7; 32], ..Default::default() })
}

fn line_counts() -> v1::LineCounts {
    v1::LineCounts { before: 10, after: 11, added: Some(2), removed: Some(1) }
}

/// The file with the fields that were added since version 1.
pub fn file_with_lines() -> v1::File {
    v1::File { lines: Some(line_counts()), ..file() }
}

fn root() -> v1::WatchedRoot {
    v1::WatchedRoot {
        path: "/etc/app".into(),
        files: 4,
        problem: "expected a folder, found nothing".into(),
        baseline_digest: vec![4; 32],
        baseline_taken_micros: 1_700_000_000_000_000,
    }
}

fn job_report() -> v1::JobReport {
    v1::JobReport {
        job_id: "job_1".into(),
        phase: v1::job_report::Phase::Succeeded.into(),
        at_us: 1_767_225_670_000_000,
        code: "expired".into(),
        reason: "expected before 12:00, found 12:01".into(),
        evidence: vec!["ready for 30 s".into()],
        envelope_sha256: vec![5; 32],
        replacement_uid: "new-uid".into(),
        replacement_name: "api-6d5f-abcde".into(),
    }
}

fn observation() -> v1::Observation {
    v1::Observation {
        sequence: 42,
        observed_at_us: 1_767_225_671_000_000,
        cluster_uid: "c-uid".into(),
        body: Some(observation::Body::Gone(gone())),
    }
}

fn target() -> v1::Target {
    v1::Target { namespace: "shop".into(), name: "api".into(), uid: "u".into() }
}

fn facts() -> v1::FileFacts {
    v1::FileFacts {
        kind: "file".into(),
        mode: 0o644,
        uid: 1,
        gid: 2,
        sha256: vec![8; 32],
        ..Default::default()
    }
}

fn unit() -> v1::Unit {
    v1::Unit {
        name: "nginx.service".into(),
        load_state: "loaded".into(),
        active_state: "failed".into(),
        sub_state: "failed".into(),
        result: "exit-code".into(),
        service_type: "notify".into(),
        restart: "no".into(),
        main_code: "exited".into(),
        main_status: Some(1),
        restarts: Some(2),
        invocation_id: vec![7; 16],
        changed_us: Some(1_767_225_664_000_000),
        start_limit: Some(5),
        start_limit_us: Some(10_000_000),
        triggered_by: vec!["nginx.socket".into()],
        obstacle: "policy".into(),
        reason: "the policy does not name it".into(),
        gave_up: true,
        restarting: true,
    }
}

fn units() -> v1::Units {
    v1::Units { system_state: "degraded".into(), units: vec![unit()], not_listed: 3 }
}

fn approval() -> v1::Approval {
    v1::Approval { by: "operator".into(), at_us: 9, plan_digest: vec![9; 32], approval_id: "apr_1".into() }
}

fn limits() -> v1::Limits {
    v1::Limits { act_ms: 1, verify_ms: 2, verify_timeout_ms: 3 }
}

/// A job with every field of the envelope's payload set.
pub fn job() -> v1::Job {
    v1::Job {
        job_id: "job_1".into(),
        agent_id: "agt_1".into(),
        cluster_uid: "c-uid".into(),
        not_before_us: 10,
        expires_at_us: 11,
        epoch: 12,
        incident_id: "inc_1".into(),
        plan_digest: vec![9; 32],
        approvals: vec![approval()],
        evidence: vec!["4 restarts".into()],
        limits: Some(limits()),
        requested_by: "nimbus".into(),
        needs_approval: true,
        action: nimbus_protocol::action::encode(action::Body::RestartPod(actions::restart_pod())),
    }
}

fn signature() -> v1::Signature {
    v1::Signature { key_id: "00ff".into(), signature: vec![10; 64] }
}

fn envelope() -> v1::Envelope {
    v1::Envelope { payload_type: "t".into(), payload: vec![11], signatures: vec![signature()] }
}

fn hello() -> v1::Hello {
    v1::Hello {
        lowest_version: 1,
        highest_version: 2,
        agent_id: "agt_1".into(),
        agent_version: "0.1.0".into(),
        kind: "cluster".into(),
        cluster_uid: "c-uid".into(),
        cluster_name: "production".into(),
        hostname: "db-1".into(),
        next_sequence: 43,
    }
}

fn pause() -> v1::Pause {
    v1::Pause {
        paused: true,
        what: "the fleet".into(),
        by: "operator".into(),
        reason: "disks are moved".into(),
        since_us: 1_767_225_664_000_000,
    }
}

fn welcome() -> v1::Welcome {
    v1::Welcome {
        version: 1,
        acknowledged: 42,
        epoch: 12,
        heartbeat_ms: 5_000,
        max_batch_observations: 2_000,
        server_version: "0.1.0".into(),
    }
}

fn refusal() -> v1::Refusal {
    v1::Refusal {
        code: "revoked".into(),
        expected: "a live agent".into(),
        found: "a revoked one".into(),
        remedy: "join again".into(),
        retry_after_ms: 1,
    }
}

fn batch() -> v1::ObservationBatch {
    v1::ObservationBatch { first_sequence: 42, observations: vec![observation()] }
}

fn enrol() -> v1::EnrolRequest {
    v1::EnrolRequest {
        lowest_version: 1,
        highest_version: 2,
        token: "nimbus1.x".into(),
        csr_der: vec![12],
        hostname: "db-1".into(),
        cluster_uid: "c-uid".into(),
        cluster_name: "production".into(),
        service_account_token: String::new(),
        cluster_keys_json: String::new(),
    }
}

/// As the agent of a pod sends it.
pub fn enrol_pod() -> v1::EnrolRequest {
    v1::EnrolRequest {
        service_account_token: "eyJ.eyJ.sig".into(),
        cluster_keys_json: "{\"keys\":[]}".into(),
        ..enrol()
    }
}

fn enrolled() -> v1::EnrolResponse {
    v1::EnrolResponse {
        agent_id: "agt_1".into(),
        certificate_chain_der: vec![vec![13], vec![14]],
        job_keys: vec![vec![15; 32]],
        agent_name: "db".into(),
        kind: "host".into(),
    }
}

/// Checks every example; [`check`] notes the names.
#[allow(clippy::too_many_lines, reason = "a list of all messages, one line each")]
pub fn each(seen: &mut Vec<String>) {
    check("ObjectMeta", &meta(), seen);
    check("Container", &container(), seen);
    check("Pod", &pod(), seen);
    check("ReplicaSet", &replica_set(), seen);
    check("Deployment", &deployment(), seen);
    check("TemplateFact", &template_fact(), seen);
    check("Node", &node(), seen);
    check("PodFacts", &pod_facts(), seen);
    check("Placement", &placement(), seen);
    check("Label", &label(), seen);
    check("NodeTerm", &node_term(), seen);
    check("NodeRequirement", &node_requirement(), seen);
    check("Toleration", &toleration(), seen);
    check("KeepsAway", &keeps_away(), seen);
    check("LabelSelector", &label_selector(), seen);
    check("StaysWith", &stays_with(), seen);
    check("Spread", &spread(), seen);
    check("Untold", &untold(), seen);
    check("NodeFacts", &node_facts(), seen);
    check("Taint", &taint(), seen);
    check("StatefulSet", &stateful_set(), seen);
    check("DaemonSet", &daemon_set(), seen);
    check("BatchJob", &batch_job(), seen);
    check("PodEvent", &pod_event(), seen);
    check("ConfigMap", &config_map(), seen);
    check("Secret", &secret(), seen);
    check("PersistentVolumeClaim", &persistent_volume_claim(), seen);
    check("PersistentVolume", &persistent_volume(), seen);
    check("PodDisruptionBudget", &pod_disruption_budget(), seen);
    check("StorageClass", &storage_class(), seen);
    check("Certificate", &certificate(), seen);
    check("TlsSecret", &tls_secret(), seen);
    check("CertificateFiles", &certificate_files(), seen);
    check("CertificateFile", &certificate_file(), seen);
    check("Issuer", &issuer(), seen);
    check("HorizontalPodAutoscaler", &horizontal_pod_autoscaler(), seen);
    check("AutoscalerMetric", &autoscaler_metric(), seen);
    check("NodeMeasured", &node_measured(), seen);
    check("WorkloadLoad", &workload_load(), seen);
    check("NodeCondition", &node_condition(), seen);
    check("MeasuredMemory", &measured_memory(), seen);
    check("MeasuredFilesystem", &measured_filesystem(), seen);
    check("MeasuredVolume", &measured_volume(), seen);
    check("MeasuredContainer", &measured_container(), seen);
    check("Gone", &gone(), seen);
    check("SyncMark", &sync(), seen);
    check("Disk", &disk(), seen);
    check("Process", &process(), seen);
    check("Host", &host(), seen);
    check("FileState", &file_state(), seen);
    check("File", &file(), seen);
    check("RestoreOutlook", &outlook(), seen);
    check("FileAttribute", &attribute(), seen);
    check("FileAttributes", &attributes(), seen);
    check("LineCounts", &line_counts(), seen);
    check("WatchedRoot", &root(), seen);
    check("AgentStatus", &agent_status(), seen);
    check("JobReport", &job_report(), seen);
    check("Observation", &observation(), seen);
    check("Target", &target(), seen);
    check("RestartPod", &actions::restart_pod(), seen);
    check("RollbackDeployment", &actions::rollback(), seen);
    check("FileFacts", &facts(), seen);
    check("RestoreFile", &actions::restore(), seen);
    check("AcceptBaseline", &actions::accept(), seen);
    check("WithdrawBaseline", &actions::withdraw(), seen);
    check("UncordonNode", &actions::uncordon(), seen);
    check("RaiseMemoryLimit", &actions::raise_memory_limit(), seen);
    check("RestartUnit", &actions::restart_unit(), seen);
    check("ExpandVolume", &actions::expand_volume(), seen);
    check("ScaleWorkload", &actions::scale_workload(), seen);
    check("RenewCertificate", &actions::renew_certificate(), seen);
    check("RaiseAutoscalerMaximum", &actions::raise_autoscaler_maximum(), seen);
    check("Unit", &unit(), seen);
    check("Units", &units(), seen);
    check("Action", &v1::Action { body: Some(action::Body::RestoreFile(actions::restore())) }, seen);
    check("Approval", &approval(), seen);
    check("Limits", &limits(), seen);
    check("Job", &job(), seen);
    check("Signature", &signature(), seen);
    check("Envelope", &envelope(), seen);
    check("Hello", &hello(), seen);
    check("Welcome", &welcome(), seen);
    check("Refusal", &refusal(), seen);
    check("FramePiece", &v1::FramePiece { bytes: vec![1, 2, 3].into() }, seen);
    check("Pause", &pause(), seen);
    check("Heartbeat", &v1::Heartbeat { at_us: 1 }, seen);
    check("ObservationBatch", &batch(), seen);
    check("Ack", &v1::Ack { sequence: 42 }, seen);
    let acknowledged = v1::JobReportAck {
        job_id: "job_1".into(),
        phase: v1::job_report::Phase::Succeeded.into(),
        envelope_sha256: vec![5; 32],
    };
    check("JobReportAck", &acknowledged, seen);
    check("ResyncRequest", &v1::ResyncRequest { reason: "a gap".into() }, seen);
    check("EnrolRequest", &enrol(), seen);
    check("EnrolResponse", &enrolled(), seen);
    check("RenewRequest", &v1::RenewRequest { csr_der: vec![1] }, seen);
    let renewed = v1::RenewResponse { certificate_chain_der: vec![vec![1]], job_keys: vec![vec![2]] };
    check("RenewResponse", &renewed, seen);
    check("AgentFrame", &v1::AgentFrame { body: Some(agent_frame::Body::Batch(batch())) }, seen);
    check("ServerFrame", &v1::ServerFrame { body: Some(server_frame::Body::Job(envelope())) }, seen);
}

/// Messages that have grown, with every field that was added after their first golden bytes.
pub fn grown() -> Vec<(&'static str, v1::Observation)> {
    let deployment = v1::Deployment {
        replicas: 4,
        min_ready_seconds: 10,
        progress_deadline_seconds: 300,
        strategy: "Recreate".into(),
        replica_failure: "FailedCreate: pods \"api\" is forbidden: exceeded quota".into(),
        replica_failure_since_us: 1_767_225_662_000_000,
        template: vec![template_fact()],
        template_writer: "kubectl-client-side-apply".into(),
        template_written_at_us: 1_767_225_663_000_000,
        ..deployment()
    };
    let waiting = v1::Container { message: "secret \"key\" not found".into(), ..container() };
    let waits = v1::Pod { containers: vec![waiting], ..pod() };
    let replica_set = v1::ReplicaSet { template: vec![template_fact()], ..replica_set() };
    let sidecar =
        v1::Container { last_started_at_us: 1_767_225_640_000_000, role: "sidecar".into(), ..container() };
    let pod = v1::Pod { containers: vec![sidecar], facts: Some(pod_facts()), ..pod() };
    let node = v1::Node { facts: Some(node_facts()), ..node() };
    let probed = v1::Container { image_id: "sha256:5d4f".into(), probed: true, ..container() };
    let identified = v1::Pod { containers: vec![probed], facts: Some(pod_facts_complete()), ..self::pod() };
    let placed = v1::Pod { facts: Some(pod_facts_placed()), ..self::pod() };
    let parallel = v1::StatefulSet { pod_management_policy: "Parallel".into(), ..stateful_set() };
    let stateful_set = v1::StatefulSet { partition: Some(2), first_ordinal: 1, ..stateful_set() };
    let claim = v1::PersistentVolumeClaim {
        requested_bytes: 12 << 30,
        capacity_bytes: 8 << 30,
        resizing: "FileSystemResizePending".into(),
        resize_error: "NodeResizeInfeasible".into(),
        volume_mode: "Filesystem".into(),
        access_modes: vec!["ReadWriteOnce".into()],
        size_writer: "kubectl-edit".into(),
        manager: "argocd".into(),
        manager_evidence: "argocd.argoproj.io/tracking-id".into(),
        ..persistent_volume_claim()
    };
    let seen = |body| v1::Observation { body: Some(body), ..observation() };
    vec![
        ("PersistentVolumeClaim_grown", seen(observation::Body::PersistentVolumeClaim(claim))),
        ("Pod_grown", seen(observation::Body::Pod(pod))),
        ("Node_grown", seen(observation::Body::Node(node))),
        ("Deployment_grown", seen(observation::Body::Deployment(deployment))),
        ("Pod_waits", seen(observation::Body::Pod(waits))),
        ("Pod_identified", seen(observation::Body::Pod(identified))),
        ("Pod_placed", seen(observation::Body::Pod(placed))),
        ("StatefulSet_grown", seen(observation::Body::StatefulSet(stateful_set))),
        ("StatefulSet_parallel", seen(observation::Body::StatefulSet(parallel))),
        ("ReplicaSet_grown", seen(observation::Body::ReplicaSet(replica_set))),
    ]
}
