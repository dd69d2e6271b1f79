//! The processes of the test cluster and their command lines.
//!
//! Decides every flag, and why it is not the default. Order and readiness are left to
//! [`Cluster`](super::Cluster).

use std::path::Path;
use std::process::Command;

use super::build::Binaries;
use super::{Options, Reach, real_node};

/// One process of the control plane, or the simulator of the kubelets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// Deployments, ReplicaSets, garbage collection, node life cycle and the other controllers.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// kwok: plays the kubelets by the stages in `tests/rig/stages`.
    Kubelets,
}

impl Component {
    /// All of them, in the order in which they are started.
    pub const ALL: [Self; 5] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kubelets];

    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelets => "kwok",
        }
    }
}

/// What the command lines depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub api: u16,
    pub kubelets: u16,
}

/// The simulator's configuration: how it runs, then every stage. A new file is one line here.
const STAGES: [&str; 5] = [
    include_str!("../../rig/stages/kwok.yaml"),
    include_str!("../../rig/stages/node.yaml"),
    include_str!("../../rig/stages/pod.yaml"),
    include_str!("../../rig/stages/pod-crash.yaml"),
    include_str!("../../rig/stages/pod-image.yaml"),
];

/// What the simulator does when it tells what pods use.
const METRICS: &str = include_str!("../../rig/stages/metrics.yaml");

/// The simulator's configuration, part by part.
pub(super) fn stages(metrics: bool) -> Vec<&'static str> {
    STAGES.into_iter().chain(metrics.then_some(METRICS)).collect()
}

/// What the API server's audit log is about.
pub(super) const AUDIT_POLICY: &str = include_str!("../../rig/audit-policy.yaml");

/// The label that a node carries as long as its kubelet lives.
pub(super) const KUBELET_LABEL: &str = "rig.nimbus.dev/kubelet";

/// Builds the command of one component; all of them read and write below `dir` only.
pub(super) fn command(
    component: Component,
    binaries: &Binaries,
    dir: &Path,
    ports: Ports,
    options: &Options,
) -> Command {
    let mut command = Command::new(binaries.path(component.program()));
    command.current_dir(dir).env_remove("KUBECONFIG").env("HOME", dir).env("KWOK_WORKDIR", dir);
    let file = |name: &str| dir.join(name).display().to_string();
    let node_grace_seconds = options.node_grace_seconds;
    let args = match component {
        Component::Etcd => etcd(&file("etcd"), ports),
        Component::ApiServer => api_server(&file, ports, options.reach),
        Component::ControllerManager => controller_manager(&file, node_grace_seconds),
        Component::Scheduler => scheduler(&file),
        Component::Kubelets => kubelets(&file, ports, options),
    };
    command.args(args);
    command
}

fn etcd(data: &str, ports: Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        format!("--data-dir={data}"),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // The data lives as long as the test: a killed process loses nothing, only a power cut would.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server(file: &dyn Fn(&str) -> String, ports: Ports, reach: Reach) -> Vec<String> {
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--secure-port={}", ports.api),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        format!("--cert-dir={}", file("certs")),
        // By these it asks API servers that stand behind it, such as metrics-server, in the name of its users.
        format!("--requestheader-client-ca-file={}", file("ca.crt")),
        format!("--proxy-client-cert-file={}", file("front-proxy.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy.key")),
        "--requestheader-allowed-names=front-proxy".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
    ];
    args.extend(
        [
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            // As everybody's: else it refuses privileged pods by itself, whatever a namespace takes.
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            // Benchmarks make thousands of pods in a moment.
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
        ]
        .map(str::to_owned),
    );
    args.extend(match reach {
        // The advertised address is loopback, which may not be published as an endpoint.
        Reach::Loopback => vec![
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
        ],
        Reach::Pods => vec![
            "--bind-address=0.0.0.0".to_owned(),
            format!("--advertise-address={}", real_node::ADDRESS),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
            format!("--kubelet-client-key={}", file("kubelet-client.key")),
            format!("--kubelet-certificate-authority={}", file("ca.crt")),
            "--allow-privileged".to_owned(),
        ],
    });
    args
}

fn controller_manager(file: &dyn Fn(&str) -> String, node_grace_seconds: u32) -> Vec<String> {
    let kubeconfig = file("admin.kubeconfig");
    let mut args = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--service-account-private-key-file={}", file("accounts.key")),
        format!("--node-monitor-grace-period={node_grace_seconds}s"),
    ];
    args.extend(
        [
            // No port of its own: whether it works is seen in the API.
            "--secure-port=0",
            "--leader-elect=false",
            "--node-monitor-period=1s",
            // Evict at the usual pace even when a third of three nodes is away.
            "--unhealthy-zone-threshold=0.9",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-gc-syncs=40",
            "--concurrent-namespace-syncs=10",
            // Autoscalers look often, and do not wait until a pod has run for minutes.
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
        ]
        .map(str::to_owned),
    );
    args
}

fn scheduler(file: &dyn Fn(&str) -> String) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", file("admin.kubeconfig")),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}

fn kubelets(file: &dyn Fn(&str) -> String, ports: Ports, options: &Options) -> Vec<String> {
    let mut args = vec![
        format!("--kubeconfig={}", file("admin.kubeconfig")),
        format!("--config={}", file("stages.yaml")),
        format!("--manage-nodes-with-label-selector={KUBELET_LABEL}=running"),
        // Renewed four times within its duration, which stays below the grace period: with the usual
        // 40 s, healthy nodes of a quick cluster turn NotReady between two renewals.
        format!("--node-lease-duration-seconds={}", (options.node_grace_seconds * 3 / 4).max(4)),
        "--cidr=10.128.0.0/10".to_owned(),
    ];
    if options.metrics {
        args.extend([
            // Where metrics-server finds what they tell.
            "--node-ip=127.0.0.1".to_owned(),
            format!("--node-port={}", ports.kubelets),
            format!("--server-address=127.0.0.1:{}", ports.kubelets),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
        ]);
    } else {
        args.push("--node-ip=10.0.0.1".to_owned());
    }
    args
}
