//! Healthy Kubernetes objects, hosts and files as literals, which a test then changes.

use nimbus_protocol::kind::{HELD, HELD_EFFECT};
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::{to_micros, v1};

use super::at;

pub(crate) const CLUSTER: &str = "cluster-1";

pub(crate) fn meta(kind: &str, name: &str, owner: Option<(&str, &str)>) -> v1::ObjectMeta {
    let (owner_kind, owner_name) = owner.unwrap_or_default();
    v1::ObjectMeta {
        uid: format!("{kind}-{name}"),
        namespace: if kind == "node" { String::new() } else { "shop".into() },
        name: name.into(),
        owner_api_version: match owner_kind {
            "" => String::new(),
            "Pod" | "Node" => "v1".into(),
            _ => "apps/v1".into(),
        },
        owner_kind: owner_kind.into(),
        owner_name: owner_name.into(),
        owner_uid: match owner_kind {
            "Deployment" => format!("dep-{owner_name}"),
            "ReplicaSet" => format!("rs-{owner_name}"),
            "StatefulSet" => format!("sts-{owner_name}"),
            "DaemonSet" => format!("ds-{owner_name}"),
            "Pod" => format!("pod-{owner_name}"),
            "" => String::new(),
            other => format!("{other}-{owner_name}"),
        },
        ..Default::default()
    }
}

pub(crate) fn node(name: &str) -> v1::Node {
    v1::Node {
        meta: Some(meta("node", name, None)),
        ready: "True".into(),
        ready_since_us: to_micros(at(-3_600)),
        facts: Some(v1::NodeFacts {
            cpu_milli: 4_000,
            memory_bytes: 16 << 30,
            pods: 110,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The same, held back by this job.
pub(crate) fn held_node(name: &str, job: &str) -> v1::Node {
    let taint = v1::Taint { key: HELD.into(), value: job.into(), effect: HELD_EFFECT.into() };
    let facts = v1::NodeFacts { held_by: job.into(), taints: vec![taint], ..node(name).facts.unwrap() };
    v1::Node { facts: Some(facts), ..node(name) }
}

/// The same, with the mark of another tool.
pub(crate) fn marked_node(name: &str, mark: &str) -> v1::Node {
    let facts = v1::NodeFacts { marks: vec![mark.into()], ..node(name).facts.unwrap() };
    v1::Node { facts: Some(facts), ..node(name) }
}

/// A Deployment whose rollout of `revision` is complete.
pub(crate) fn deployment(name: &str, desired: u32, revision: u64) -> v1::Deployment {
    v1::Deployment {
        meta: Some(meta("dep", name, None)),
        generation: i64::try_from(revision).unwrap(),
        observed_generation: i64::try_from(revision).unwrap(),
        desired,
        updated: desired,
        ready: desired,
        available: desired,
        revision,
        template_hash: hash(revision),
        images: vec![format!("shop/{name}:{revision}")],
        progressing_status: "True".into(),
        progressing_reason: "NewReplicaSetAvailable".into(),
        replicas: desired,
        progress_deadline_seconds: 600,
        strategy: "RollingUpdate".into(),
        template: template(name, revision),
        template_writer: "kubectl-client-side-apply".into(),
        ..Default::default()
    }
}

/// What the pod template of a revision says.
fn template(of: &str, revision: u64) -> Vec<v1::TemplateFact> {
    let fact =
        |path: &str, value: String, digest: Vec<u8>| v1::TemplateFact { path: path.into(), value, digest };
    vec![
        fact("containers[app].env[LEVEL].value", String::new(), hash(revision)),
        fact("containers[app].envFrom[0].configMapRef.name", "web-env".into(), Vec::new()),
        fact("containers[app].image", format!("shop/{of}:{revision}"), Vec::new()),
    ]
}

/// The same, past the progress deadline of `revision`.
pub(crate) fn stuck(name: &str, desired: u32, revision: u64) -> v1::Deployment {
    v1::Deployment {
        updated: 1,
        replicas: desired,
        available: desired.saturating_sub(1),
        ready: desired.saturating_sub(1),
        progressing_status: "False".into(),
        progressing_reason: "ProgressDeadlineExceeded".into(),
        progressing_message: format!("ReplicaSet \"{name}-{revision}\" has timed out progressing."),
        ..deployment(name, desired, revision)
    }
}

pub(crate) fn hash(revision: u64) -> Vec<u8> {
    vec![u8::try_from(revision).unwrap(); 32]
}

pub(crate) fn replica_set(of: &str, revision: u64, ready: u32) -> v1::ReplicaSet {
    v1::ReplicaSet {
        meta: Some(meta("rs", &format!("{of}-{revision}"), Some(("Deployment", of)))),
        revision,
        replicas: ready,
        ready_replicas: ready,
        template_hash: hash(revision),
        images: vec![format!("shop/{of}:{revision}")],
        template: template(of, revision),
    }
}

/// A pod of the ReplicaSet `set` (for example `web-1`), ready for an hour.
pub(crate) fn pod(set: &str, suffix: &str, node: &str) -> v1::Pod {
    v1::Pod {
        meta: Some(meta("pod", &format!("{set}-{suffix}"), Some(("ReplicaSet", set)))),
        node: node.into(),
        phase: "Running".into(),
        ready: true,
        ready_since_us: to_micros(at(-3_600)),
        containers: vec![v1::Container {
            name: "app".into(),
            image: "shop/app:1".into(),
            image_id: "sha256:1".into(),
            ready: true,
            state: "running".into(),
            ..Default::default()
        }],
        facts: Some(v1::PodFacts {
            started_at_us: to_micros(at(-7_200)),
            placement: Some(v1::Placement::default()),
            references_complete: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn not_ready(mut pod: v1::Pod) -> v1::Pod {
    pod.ready = false;
    pod.containers[0].ready = false;
    pod
}

/// Waiting in its back-off after so many restarts.
pub(crate) fn crashing(pod: v1::Pod, restarts: u32) -> v1::Pod {
    let mut pod = not_ready(pod);
    let container = &mut pod.containers[0];
    container.restart_count = restarts;
    container.state = "waiting".into();
    container.reason = "CrashLoopBackOff".into();
    container.last_reason = "Error".into();
    container.last_exit_code = 1;
    pod
}

/// The moment between two back-offs: it runs, and is not ready.
pub(crate) fn running_again(pod: v1::Pod, restarts: u32) -> v1::Pod {
    let mut pod = crashing(pod, restarts);
    pod.containers[0].state = "running".into();
    pod.containers[0].reason = String::new();
    pod
}

pub(crate) fn out_of_memory(pod: v1::Pod, restarts: u32) -> v1::Pod {
    let mut pod = crashing(pod, restarts);
    pod.containers[0].last_reason = "OOMKilled".into();
    pod.containers[0].last_exit_code = 137;
    pod
}

pub(crate) fn without_image(pod: v1::Pod) -> v1::Pod {
    let mut pod = not_ready(pod);
    pod.phase = "Pending".into();
    pod.containers[0].state = "waiting".into();
    pod.containers[0].reason = "ImagePullBackOff".into();
    pod
}

pub(crate) fn file_state(kind: &str, mode: u32, content: u8) -> v1::FileState {
    let sha256 = if kind == "file" { vec![content; 32] } else { Vec::new() };
    v1::FileState { kind: kind.into(), mode, sha256, ..Default::default() }
}

pub(crate) fn file(path: &str, baseline: v1::FileState, current: v1::FileState) -> v1::File {
    v1::File {
        root: "/srv/etc".into(),
        path: path.into(),
        baseline: Some(baseline),
        current: Some(current),
        ..Default::default()
    }
}

pub(crate) fn begin(kind: &str, term: u64) -> Body {
    mark(kind, term, v1::sync_mark::Phase::Begin)
}

pub(crate) fn end(kind: &str, term: u64) -> Body {
    mark(kind, term, v1::sync_mark::Phase::End)
}

fn mark(kind: &str, lease_term: u64, phase: v1::sync_mark::Phase) -> Body {
    Body::Sync(v1::SyncMark { kind: kind.into(), phase: phase.into(), lease_term })
}

pub(crate) fn gone(kind: &str, uid: &str) -> Body {
    Body::Gone(v1::Gone { kind: kind.into(), uid: uid.into(), ..Default::default() })
}

/// A StatefulSet whose pods are all of revision `revision`.
pub(crate) fn stateful_set(name: &str, desired: u32, revision: &str) -> v1::StatefulSet {
    v1::StatefulSet {
        meta: Some(meta("sts", name, None)),
        generation: 1,
        observed_generation: 1,
        desired,
        updated: desired,
        ready: desired,
        available: desired,
        current_revision: revision.into(),
        update_revision: revision.into(),
        update_strategy: "RollingUpdate".into(),
        template_hash: hash(1),
        ..Default::default()
    }
}

pub(crate) fn daemon_set(name: &str, desired: u32, ready: u32) -> v1::DaemonSet {
    v1::DaemonSet {
        meta: Some(meta("ds", name, None)),
        generation: 1,
        observed_generation: 1,
        desired,
        updated: desired,
        ready,
        available: ready,
        ..Default::default()
    }
}

/// A Job `name` that runs, of a CronJob or of nobody.
pub(crate) fn batch_job(name: &str, cron_job: Option<&str>) -> v1::BatchJob {
    let mut meta = meta("Job", name, cron_job.map(|owner| ("CronJob", owner)));
    if cron_job.is_some() {
        meta.owner_api_version = "batch/v1".into();
    }
    v1::BatchJob { meta: Some(meta), active: 1, ..Default::default() }
}

/// The same, failed for good just now.
pub(crate) fn failed(job: v1::BatchJob, now: jiff::Timestamp) -> v1::BatchJob {
    v1::BatchJob {
        active: 0,
        failed: 1,
        failure: "BackoffLimitExceeded: Job has reached the specified backoff limit".into(),
        failed_at_us: to_micros(now),
        ..job
    }
}

/// The same, completed just now.
pub(crate) fn completed(job: v1::BatchJob, now: jiff::Timestamp) -> v1::BatchJob {
    v1::BatchJob { active: 0, succeeded: 1, completed_at_us: to_micros(now), ..job }
}

/// A ConfigMap `name` whose content `writer` wrote at `written_at_us`.
pub(crate) fn config_map(name: &str, writer: &str, written_at_us: i64) -> v1::ConfigMap {
    v1::ConfigMap { meta: Some(meta("ConfigMap", name, None)), written_at_us, writer: writer.into() }
}

/// A Secret `name` whose content `writer` wrote at `written_at_us`.
pub(crate) fn secret(name: &str, writer: &str, written_at_us: i64) -> v1::Secret {
    v1::Secret { meta: Some(meta("Secret", name, None)), written_at_us, writer: writer.into() }
}

/// A PersistentVolumeClaim `name` that is bound to this volume.
pub(crate) fn claim(name: &str, volume: &str) -> v1::PersistentVolumeClaim {
    v1::PersistentVolumeClaim {
        meta: Some(meta("PersistentVolumeClaim", name, None)),
        phase: "Bound".into(),
        volume: volume.into(),
        storage_class: "fast".into(),
        requested_bytes: 100 << 30,
        capacity_bytes: 100 << 30,
        volume_mode: "Filesystem".into(),
        access_modes: vec!["ReadWriteOnce".into()],
        ..Default::default()
    }
}

/// A StorageClass `name`, whose volumes may grow or not.
pub(crate) fn storage_class(name: &str, allows_expansion: bool) -> v1::StorageClass {
    let meta = v1::ObjectMeta { namespace: String::new(), ..meta("StorageClass", name, None) };
    v1::StorageClass { meta: Some(meta), provisioner: "csi.example.com".into(), allows_expansion }
}

/// The Certificate `name` of 90 days, issued 61 days ago by the Issuer `ca`, whose renewal was due a day and an hour ago, and failed three times, the last
/// time three hours ago.
pub(crate) fn certificate(name: &str) -> v1::Certificate {
    const DAY: i64 = 86_400;
    const HOUR: i64 = 3_600;
    v1::Certificate {
        meta: Some(meta("cert", name, None)),
        secret_name: format!("{name}-tls"),
        issuer_group: "cert-manager.io".into(),
        issuer_kind: "Issuer".into(),
        issuer_name: "ca".into(),
        names: vec![format!("{name}.example.com")],
        not_before_us: to_micros(at(-61 * DAY - HOUR)),
        not_after_us: to_micros(at(29 * DAY - HOUR)),
        renewal_time_us: to_micros(at(-DAY - HOUR)),
        ready: "True".into(),
        ready_reason: "Ready".into(),
        issuing: "False".into(),
        issuing_reason: "Failed".into(),
        issuing_message: "the order is invalid".into(),
        issuing_since_us: to_micros(at(-3 * HOUR)),
        last_failure_us: to_micros(at(-3 * HOUR)),
        failed_attempts: 3,
        revision: 7,
        ..Default::default()
    }
}

/// The Secret `name` with a certificate of 90 days, which is valid for so many seconds more.
pub(crate) fn tls_secret(name: &str, left: i64) -> v1::TlsSecret {
    v1::TlsSecret {
        meta: Some(meta("tls", name, None)),
        name: format!("{name}.example.com"),
        not_before_us: to_micros(at(left - 90 * 86_400)),
        not_after_us: to_micros(at(left)),
        sha256: vec![1; 32],
    }
}

/// The Issuer `name`, which is ready.
pub(crate) fn issuer(name: &str) -> v1::Issuer {
    v1::Issuer { meta: Some(meta("issuer", name, None)), ready: "True".into(), ..Default::default() }
}

/// The HorizontalPodAutoscaler `name` of a Deployment of that name, which makes ten replicas, of at most so many, and is within its
/// bounds.
pub(crate) fn autoscaler(name: &str, max_replicas: i32) -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        meta: Some(meta("hpa", name, None)),
        target_api_version: "apps/v1".into(),
        target_kind: "Deployment".into(),
        target_name: name.into(),
        min_replicas: 2,
        max_replicas,
        current_replicas: 10,
        desired_replicas: 10,
        able_to_scale: "True".into(),
        scaling_active: "True".into(),
        generation: 3,
        observed_generation: 3,
        ..Default::default()
    }
}

/// A PersistentVolume `name`, bound, that can be attached from nodes of one of these zones; of every node without any.
pub(crate) fn volume(name: &str, zones: &[&str]) -> v1::PersistentVolume {
    let zone = v1::NodeRequirement {
        key: "topology.kubernetes.io/zone".into(),
        operator: "In".into(),
        values: zones.iter().map(|zone| (*zone).to_owned()).collect(),
    };
    let term = v1::NodeTerm { requirements: vec![zone] };
    let meta = v1::ObjectMeta { namespace: String::new(), ..meta("PersistentVolume", name, None) };
    v1::PersistentVolume {
        meta: Some(meta),
        phase: "Bound".into(),
        node_terms: if zones.is_empty() { Vec::new() } else { vec![term] },
        node_terms_complete: true,
    }
}

/// A PodDisruptionBudget `name` for pods with the label `app`, of which 2 of 3 are healthy and so many may go now.
pub(crate) fn budget(name: &str, app: &str, disruptions_allowed: i32) -> v1::PodDisruptionBudget {
    let selector = v1::LabelSelector {
        match_labels: vec![v1::Label { key: "app".into(), value: app.into() }],
        ..Default::default()
    };
    v1::PodDisruptionBudget {
        meta: Some(meta("PodDisruptionBudget", name, None)),
        generation: 1,
        observed_generation: 1,
        selector: Some(selector),
        selector_complete: true,
        min_available: "3".into(),
        disruptions_allowed,
        current_healthy: 2,
        desired_healthy: 3,
        expected_pods: 3,
        ..Default::default()
    }
}

/// A ready pod `NAME-N` of a controller that owns its pods itself.
pub(crate) fn owned_pod(kind: &str, owner: &str, n: u32, revision: &str) -> v1::Pod {
    v1::Pod {
        meta: Some(meta("pod", &format!("{owner}-{n}"), Some((kind, owner)))),
        controller_revision: revision.into(),
        ..pod("x-1", "x", "node-a")
    }
}
