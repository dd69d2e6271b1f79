//! The configuration of one agent. The command line of `nimbus-agent` and `nimbus up` both build it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The kind of an agent that watches a cluster, and its host.
pub const CLUSTER: &str = "cluster";
/// The kind of an agent that watches its host alone.
pub const HOST: &str = "host";

/// The kind that a text names; `vpc` was the word for [`HOST`] and is still read.
pub fn agent_kind(text: &str) -> &str {
    if text == "vpc" { HOST } else { text }
}

/// The name of the credential with a join token.
pub const JOIN_CREDENTIAL: &str = "nimbus-join-token";

/// Where the Kubernetes cluster is, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClusterSource {
    /// This agent watches no cluster.
    #[default]
    None,
    /// The cluster whose pod this process runs in.
    InCluster,
    /// A kubeconfig.
    Kubeconfig {
        /// The file; `None` reads what `KUBECONFIG` names, or `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; `None` takes the current one.
        context: Option<String>,
    },
}

/// The election of the one replica that watches and changes cluster objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Name of the `coordination.k8s.io/v1` Lease.
    pub name: String,
    /// How long the lease holds after a renewal: 15 s. Whole seconds, at least 2; a standby takes over after this.
    pub duration: Duration,
    /// Namespaces to keep the Lease in: the first one that exists.
    pub namespaces: Vec<String>,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self {
            name: "nimbus-agent-watch".to_owned(),
            duration: Duration::from_secs(15),
            namespaces: vec!["nimbus-system".to_owned(), "kube-system".to_owned()],
        }
    }
}

/// The kubelet of the node that a pod's agent is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletSettings {
    /// The node's name.
    pub node: String,
    /// The node's address.
    pub address: IpAddr,
    /// The kubelet's port: 10250.
    pub port: u16,
    /// The CA of its serving certificate, in PEM; `None`: the cluster's own.
    pub certificate_authority: Option<String>,
    /// Asks a kubelet that cannot be verified all the same. Whoever answers at its address gets the service account's token.
    pub insecure_skip_verify: bool,
}

/// What an agent is told at its start; [`Config::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Identity, spool, journal and baselines live here; made with mode 0700 if it is not there.
    pub data_dir: PathBuf,
    /// `HOST:PORT` of the control plane's agent listener: QUIC over UDP, or gRPC over TCP.
    pub server: String,
    /// A join token; needed once, while there is no identity yet.
    pub join: Option<String>,
    /// Where systemd's credentials are: without [`Self::join`] a needed token is read from [`JOIN_CREDENTIAL`] there.
    pub credentials: Option<PathBuf>,
    /// The projected service account token of this pod, which proves to the control plane where this agent runs: a file that
    /// the kubelet keeps fresh. `None` outside of pods.
    pub service_account_token: Option<PathBuf>,
    /// The host name to report instead of the system's.
    pub name: Option<String>,
    /// The cluster to watch.
    pub cluster: ClusterSource,
    /// The kubelet of the own node; `None` outside of pods, and where the node is not known.
    pub kubelet: Option<KubeletSettings>,
    /// Files and directories to watch.
    pub watch: Vec<PathBuf>,
    /// Left out of what is watched, with all below; the data directory always is.
    pub exclude: Vec<PathBuf>,
    /// Read Secrets of type kubernetes.io/tls in the cluster, for until when their certificates are valid.
    pub tls_secrets: bool,
    /// Certificate files, and directories of them, of which is watched until when they are valid.
    pub certificates: Vec<PathBuf>,
    /// The person's policy file; a missing one means observe only. `policy.managed.toml` beside it is read too.
    pub policy: PathBuf,
    /// Where `/healthz`, `/readyz` and `/metrics` listen, if anywhere.
    pub telemetry: Option<SocketAddr>,
    /// Between two samples of the host's health: 15 s.
    pub host_interval: Duration,
    /// Between two full passes over the watched files, beside what the system notifies, and between two looks at certificates: 5 min.
    pub file_interval: Duration,
    /// The election.
    pub lease: LeaseSettings,
    /// How long it goes on with the jobs that are under way when it is told to end: 0, as the next start goes on with them. The state
    /// of a pod ends with it, so with more than 0 what was seen is sent before the end, too.
    pub finish_jobs: Duration,
    /// While anything is in this directory, no job is taken.
    pub stop_dir: Option<PathBuf>,
    /// The socket of the system bus where this host's systemd answers; `None`: no units are watched.
    pub system_bus: Option<SystemBusSettings>,
}

/// Where systemd is asked for its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemBusSettings {
    /// The bus's socket.
    pub path: PathBuf,
    /// Is it a problem where no systemd answers there?
    pub required: bool,
}

impl Config {
    /// The defaults for an agent of `server` whose state is in `data_dir`: no cluster, nothing watched, policy in
    /// `data_dir/policy.toml`.
    pub fn new(data_dir: impl Into<PathBuf>, server: impl Into<String>) -> Self {
        let data_dir = data_dir.into();
        Self {
            policy: Self::default_policy(&data_dir),
            data_dir,
            server: server.into(),
            join: None,
            credentials: None,
            service_account_token: None,
            name: None,
            cluster: ClusterSource::None,
            kubelet: None,
            watch: Vec::new(),
            certificates: Vec::new(),
            tls_secrets: false,
            exclude: Vec::new(),
            telemetry: None,
            host_interval: Duration::from_secs(15),
            file_interval: Duration::from_mins(5),
            lease: LeaseSettings::default(),
            finish_jobs: Duration::ZERO,
            stop_dir: None,
            system_bus: None,
        }
    }

    /// Where the policy is read from when nothing else is said.
    pub fn default_policy(data_dir: &Path) -> PathBuf {
        data_dir.join("policy.toml")
    }

    /// The name to report for this host.
    pub fn hostname(&self) -> String {
        let system = || sysinfo::System::host_name().unwrap_or_else(|_| "unknown-host".to_owned());
        self.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(system)
    }

    /// [`CLUSTER`] when it watches one, otherwise [`HOST`].
    pub fn kind(&self) -> &'static str {
        if self.cluster == ClusterSource::None { HOST } else { CLUSTER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_word_for_a_host_is_still_read() {
        assert_eq!((agent_kind("vpc"), agent_kind("host"), agent_kind("cluster")), (HOST, HOST, CLUSTER));
    }
}
