//! The command line of `nimbus-agent` and the environment variables that set the same options.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::config::{ClusterSource, Config, KubeletSettings, LeaseSettings, SystemBusSettings};

/// Where the system bus is on every host of today.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line a person reads.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which certificates are watched.
#[derive(Debug, clap::Args)]
struct CertificateArgs {
    /// Watch until when the certificates in this file, or in the files directly in this directory (.pem, .crt, .cer), are valid; may be
    /// given more than once (in the environment: separated by `:`).
    #[arg(long, value_name = "PATH", env = "NIMBUS_CERTIFICATES", value_delimiter = ':')]
    certificates: Vec<PathBuf>,
    /// In a cluster: read the Secrets of type kubernetes.io/tls, for until when their certificates are valid. It needs the right to read every
    /// Secret.
    #[arg(long, env = "NIMBUS_TLS_SECRETS")]
    tls_secrets: bool,
}

/// Watches this host and, where it has one, a Kubernetes cluster; runs the remedies that its local policy allows.
#[derive(Debug, Parser)]
#[command(
    name = "nimbus-agent",
    version,
    about,
    after_help = "`nimbus-agent pause` stops the agent of this host from beginning anything, and `nimbus-agent resume` lets it go on: each has a --help of its own."
)]
pub struct Args {
    /// The control plane's agent listener.
    #[arg(long, value_name = "HOST:PORT", env = "NIMBUS_SERVER", value_parser = host_port)]
    server: String,
    /// Join token from `nimbus agents token create`; needed once. Better in the environment than on a command line,
    /// where others can read it, and best as systemd's credential `nimbus-join-token`.
    #[arg(long, value_name = "TOKEN", env = "NIMBUS_JOIN_TOKEN", hide_env_values = true)]
    join: Option<String>,
    /// In a pod: the projected service account token with the audience `nimbus-control-plane`, which proves where this
    /// agent runs. The join token then only says which control plane to trust, once the cluster is known there.
    #[arg(long, value_name = "FILE", env = "NIMBUS_SERVICE_ACCOUNT_TOKEN", requires = "join")]
    service_account_token: Option<PathBuf>,
    /// Where identity, spool, journal and baselines are kept.
    #[arg(long, value_name = "DIR", env = "NIMBUS_DATA_DIR", default_value = "/var/lib/nimbus-agent")]
    data_dir: PathBuf,
    /// Report this name instead of the host's own.
    #[arg(long, value_name = "NAME", env = "NIMBUS_AGENT_NAME")]
    name: Option<String>,
    /// Watch the cluster of this kubeconfig.
    #[arg(long, value_name = "FILE", env = "NIMBUS_KUBECONFIG", conflicts_with_all = ["in_cluster", "no_cluster"])]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context, if not its current one.
    #[arg(long, value_name = "CONTEXT", env = "NIMBUS_KUBE_CONTEXT", requires = "kubeconfig")]
    kube_context: Option<String>,
    /// Watch the cluster that this process runs in (the default inside a pod).
    #[arg(long, env = "NIMBUS_IN_CLUSTER", conflicts_with = "no_cluster")]
    in_cluster: bool,
    /// Watch no cluster (the default outside a pod).
    #[arg(long, env = "NIMBUS_NO_CLUSTER")]
    no_cluster: bool,
    /// In a pod: the node that it is on, whose kubelet is asked what it measured.
    #[arg(long, value_name = "NAME", env = "NIMBUS_NODE", requires = "node_ip")]
    node: Option<String>,
    /// The address of that node.
    #[arg(long, value_name = "ADDRESS", env = "NIMBUS_NODE_IP")]
    node_ip: Option<IpAddr>,
    /// The port of that kubelet.
    #[arg(long, value_name = "PORT", env = "NIMBUS_KUBELET_PORT", default_value_t = 10250,
          value_parser = clap::value_parser!(u16).range(1..))]
    kubelet_port: u16,
    /// The CA of the kubelets' serving certificates, in PEM [default: the cluster's own].
    #[arg(long, value_name = "PEM", env = "NIMBUS_KUBELET_CA")]
    kubelet_ca: Option<String>,
    /// Ask a kubelet whose certificate cannot be verified all the same. Whoever answers at its address gets the service
    /// account's token, and with it the agent's rights.
    #[arg(long, env = "NIMBUS_KUBELET_INSECURE_SKIP_VERIFY")]
    kubelet_insecure_skip_verify: bool,
    /// Watch this file or directory; may be given more than once (in the environment: separated by `:`).
    #[arg(long, value_name = "PATH", env = "NIMBUS_WATCH", value_delimiter = ':')]
    watch: Vec<PathBuf>,
    /// Leave this file or directory below a watched one out, such as a log; may be given more than once (in the
    /// environment: separated by `:`).
    #[arg(long, value_name = "PATH", env = "NIMBUS_EXCLUDE", value_delimiter = ':')]
    exclude: Vec<PathBuf>,
    #[command(flatten)]
    certificates: CertificateArgs,
    /// The socket of the system bus, at which systemd is asked which units failed [default: /run/dbus/system_bus_socket, where there
    /// is one]. Empty: no units are watched.
    #[arg(long, value_name = "SOCKET", env = "NIMBUS_SYSTEM_BUS")]
    system_bus: Option<OsString>,
    /// Local policy (TOML) [default: policy.toml in the data directory; a missing file means observe only].
    /// `policy.managed.toml` in the same directory is read too.
    #[arg(long, value_name = "FILE", env = "NIMBUS_POLICY")]
    policy: Option<PathBuf>,
    /// While anything is in this directory, take no job, whatever the policy allows: in a pod it is a ConfigMap that a person makes.
    #[arg(long, value_name = "DIR", env = "NIMBUS_STOP_DIR")]
    stop_dir: Option<PathBuf>,
    /// Listen here for /healthz, /readyz and /metrics.
    #[arg(long, value_name = "ADDR", env = "NIMBUS_TELEMETRY")]
    telemetry: Option<SocketAddr>,
    /// How logs are written; RUST_LOG chooses which.
    #[arg(long, value_enum, env = "NIMBUS_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Seconds between two samples of the host's health.
    #[arg(long, value_name = "SECONDS", env = "NIMBUS_HOST_INTERVAL", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    host_interval: u64,
    /// Seconds between two full passes over the watched files, and between two looks at certificates.
    #[arg(long, value_name = "SECONDS", env = "NIMBUS_FILE_INTERVAL", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    file_interval: u64,
    /// Seconds that the watch lease holds without being renewed.
    #[arg(long, value_name = "SECONDS", env = "NIMBUS_LEASE_DURATION", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(2..=600))]
    lease_duration: u64,
    /// When told to end, go on for so many seconds with the jobs that are under way, and then for 4 s at most until the control plane
    /// has what was seen: where the data directory ends with this process, as a pod's does. What is not done by then goes on after
    /// the next start.
    #[arg(long, value_name = "SECONDS", env = "NIMBUS_FINISH_JOBS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    finish_jobs: u64,
}

fn host_port(text: &str) -> Result<String, String> {
    if nimbus_platform::is_host_port(text) {
        return Ok(text.to_owned());
    }
    Err("expected HOST:PORT, such as nimbus.example.com:7443".to_owned())
}

impl Args {
    /// How logs are to be written.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The configuration they mean; `in_pod` says whether this process runs in a Kubernetes pod.
    pub fn into_config(self, in_pod: bool) -> Config {
        let cluster = match self.kubeconfig {
            Some(path) => ClusterSource::Kubeconfig { path: Some(path), context: self.kube_context },
            None if self.in_cluster || (in_pod && !self.no_cluster) => ClusterSource::InCluster,
            None => ClusterSource::None,
        };
        // Its token is the pod's own: with a kubeconfig there is none that a kubelet would take.
        let in_cluster = cluster == ClusterSource::InCluster;
        let node = self.node.filter(|node| in_cluster && !node.is_empty());
        let kubelet = node.zip(self.node_ip).map(|(node, address)| KubeletSettings {
            node,
            address,
            port: self.kubelet_port,
            certificate_authority: self.kubelet_ca.filter(|pem| !pem.trim().is_empty()),
            insecure_skip_verify: self.kubelet_insecure_skip_verify,
        });
        let policy = self.policy.unwrap_or_else(|| Config::default_policy(&self.data_dir));
        let system_bus = match self.system_bus {
            None => Some(SystemBusSettings { path: SYSTEM_BUS.into(), required: false }),
            Some(path) if path.is_empty() => None,
            Some(path) => Some(SystemBusSettings { path: path.into(), required: true }),
        };
        Config {
            // A line of a file that only lost its value.
            join: self.join.filter(|token| !token.trim().is_empty()),
            service_account_token: self.service_account_token.filter(|path| path != Path::new("")),
            name: self.name,
            cluster,
            kubelet,
            watch: self.watch.into_iter().filter(|path| path != Path::new("")).collect(),
            exclude: self.exclude.into_iter().filter(|path| path != Path::new("")).collect(),
            certificates: self
                .certificates
                .certificates
                .into_iter()
                .filter(|path| path != Path::new(""))
                .collect(),
            tls_secrets: self.certificates.tls_secrets,
            policy,
            telemetry: self.telemetry,
            host_interval: Duration::from_secs(self.host_interval),
            file_interval: Duration::from_secs(self.file_interval),
            lease: LeaseSettings {
                duration: Duration::from_secs(self.lease_duration),
                ..LeaseSettings::default()
            },
            finish_jobs: Duration::from_secs(self.finish_jobs),
            stop_dir: self.stop_dir.filter(|path| path != Path::new("")),
            system_bus,
            ..Config::new(self.data_dir, self.server)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["nimbus-agent"].iter().chain(args))
    }

    #[test]
    fn the_cluster_is_the_one_that_was_named_or_the_pods_own() {
        let source = |args: &[&str], in_pod| {
            let all: Vec<&str> = ["--server", "h:1"].iter().chain(args).copied().collect();
            parse(&all).unwrap().into_config(in_pod).cluster
        };
        assert_eq!(source(&[], false), ClusterSource::None);
        assert_eq!(source(&[], true), ClusterSource::InCluster);
        assert_eq!(source(&["--no-cluster"], true), ClusterSource::None);
        let named = ClusterSource::Kubeconfig { path: Some("k".into()), context: Some("c".into()) };
        assert_eq!(source(&["--kubeconfig", "k", "--kube-context", "c"], true), named);
    }

    #[test]
    fn contradictions_and_a_server_without_port_are_usage_errors() {
        for args in [
            vec![],
            vec!["--server", "host"],
            vec!["--server", "h:1", "--in-cluster", "--no-cluster"],
            vec!["--server", "h:1", "--kubeconfig", "k", "--in-cluster"],
            vec!["--server", "h:1", "--kube-context", "c"],
            vec!["--server", "h:1", "--host-interval", "0"],
        ] {
            assert_eq!(parse(&args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn a_kubelet_is_asked_in_a_pod_that_knows_its_node_and_nowhere_else() {
        let kubelet = |args: &[&str], in_pod| {
            let all: Vec<&str> = ["--server", "h:1"].iter().chain(args).copied().collect();
            parse(&all).unwrap().into_config(in_pod).kubelet
        };
        let node = ["--node", "a", "--node-ip", "fd00::7", "--kubelet-ca", " "];
        let own = kubelet(&node, true).unwrap();
        assert_eq!((own.node.as_str(), own.address.to_string().as_str(), own.port), ("a", "fd00::7", 10250));
        assert!(own.certificate_authority.is_none() && !own.insecure_skip_verify);
        assert!(kubelet(&node, false).is_none() && kubelet(&["--node-ip", "10.0.0.1"], true).is_none());
        assert!(parse(&["--server", "h:1", "--node", "a"]).is_err());
    }

    #[test]
    fn units_are_watched_where_there_is_a_systemd_or_where_one_was_named() {
        let bus = |args: &[&str]| {
            let all: Vec<&str> = ["--server", "h:1"].iter().chain(args).copied().collect();
            parse(&all).unwrap().into_config(false).system_bus.map(|bus| (bus.path, bus.required))
        };
        assert_eq!(bus(&[]), Some((SYSTEM_BUS.into(), false)));
        assert_eq!(bus(&["--system-bus", "/host/bus"]), Some(("/host/bus".into(), true)));
        assert_eq!(bus(&["--system-bus", ""]), None);
    }

    #[test]
    fn the_policy_is_in_the_data_directory_unless_it_is_named() {
        let config = parse(&["--server", "h:1", "--data-dir", "/d"]).unwrap().into_config(false);
        assert_eq!(config.policy, Path::new("/d/policy.toml"));
        assert_eq!(config.kind(), "host");
    }
}
